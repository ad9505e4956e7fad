//go:build !windows

package account

import "github.com/aiedr/edr/tables"

func liveUsers(*tables.Query, func(User) bool) {}
