//go:build !linux && !windows

package engine

import "time"

// cpuTime is processor time of a thread.
type cpuTime struct{ user, system time.Duration }

// threadCPU is not measured on this platform.
func threadCPU() cpuTime { return cpuTime{} }
