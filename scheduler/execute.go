package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aiedr/edr/wire"
)

// lazySave is how long a state that changed without a report may stay ahead
// of the disk.
const lazySave = 5 * time.Minute

// execute runs one query and reports what is new.
func (s *Scheduler) execute(ctx context.Context, e *entry, now time.Time) {
	denied := e.denied(now)
	e.mu.Lock()
	e.stats.Denylisted = denied
	e.mu.Unlock()
	if denied || !s.discovered(ctx, e.pack, now) {
		return
	}
	fields := s.decorate(ctx, now)
	if err := s.dir.mark(marker{Name: e.name, SQL: e.sql, Boot: s.opts.Boot, Started: now}); err != nil {
		s.problems.report("query "+e.name, err)
	}
	a, err := s.opts.Runner.Run(ctx, Execution{Name: e.name, SQL: e.query.SQL, Cursor: e.state.Cursor})
	s.dir.forget()
	size := 0
	if err != nil && a.Cut && a.EventsOnly && ctx.Err() == nil {
		s.problems.report("query "+e.name, fmt.Errorf("%w; %d rows are reported, the other events until now are left out of this query", err, len(a.Rows)))
		err = nil
	}
	if err == nil {
		for _, w := range a.Warnings {
			s.problems.report("query "+e.name, errors.New(w))
		}
		if a.Missed > 0 {
			s.problems.report("query "+e.name, fmt.Errorf("%d events were given up by the event log before the query read them: shorten its interval or enlarge the log", a.Missed))
		}
		size, err = s.take(e, a, fields, now)
	}
	e.mu.Lock()
	e.stats.Executions++
	e.stats.LastExecuted = now
	e.stats.Wall, e.stats.LastWall = e.stats.Wall+a.Wall, a.Wall
	e.stats.User, e.stats.LastUser = e.stats.User+a.User, a.User
	e.stats.System, e.stats.LastSystem = e.stats.System+a.System, a.System
	e.stats.LastMemory = a.Memory
	e.stats.Memory += (a.Memory - e.stats.Memory) / e.stats.Executions
	e.stats.OutputSize += int64(size)
	e.stats.LastError = ""
	if err == nil {
		e.stats.Rows += int64(len(a.Rows))
	} else {
		e.stats.LastError = err.Error()
	}
	e.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		s.problems.report("query "+e.name, err)
	}
}

// take reports an answer and then moves the state on. It returns the bytes
// reported.
func (s *Scheduler) take(e *entry, a Answer, fields []wire.Field, now time.Time) (int, error) {
	for _, r := range a.Rows {
		if len(r) != len(a.Columns) {
			return 0, fmt.Errorf("a row has %d values for %d columns: a fault of the runner", len(r), len(a.Columns))
		}
	}
	st := e.state
	res := wire.Result{Query: e.name, Pack: e.pack.Name, Time: now, Epoch: s.opts.Epoch, Columns: a.Columns, Decorations: fields}
	switch {
	case e.query.Snapshot:
		res.Snapshot, res.Added = true, a.Rows
		size, err := s.deliver(e, res, a, hitKey{counter: uint64(e.slot), snapshot: true})
		if err == nil {
			s.advance(st, a)
		}
		return size, err
	case a.EventsOnly:
		return s.takeEvents(e, a, res)
	}
	return s.takeDifference(e, a, res)
}

// takeEvents reports rows that have happened once: all are new.
func (s *Scheduler) takeEvents(e *entry, a Answer, res wire.Result) (int, error) {
	st := e.state
	st.Events = true
	if st.Epoch != s.opts.Epoch {
		st.Epoch, st.Counter = s.opts.Epoch, 0
	}
	if len(a.Rows) == 0 {
		s.advance(st, a)
		return 0, nil
	}
	res.Counter, res.Added = st.Counter+1, a.Rows
	size, err := s.deliver(e, res, a, hitKey{counter: res.Counter})
	if err != nil {
		return size, err
	}
	st.Counter, st.Cursor, st.Ran = res.Counter, a.Next, true
	st.Columns, st.Rows, st.keys = nil, nil, nil
	return size, s.dir.save(st)
}

// advance notes an execution that reported nothing to remember.
func (s *Scheduler) advance(st *state, a Answer) {
	first := !st.Ran
	st.Ran = true
	if a.EventsOnly && st.Cursor != a.Next {
		st.Cursor, st.dirty = a.Next, true
	}
	if first || (st.dirty && s.opts.Now().Sub(st.saved) > lazySave) {
		if err := s.dir.save(st); err != nil {
			s.problems.report("query "+st.Name, err)
		}
	}
}

// takeDifference reports what changed since the former answer.
func (s *Scheduler) takeDifference(e *entry, a Answer, res wire.Result) (int, error) {
	st := e.state
	first := !st.Ran || st.Epoch != s.opts.Epoch || st.Events
	former, counter := st.keys, st.Counter
	if first {
		former, counter = nil, 0
	}
	keys := rowKeys(a.Columns, a.Rows)
	added, removed := difference(former, keys)
	if !first {
		if len(added) == 0 && len(removed) == 0 {
			return 0, nil
		}
		counter++
	}
	for _, i := range added {
		res.Added = append(res.Added, a.Rows[i])
	}
	if len(removed) > 0 && e.query.Removed {
		old, err := st, error(nil)
		if st.Rows == nil {
			old, err = s.dir.read(st.Name)
		}
		if err != nil {
			s.problems.report("query "+e.name, fmt.Errorf("read the rows that are gone: %w; the query starts over", err))
			e.state = newState(e.name)
			e.state.Interval, e.state.Splay = st.Interval, st.Splay
			return s.takeDifference(e, a, wire.Result{Query: res.Query, Pack: res.Pack, Time: res.Time, Epoch: res.Epoch, Columns: res.Columns, Decorations: res.Decorations})
		}
		res.Columns, res.Added, res.Removed = align(a.Columns, res.Added, old.Columns, gone(old.Columns, old.Rows, removed))
	}
	res.Counter = counter
	size := 0
	if first || len(res.Added)+len(res.Removed) > 0 {
		n, err := s.deliver(e, res, a, hitKey{counter: counter, quiet: first && e.query.Baseline})
		size = n
		if err != nil {
			return size, err
		}
	}
	st.Epoch, st.Counter, st.Ran, st.Events = s.opts.Epoch, counter, true, false
	st.Columns, st.Rows, st.keys = a.Columns, a.Rows, countKeys(keys)
	st.Cursor = 0 // beside other tables, events are compared like any rows
	if err := s.dir.write(st); err != nil {
		return size, err // the rows stay in memory until the disk takes them
	}
	st.Rows = nil
	return size, nil
}

// discovered says whether a pack's discovery statements all have a row. The
// answer holds for an hour.
func (s *Scheduler) discovered(ctx context.Context, p *packState, now time.Time) bool {
	if len(p.Discovery) == 0 {
		return true
	}
	if !p.asked.IsZero() && now.Sub(p.asked) < discoveryFor && !now.Before(p.asked) {
		return p.runs
	}
	p.asked, p.runs = now, true
	for _, sql := range p.Discovery {
		a, err := s.opts.Runner.Run(ctx, Execution{SQL: sql})
		if err != nil {
			s.problems.report("pack "+p.Name+", discovery", err)
		}
		if err != nil || len(a.Rows) == 0 {
			p.runs = false
			return false
		}
	}
	return true
}
