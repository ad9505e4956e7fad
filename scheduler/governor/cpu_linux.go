package governor

import (
	"time"

	"golang.org/x/sys/unix"
)

// processCPU is the CPU time of all threads of this process, also of those
// that have ended.
func processCPU() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}
