package agent

import (
	"fmt"
	"os"
	"time"

	"github.com/shirou/gopsutil/v3/process"
)

// used is what this process has taken of the machine.
type used struct {
	cpu time.Duration // user and system
	rss int64         // bytes of the working set
}

func usage() (used, error) {
	p, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		return used{}, fmt.Errorf("read the agent's own usage: %w", err)
	}
	t, err := p.Times()
	if err != nil {
		return used{}, fmt.Errorf("read the agent's own processor time: %w", err)
	}
	u := used{cpu: time.Duration((t.User + t.System) * float64(time.Second))}
	if m, err := p.MemoryInfo(); err == nil {
		u.rss = int64(m.RSS)
	}
	return u, nil
}
