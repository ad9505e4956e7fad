//go:build unix

package agent

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// used is what this process has taken of the machine.
type used struct {
	cpu time.Duration // user and system
	rss int64         // bytes resident; 0 where the system does not say
}

func usage() (used, error) {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return used{}, fmt.Errorf("read the agent's own usage: %w", err)
	}
	u := used{cpu: time.Duration(ru.Utime.Nano() + ru.Stime.Nano())}
	b, err := os.ReadFile("/proc/self/statm") // field 2: resident pages
	if err != nil {
		return u, nil // not Linux
	}
	if f := bytes.Fields(b); len(f) > 1 {
		pages, err := strconv.ParseInt(string(f[1]), 10, 64)
		if err != nil {
			return u, fmt.Errorf("read /proc/self/statm: %w", err)
		}
		u.rss = pages * int64(os.Getpagesize())
	}
	return u, nil
}
