package filesensor

import "github.com/aiedr/edr/tables/event"

// waiting is an event whose process is still to be looked up.
type waiting struct {
	e     *event.File
	alive bool    // the process was when the event was read
	t     *target // to be hashed; may be nil
}

// maxBatch bounds the events that wait.
const maxBatch = 4096

// publish hands an event on with the batch that it belongs to.
func (w *watcher) publish(e *event.File, alive bool, t *target) {
	w.batch = append(w.batch, waiting{e, alive, t})
	if len(w.batch) >= maxBatch {
		w.release()
	}
}

// release publishes the batch in its order. Processes are looked up here and
// not before, so that they are asked for once, and after what is known of
// them has caught up with what they did.
func (w *watcher) release() {
	if len(w.batch) == 0 {
		return
	}
	if w.o.CatchUp != nil {
		w.o.CatchUp()
	}
	clear(w.procs)
	for i := range w.batch {
		b := &w.batch[i]
		w.name(b.e, b.alive)
		if w.o.Saw != nil {
			w.o.Saw(b.e)
		}
		if w.roots.tells(b.e.TargetPath) {
			w.out.publishFile(b.e, b.t)
		}
		b.e, b.t = nil, nil
	}
	w.batch = w.batch[:0]
}

// name fills in what is known of the process that made the change.
func (w *watcher) name(e *event.File, alive bool) {
	if e.PID <= 0 {
		return
	}
	p, ok := w.procs[e.PID]
	if !ok {
		if alive || !w.o.procOnly {
			p = w.o.Lookup(e.PID)
		}
		w.procs[e.PID] = p
	}
	if p.Known {
		e.StartTime, e.Process, e.Name, e.Cmdline = p.StartTime, p.Path, p.Name, p.Cmdline
		e.UserID, e.Parent = p.UID, p.Parent
	}
}
