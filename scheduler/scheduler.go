// Package scheduler asks the queries of packs at their intervals, as osquery
// does, and reports what is new in their answers.
//
// What a query answered before is kept on disk, and moves on only after the
// sink has taken the report: a crash in between makes the same report again
// with the same counter, and its hits with the same ids, so that nothing is
// lost and the server can keep one of each.
package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/wire"
)

// Execution is one run of a statement.
type Execution struct {
	// Name is the scheduled query's name in results; empty for discovery and
	// decorators.
	Name string
	SQL  string
	// Cursor is the Next of the query's last reported answer: event tables
	// begin after it. 0 is the beginning.
	Cursor uint64
}

// Answer is a whole answer; beside an error it is what came before.
type Answer struct {
	Columns []string
	Rows    []wire.Row
	// Cut says that the error is a limit of rows, time or memory. Of event
	// tables the rows before it are reported and the rest is left out, or a
	// query over a full log would fail at the same place for ever.
	Cut bool
	// Tables are those that the statement reads; EventsOnly says that all of
	// them are event tables.
	Tables     []string
	EventsOnly bool
	// Next is the cursor behind the events that were read, Missed how many
	// the log had given up before.
	Next, Missed uint64
	// Warnings are what could not be read beside the rows.
	Warnings           []string
	Wall, User, System time.Duration
	Memory             int64 // bytes
}

// Runner runs statements.
type Runner interface {
	Run(ctx context.Context, e Execution) (Answer, error)
}

// Sink takes what is to be reported. When a method has returned nil, what it
// took will not be lost.
type Sink interface {
	Result(wire.Result) error
	Hit(wire.Hit) error
	Problem(wire.Problem) error
}

// Options are what a scheduler is made of.
type Options struct {
	Dir    string // of its state; made if absent
	Runner Runner
	Sink   Sink
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	Log *slog.Logger
	// Hostname decides the shard, GOOS the platform.
	Hostname, GOOS string
	// Interval is that of queries that name none; 30 s if zero.
	Interval time.Duration
	// Epoch restarts all differences when it changes, as osquery's schedule_epoch.
	Epoch uint64
	// Boot names this boot of the machine: a query is not blamed for a death
	// with the machine.
	Boot string
	// MaxResult is the size in bytes beyond which a result is split; 256 KiB if zero.
	MaxResult int
	// Random is a number below n; math/rand's if nil.
	Random func(n int64) int64
}

// osquery's figures.
const (
	denyFor       = 24 * time.Hour
	discoveryFor  = time.Hour
	splayPercent  = 10
	purgeAfter    = 592200 * time.Second
	defaultResult = 256 << 10
)

// Scheduler runs the queries of packs.
type Scheduler struct {
	opts Options
	dir  store

	running sync.Mutex // held while queries run
	mu      sync.Mutex // guards what follows
	entries []*entry
	// generation counts the calls of SetPacks.
	generation int
	skipped    []Skipped
	deco       decorations
	lastTick   time.Time
	problems   problems
}

// Skipped is a query that is not for this host.
type Skipped struct{ Name, Why string }

// entry is one scheduled query.
type entry struct {
	name  string
	pack  *packState
	query *pack.Query
	sql   string // hash of the SQL
	state *state
	due   bool // at the next tick, whatever the time
	slot  int64

	mu    sync.Mutex // guards stats
	stats tables.QueryStats

	when        *rule.When
	whenColumns []string
}

// packState is a pack with the last answer of its discovery.
type packState struct {
	*pack.Pack
	asked time.Time
	runs  bool
}

// New makes a scheduler. It runs nothing until it has packs.
func New(o Options) (*Scheduler, error) {
	if o.Runner == nil || o.Sink == nil || o.Dir == "" {
		return nil, errors.New("make the scheduler: it needs a directory, a runner and a sink")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Random == nil {
		o.Random = rand.Int64N
	}
	o.Interval = cmp.Or(o.Interval, 30*time.Second)
	o.MaxResult = cmp.Or(o.MaxResult, defaultResult)
	s := &Scheduler{opts: o, dir: store{dir: o.Dir, now: o.Now}}
	s.problems = problems{sink: o.Sink, log: o.Log, now: o.Now, seen: map[string]*problemState{}}
	if err := s.dir.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// SetInterval changes the pace of queries that name none; it holds from the
// next SetPacks on.
func (s *Scheduler) SetInterval(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Interval = cmp.Or(d, 30*time.Second)
}

// SetPacks replaces what is scheduled. A query that keeps its name keeps its
// state, also with other SQL; the state of one that is gone is kept for a
// week, as in osquery, lest a configuration that comes late forgets it.
func (s *Scheduler) SetPacks(c *pack.Config) {
	s.running.Lock()
	defer s.running.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	former := map[string]*entry{}
	for _, e := range s.entries {
		former[e.name] = e
	}
	now := s.opts.Now()
	died := s.blame(now)
	s.entries, s.skipped = nil, nil
	s.generation++
	shard := pack.ShardOf(s.opts.Hostname)
	names := map[string]bool{}
	for _, p := range c.Packs {
		ps := &packState{Pack: p}
		for _, q := range p.Queries {
			name := p.LogName(q)
			if why := s.unfit(p, q, shard); why != "" {
				s.skipped = append(s.skipped, Skipped{name, why})
				continue
			}
			if names[name] {
				s.problems.report("query "+name, errors.New("two queries have this name, and the first runs: rename one"))
				continue
			}
			names[name] = true
			e := &entry{name: name, pack: ps, query: q, sql: digest(q.SQL)}
			e.stats = tables.QueryStats{Name: name, SQL: q.SQL}
			if f := former[name]; f != nil {
				e.state, e.stats, e.slot, e.due = f.state, f.stats, f.slot, f.due
				e.stats.SQL = q.SQL
				delete(former, name)
			} else {
				s.restore(e, died, now)
			}
			s.splay(e, now)
			s.entries = append(s.entries, e)
		}
	}
	for _, e := range former {
		s.dir.retire(e.name, now)
	}
	if err := s.dir.purge(names, now); err != nil {
		s.problems.report("scheduler", err)
	}
	s.deco = decorations{config: c.Decorators}
}

// blame denies the query during which the agent died, whether it is scheduled
// now or comes with a later configuration, and returns its name.
func (s *Scheduler) blame(now time.Time) string {
	m := s.dir.died(s.opts.Boot)
	s.dir.forget()
	if m == nil {
		return ""
	}
	st, err := s.dir.load(m.Name)
	if st == nil {
		st = newState(m.Name)
	}
	st.DeniedUntil, st.DeniedSQL = now.Add(denyFor), m.SQL
	if err == nil {
		err = s.dir.save(st)
	}
	if err != nil {
		s.problems.report("query "+m.Name, err)
	}
	return m.Name
}

// unfit says why a query is not for this host; empty if it is.
func (s *Scheduler) unfit(p *pack.Pack, q *pack.Query, shard int64) string {
	for _, platform := range []string{p.Platform, q.Platform} {
		if !pack.Runs(platform, s.opts.GOOS) {
			return "it is for platform " + platform
		}
	}
	for _, v := range []string{p.Version, q.Version} {
		if !pack.VersionAtLeast(pack.OsqueryVersion, v) {
			return "it is for version " + v + " and later"
		}
	}
	for _, percent := range []int64{p.Shard, q.Shard} {
		if !pack.InShard(percent, shard) {
			return fmt.Sprintf("it is for %d percent of hosts, and not for this one", percent)
		}
	}
	return ""
}

// restore reads a query's state from its last life.
func (s *Scheduler) restore(e *entry, died string, now time.Time) {
	st, err := s.dir.load(e.name)
	if err != nil {
		s.problems.report("query "+e.name, err)
	}
	if st == nil {
		st = newState(e.name)
		if err := s.dir.save(st); err != nil {
			s.problems.report("query "+e.name, err)
		}
	}
	e.state = st
	e.due = !st.Ran || e.query.StartupPriority >= 0
	if died == e.name && e.denied(now) {
		s.problems.report("query "+e.name, fmt.Errorf("the agent died while it ran: it is not run until %s; change it, or set \"denylist\": false",
			st.DeniedUntil.UTC().Format(time.RFC3339)))
	}
	e.stats.Denylisted = e.denied(now)
}

// denied says whether the query is not to run because the agent died with it.
// Pure event queries are exempt, as in osquery: they read little.
func (e *entry) denied(now time.Time) bool {
	return e.query.Denylist && !e.state.Events && e.state.DeniedSQL == e.sql && now.Before(e.state.DeniedUntil)
}

// splay gives a query its own interval near the one asked for, and keeps it
// until another is asked for.
func (s *Scheduler) splay(e *entry, now time.Time) {
	want := int64(cmp.Or(e.query.Interval, s.opts.Interval) / time.Second)
	want = max(want, 1)
	e.stats.Interval = time.Duration(want) * time.Second
	if e.state.Interval != want || e.state.Splay < 1 {
		e.state.Interval = want
		d := want * splayPercent / 100
		e.state.Splay = max(1, want-d+s.opts.Random(2*d+1))
		e.slot = 0
		if err := s.dir.save(e.state); err != nil {
			s.problems.report("query "+e.name, err)
		}
	}
	if e.slot == 0 {
		e.slot = now.Unix() / e.state.Splay
	}
}

// Skipped lists the queries that are not for this host.
func (s *Scheduler) Skipped() []Skipped {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.skipped)
}

// Stats lists what each query has cost since the agent started, by name.
func (s *Scheduler) Stats() []tables.QueryStats {
	s.mu.Lock()
	entries := slices.Clone(s.entries)
	s.mu.Unlock()
	out := make([]tables.QueryStats, len(entries))
	for i, e := range entries {
		e.mu.Lock()
		out[i] = e.stats
		e.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b tables.QueryStats) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Run asks what is due, every second, until the context ends.
func (s *Scheduler) Run(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		s.Tick(ctx, s.opts.Now())
		select {
		case <-ctx.Done():
			s.Close()
			return
		case <-t.C:
		}
	}
}

// Close writes what is not yet on disk.
func (s *Scheduler) Close() {
	s.running.Lock()
	defer s.running.Unlock()
	for _, e := range s.entries {
		if e.state.dirty {
			if err := s.dir.save(e.state); err != nil {
				s.problems.report("query "+e.name, err)
			}
		}
	}
}

// Tick runs what has fallen due by now, one query after the other: those of
// the start by their priority, then the others by name.
func (s *Scheduler) Tick(ctx context.Context, now time.Time) {
	due, generation := s.due(now)
	for _, e := range due {
		if ctx.Err() != nil {
			return
		}
		s.running.Lock()
		s.mu.Lock()
		current := s.generation == generation
		s.mu.Unlock()
		if current { // otherwise other packs came meanwhile, and know what is due
			e.due, e.slot = false, now.Unix()/e.state.Splay
			s.execute(ctx, e, now)
		}
		s.running.Unlock()
	}
}

func (s *Scheduler) due(now time.Time) ([]*entry, int) {
	s.running.Lock()
	defer s.running.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	back := now.Before(s.lastTick)
	s.lastTick = now
	var due []*entry
	for _, e := range s.entries {
		slot := now.Unix() / e.state.Splay
		switch {
		case e.due || slot > e.slot:
			due = append(due, e)
		case back: // the clock was set back: count from here
			e.slot = slot
		}
	}
	slices.SortStableFunc(due, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(startOrder(a), startOrder(b)), cmp.Compare(a.name, b.name))
	})
	return due, s.generation
}

func startOrder(e *entry) uint64 {
	if !e.due || e.query.StartupPriority < 0 {
		return 1<<64 - 1
	}
	return uint64(e.query.StartupPriority)
}
