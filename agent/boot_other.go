//go:build !linux && !windows

package agent

import (
	"strconv"
	"time"

	"github.com/shirou/gopsutil/v3/host"
)

// bootTime is the wall-clock time of the machine's boot.
func bootTime() (time.Time, error) {
	s, err := host.BootTime()
	return time.Unix(int64(s), 0), err
}

// bootID names this boot of the machine by its time, to the minute: the
// system gives it with some seconds' jitter.
func bootID() (string, error) {
	t, err := bootTime()
	return strconv.FormatInt(t.Unix()/60, 10), err
}
