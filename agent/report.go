package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/aiedr/edr/wire"
)

// reporter takes what the agent has to say. When a method returns without an
// error, what it took will arrive or its loss will be told.
type reporter interface {
	Hit(wire.Hit) error
	Result(wire.Result) error
	Outcome(wire.Outcome) error
	Health(wire.Health) error
	Problem(wire.Problem) error
}

// adder is the outbox as the agent uses it.
type adder interface {
	Add(kind wire.Kind, body any) (uint64, error)
}

// outboxReporter reports to the server by way of the outbox.
type outboxReporter struct{ box adder }

func (r outboxReporter) add(kind wire.Kind, body any) error {
	_, err := r.box.Add(kind, body)
	return err
}

func (r outboxReporter) Hit(h wire.Hit) error         { return r.add(wire.KindHit, h) }
func (r outboxReporter) Result(x wire.Result) error   { return r.add(wire.KindResult, x) }
func (r outboxReporter) Outcome(o wire.Outcome) error { return r.add(wire.KindOutcome, o) }
func (r outboxReporter) Health(h wire.Health) error   { return r.add(wire.KindHealth, h) }
func (r outboxReporter) Problem(p wire.Problem) error { return r.add(wire.KindProblem, p) }

// lineReporter is the report of an agent that works alone: hits and outcomes
// as JSON lines on standard output, problems in the log.
type lineReporter struct {
	mu  sync.Mutex
	out io.Writer
	log *slog.Logger
}

func (r *lineReporter) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.out.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write a report to standard output: %w", err)
	}
	return nil
}

func (r *lineReporter) Hit(h wire.Hit) error { return r.line(h) }

func (r *lineReporter) Outcome(o wire.Outcome) error { return r.line(o) }

// Result is not printed: what a pack query found without being a hit is for a
// server to keep.
func (r *lineReporter) Result(x wire.Result) error {
	r.log.Debug("query result", "query", x.Query, "added", len(x.Added), "removed", len(x.Removed))
	return nil
}

func (r *lineReporter) Health(h wire.Health) error {
	r.log.Debug("health", "cpu_percent", h.CPUPercent, "rss_bytes", h.RSS)
	return nil
}

func (r *lineReporter) Problem(p wire.Problem) error {
	r.log.Warn(p.Error, "source", p.Source, "count", p.Count)
	return nil
}

// problems reports each different problem at once and then at most once in a
// while with the count of its repeats, so that a query that fails every second
// does not drown the rest.
type problems struct {
	to  reporter
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	seen map[string]*repeated
}

type repeated struct {
	problem wire.Problem
	next    time.Time
	pending int64
}

const (
	problemPause = 10 * time.Minute
	maxProblems  = 1024
)

func newProblems(to reporter, log *slog.Logger, now func() time.Time) *problems {
	return &problems{to: to, log: log, now: now, seen: map[string]*repeated{}}
}

// tell reports what did not work; source says where, such as "rule 12".
func (p *problems) tell(source string, err error) {
	if err == nil {
		return
	}
	p.log.Warn(err.Error(), "source", source)
	now := p.now()
	key := source + "\x00" + err.Error()
	p.mu.Lock()
	r := p.seen[key]
	if r == nil {
		if len(p.seen) >= maxProblems {
			clear(p.seen)
		}
		r = &repeated{problem: wire.Problem{Source: source, Error: err.Error()}}
		p.seen[key] = r
	}
	r.pending++
	if now.Before(r.next) {
		p.mu.Unlock()
		return
	}
	r.next = now.Add(problemPause)
	r.problem.Time, r.problem.Count = now, r.pending
	r.pending = 0
	report := r.problem
	p.mu.Unlock()
	if err := p.to.Problem(report); err != nil {
		p.log.Error("report a problem", "error", err, "problem", report.Error)
	}
}
