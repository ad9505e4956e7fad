package proctree

import "time"

// Seed reads every process that is there now. It returns how many it found.
// Call it after the sensor has started, so that nobody is born unseen between.
func (t *Tree) Seed() (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.swept = time.Now()
	pids, err := t.src.pids()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, pid := range pids {
		p, ok := t.src.read(pid)
		if !ok {
			continue // ended meanwhile
		}
		n++
		if e := t.procs[t.key(pid, p.Start)]; e != nil && !e.absent {
			continue // a sensor knew it, and more exactly
		}
		t.put(p)
	}
	t.link()
	return n, nil
}

// link gives seeded processes the starts of their parents.
func (t *Tree) link() {
	for _, e := range t.procs {
		if e.p.Parent != 0 && e.p.ParentStart == 0 {
			if k, ok := t.latest[e.p.Parent]; ok && k.tick <= e.p.Start/t.opts.TickNS {
				e.p.ParentStart = t.procs[k].p.Start
			}
		}
	}
}

// Resync compares the living with /proc after events were lost: those whose
// end was missed become ended, those whose birth was missed are read. It does
// nothing if it did so shortly before.
func (t *Tree) Resync() error {
	t.mu.Lock()
	if time.Since(t.swept) < t.opts.Sweep {
		t.mu.Unlock()
		return nil
	}
	pids, err := t.src.pids()
	if err != nil {
		t.mu.Unlock()
		return err
	}
	here := make(map[int64]bool, len(pids))
	for _, pid := range pids {
		here[pid] = true
	}
	for k, e := range t.procs {
		if e.elem == nil && !here[k.pid] {
			t.exit(k)
		}
	}
	t.mu.Unlock()
	_, err = t.Seed()
	return err
}

// SetCatchUp names the function by which the sensor that feeds the tree lets
// it catch up; nil when that sensor ends.
func (t *Tree) SetCatchUp(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.catchUp = f
}

// CatchUp returns when all births, executions and ends that happened before
// the call are in the tree, so far as a sensor feeds it. Another sensor calls it
// once a batch before it looks up who did what: both let events gather, and an
// execution may still be on its way when what the new program did arrives. It
// takes a bounded time and must not be called by the feeding sensor itself.
func (t *Tree) CatchUp() {
	t.mu.Lock()
	f := t.catchUp
	t.mu.Unlock()
	if f != nil {
		f()
	}
}
