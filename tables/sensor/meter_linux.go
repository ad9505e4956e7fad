package sensor

import (
	"time"

	"golang.org/x/sys/unix"
)

func threadID() int { return unix.Gettid() }

// threadCPU reads the CPU clock of one of our threads. Its id is made from the
// thread's as pthread_getcpuclockid does: the complement of the id above the
// bits that say per thread (4) and scheduler time (2).
func threadCPU(tid int) (time.Duration, bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^tid<<3|4|2), &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}
