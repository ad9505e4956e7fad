package engine

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is processor time of a thread.
type cpuTime struct{ user, system time.Duration }

// threadCPU is what the calling thread has used so far.
func threadCPU() cpuTime {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return cpuTime{}
	}
	return cpuTime{time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())}
}
