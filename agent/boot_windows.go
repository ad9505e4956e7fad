package agent

import (
	"fmt"
	"strconv"
	"time"

	"github.com/shirou/gopsutil/v3/host"
)

// bootTime is the time from which start times count: on Windows the Unix
// epoch, since the system gives the time of its boot with some jitter, and
// that of a process's start exactly.
func bootTime() (time.Time, error) { return time.Unix(0, 0), nil }

// bootID names this boot of the machine by its time, to the minute.
func bootID() (string, error) {
	s, err := host.BootTime()
	if err != nil {
		return "", fmt.Errorf("read the time of the boot: %w", err)
	}
	return strconv.FormatUint(s/60, 10), nil
}
