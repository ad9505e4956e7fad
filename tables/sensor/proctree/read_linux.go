package proctree

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aiedr/edr/tables/procfs"
)

func tickNS() int64 { return int64(1e9 / procfs.ClockTicks()) }

// proc reads the live /proc.
type proc struct {
	r     *procfs.Reader
	ticks uint64
	cgroups
}

func openSource(dir string) (source, error) {
	r, err := procfs.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open the process table: %w", err)
	}
	return &proc{r, procfs.ClockTicks(), openCgroups(dir + "/self/mountinfo")}, nil
}

func (s *proc) Close() error { return s.r.Close() }

func (s *proc) pids() ([]int64, error) { return s.r.PIDs(nil) }

// start reads only when a process started.
func (s *proc) start(pid int64) (int64, bool) {
	st, err := s.r.Stat(pid)
	return procfs.StartNS(st.Start, s.ticks), err == nil
}

// container finds only the container's ID: by the cgroup itself, or else by
// the process, if it still is the one that started then.
func (s *proc) container(pid, start int64, g group) (string, bool) {
	if id, ok := s.cgroups.container(g.cgroup, g.legacy); ok {
		return id, true
	}
	h, err := s.r.Process(pid)
	if err != nil {
		return "", false
	}
	defer h.Close()
	_, container, err := h.Cgroup()
	var st procfs.Stat
	if err != nil || h.Stat(&st) != nil || procfs.StartNS(st.Start, s.ticks) != start/tickNS()*tickNS() {
		return "", false
	}
	return strings.Clone(container), true
}

// read reads one process. A part that cannot be read stays empty: the process
// may be ending, and its name and parent are still worth having.
func (s *proc) read(pid int64) (Process, bool) {
	h, err := s.r.Process(pid)
	if err != nil {
		return Process{}, false
	}
	defer h.Close()
	var st procfs.Stat
	if err := h.Stat(&st); err != nil {
		return Process{}, false
	}
	p := Process{PID: pid, Start: procfs.StartNS(st.Start, s.ticks), Parent: st.PPID, Name: st.Comm}
	var status procfs.Status
	err = h.Status(&status)
	if err == nil {
		p.UID = int64(status.UID)
	}
	if !st.Kernel() && !st.Zombie() && !errors.Is(err, procfs.ErrGone) {
		exe, _ := h.Exe()
		p.Path = strings.TrimSuffix(exe, " (deleted)")
		p.Cmdline, _ = h.Cmdline()
		_, p.Container, _ = h.Cgroup()
	}
	p.clone()
	return p, true
}
