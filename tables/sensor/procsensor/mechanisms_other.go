//go:build !linux

package procsensor

import "github.com/aiedr/edr/tables/sensor"

// Nothing here sees processes on another system than Linux.
func mechanisms(Options) []sensor.Mechanism { return nil }
