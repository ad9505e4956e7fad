package proctree

import "github.com/aiedr/edr/tables/event"

// Lookup finds a process, living or ended. start 0 means the one that has the
// ID now, or had it last.
func (t *Tree) Lookup(pid, start int64) (Process, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.known(pid, start); e != nil {
		return e.p, true
	}
	return Process{}, false
}

// maxDepth bounds an ancestry; a chain that long is an attack or an error.
const maxDepth = 64

// Ancestry gives the parent of a process, its parent and so on, as far as they
// are known. It follows who made whom, also through ended processes.
func (t *Tree) Ancestry(pid, start int64) []Process {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.known(pid, start)
	var out []Process
	for e != nil && e.p.Parent > 0 && len(out) < maxDepth {
		child := e.p.Start
		e = t.known(e.p.Parent, e.p.ParentStart)
		if e == nil || e.p.Start/t.opts.TickNS > child/t.opts.TickNS {
			break // an ID that was used again, by a process younger than its child
		}
		out = append(out, e.p)
	}
	return out
}

// Fill completes an actor from the tree: path and container where they are
// empty, and what its parent is.
func (t *Tree) Fill(a *event.Actor, parent, parentStart int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.known(a.PID, a.StartTime); e != nil {
		if a.StartTime == 0 {
			a.StartTime = e.p.Start
		}
		if a.Path == "" {
			a.Path = e.p.Path
		}
		if a.Container == "" {
			a.Container = e.p.Container
		}
		if a.CgroupID == 0 {
			a.CgroupID = e.p.Cgroup
		}
		if parent == 0 {
			parent, parentStart = e.p.Parent, e.p.ParentStart
		}
	}
	if e := t.known(parent, parentStart); e != nil {
		a.ParentName, a.ParentPath, a.ParentCmd = e.p.Name, e.p.Path, e.p.Cmdline
	}
}

// StartInProc is the start of the process that /proc shows under an ID now.
func (t *Tree) StartInProc(pid int64) (start int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.src.start(pid)
}

// SameStart says whether two starts of one process ID mean the same process,
// one or both of them to the tick.
func (t *Tree) SameStart(a, b int64) bool { return a/t.opts.TickNS == b/t.opts.TickNS }

// Stats is what the tree holds.
type Stats struct {
	Alive, Exited int
	ExitedBytes   int
}

// Stats counts what the tree holds.
func (t *Tree) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{Alive: len(t.procs) - t.exited.Len(), Exited: t.exited.Len(), ExitedBytes: t.bytes}
}
