//go:build !windows

package regsensor

import "github.com/aiedr/edr/tables/sensor"

// There is no registry on another system than Windows.
func mechanisms(Options, []place) []sensor.Mechanism { return nil }
