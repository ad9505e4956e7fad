package agent

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/scheduler"
	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/engine"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/wire"
)

// The bounds of one scheduled statement. It is paced all the while.
const (
	packDeadline = 10 * time.Minute
	packRows     = 200_000
)

// packs runs the scheduled queries over the agent's tables.
type packs struct {
	a       *Agent
	s       *scheduler.Scheduler
	classes atomic.Pointer[[]tables.Class]
}

func newPacks(a *Agent) (*packs, error) {
	p := &packs{a: a}
	p.classes.Store(&[]tables.Class{})
	hostname, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	p.s, err = scheduler.New(scheduler.Options{
		Dir: filepath.Join(a.settings.Data, "schedule"), Runner: p, Sink: packSink{a},
		Now: a.now, Log: a.log, Hostname: hostname, GOOS: runtime.GOOS,
		Interval: a.settings.Interval, Boot: a.detector.bootID,
	})
	if err != nil {
		return nil, err
	}
	a.closing(func() error { p.s.Close(); return nil })
	a.host.Schedule = p.s.Stats
	return p, nil
}

// set replaces what is scheduled and what its SQL may read.
func (p *packs) set(c *pack.Config, classes []string) {
	may := make([]tables.Class, len(classes))
	for i, c := range classes {
		may[i] = tables.Class(c)
	}
	p.classes.Store(&may)
	p.s.SetPacks(c)
}

func (p *packs) run(ctx context.Context) { p.s.Run(ctx) }

func (p *packs) stats() []tables.QueryStats { return p.s.Stats() }

// Run implements scheduler.Runner. Event tables begin behind the query's
// cursor, so that each execution sees the events since the last.
func (p *packs) Run(ctx context.Context, e scheduler.Execution) (scheduler.Answer, error) {
	log, cursor := event.WithCursor(p.a.events, e.Cursor)
	host := *p.a.host
	host.Log = log
	rows, err := p.a.engine.Query(ctx, &host, engine.Request{
		SQL: e.SQL, Name: e.Name, MaxRows: packRows, Deadline: packDeadline, Classes: *p.classes.Load(),
	})
	if err != nil {
		return scheduler.Answer{}, err
	}
	defer rows.Close()
	info := rows.Info()
	ans := scheduler.Answer{Tables: info.Tables, EventsOnly: info.EventsOnly, Next: cursor.Next(), Missed: cursor.Missed()}
	for _, c := range info.Columns {
		ans.Columns = append(ans.Columns, c.Name)
	}
	for {
		batch, err := rows.Batch()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var limit *engine.LimitError
			ans.Cut = errors.As(err, &limit)
			return ans, err
		}
		for _, values := range batch {
			row := make(wire.Row, len(values))
			for i, v := range values {
				row[i] = wire.ValueOf(v)
			}
			ans.Rows = append(ans.Rows, row)
		}
	}
	warnings, _ := rows.Warnings()
	for _, w := range warnings {
		ans.Warnings = append(ans.Warnings, w.String())
	}
	st := rows.Stats()
	ans.Wall, ans.User, ans.System, ans.Memory = st.Wall, st.User, st.System, st.MemoryPeak
	return ans, nil
}

// packSink reports what scheduled queries found, and has their actions done
// where the policy lets them.
type packSink struct{ a *Agent }

func (s packSink) Result(r wire.Result) error { return s.a.report.Result(r) }

func (s packSink) Problem(p wire.Problem) error { return s.a.report.Problem(p) }

func (s packSink) Hit(h wire.Hit) error {
	d := s.a.detector
	d.hits.Add(1)
	if h.Process != nil && h.Process.StartTime > 0 {
		for i, p := range d.convert.tree.Ancestry(h.Process.PID, h.Process.StartTime) {
			if i == maxAncestry {
				break
			}
			h.Ancestry = append(h.Ancestry, wireProcess(d.convert.process(p)))
		}
	}
	actions := make([]string, len(h.Actions))
	for i, a := range h.Actions {
		actions[i] = a.Action
	}
	h.Actions = nil // what comes of them is said below
	if d.acts(&h, actions) {
		d.act(context.Background(), &h, actions)
	}
	return s.a.report.Hit(h)
}
