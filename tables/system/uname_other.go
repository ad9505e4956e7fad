//go:build !linux

package system

import (
	"fmt"

	"github.com/aiedr/edr/tables"
)

type utsname struct{ node, release, version, machine string }

func uname() (utsname, error) { return utsname{}, fmt.Errorf("uname: %w", tables.ErrNotSupported) }
