//go:build !linux && !windows

package governor

import "time"

// processCPU is not read on this platform.
func processCPU() (time.Duration, error) { return 0, errNoClock }
