package governor

import (
	"time"

	"golang.org/x/sys/windows"
)

// processCPU is the CPU time of all threads of this process, also of those
// that have ended.
func processCPU() (time.Duration, error) {
	var created, ended, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(windows.CurrentProcess(), &created, &ended, &kernel, &user); err != nil {
		return 0, err
	}
	return span(kernel) + span(user), nil
}

// span reads a count of 100 nanoseconds.
func span(f windows.Filetime) time.Duration {
	return time.Duration(uint64(f.HighDateTime)<<32|uint64(f.LowDateTime)) * 100
}
