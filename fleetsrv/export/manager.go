package export

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// JournalAge is how long the journal waits for a sink that does not take its
// documents; what is older is dropped and counted as missed. The cursor of a
// sink that is configured no longer is forgotten after the same time.
const JournalAge = 30 * 24 * time.Hour

const pruneEvery = time.Minute

// Options say what a Manager stands on.
type Options struct {
	Store store.Exports
	Sinks []Config
	Now   func() time.Time
	Log   *slog.Logger
}

// Manager runs the pumps of all configured sinks.
type Manager struct {
	o     Options
	pumps []*pump
}

// New opens the sinks and makes the cursors of new ones, so that nothing that
// is received from then on is missed. A sink that cannot be reached now is no
// error.
func New(ctx context.Context, o Options) (*Manager, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	m := &Manager{o: o}
	known := map[string]bool{}
	for _, c := range o.Sinks {
		sink, err := c.Open(o.Log)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open sink %s: %w", c.Name, err), m.Close())
		}
		m.pumps = append(m.pumps, &pump{config: c, sink: sink, dead: &deadLetters{path: c.DeadLetterFile}, store: o.Store, now: o.Now, log: o.Log})
		if _, err := o.Store.OpenExport(ctx, store.Everything(), c.Name, o.Now()); err != nil {
			return nil, errors.Join(err, m.Close())
		}
		known[c.Name] = true
	}
	cursors, err := o.Store.ListExports(ctx, store.Everything())
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	for _, c := range cursors {
		if !known[c.Sink] {
			o.Log.Warn("a sink that had documents sent is configured no longer; its place is kept for some time", "sink", c.Sink,
				"records_waiting", c.Behind, "until", c.MovedAt.Add(JournalAge).Format(time.RFC3339))
		}
	}
	return m, nil
}

// Run pumps until ctx ends.
func (m *Manager) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, p := range m.pumps {
		wg.Go(func() { p.run(ctx) })
	}
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			wg.Wait()
			return
		case <-tick.C:
			if err := m.Prune(ctx); err != nil && ctx.Err() == nil {
				m.o.Log.Error("the journal of the sinks was not pruned", "err", err)
			}
		}
	}
}

// Drain sends what waits, to each sink until nothing is left or it fails.
func (m *Manager) Drain(ctx context.Context) error {
	var errs []error
	for _, p := range m.pumps {
		errs = append(errs, p.drain(ctx))
	}
	return errors.Join(errs...)
}

// Prune removes from the journal what no sink needs.
func (m *Manager) Prune(ctx context.Context) error {
	before := m.o.Now().Add(-JournalAge)
	cursors, err := m.o.Store.ListExports(ctx, store.Everything())
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, p := range m.pumps {
		known[p.config.Name] = true
	}
	for _, c := range cursors {
		if !known[c.Sink] && c.MovedAt.Before(before) {
			if err := m.o.Store.ForgetExport(ctx, store.Everything(), c.Sink); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			m.o.Log.Warn("the place of a sink that is configured no longer was forgotten", "sink", c.Sink, "records_not_sent", c.Behind)
		}
	}
	_, err = m.o.Store.PruneExports(ctx, store.Everything(), before)
	return err
}

// Close closes the sinks; Run must have returned.
func (m *Manager) Close() error {
	var errs []error
	for _, p := range m.pumps {
		if err := p.sink.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close sink %s: %w", p.config.Name, err))
		}
	}
	return errors.Join(errs...)
}

// The states of a sink.
const (
	StateStarting = "starting" // nothing tried yet
	StateOK       = "ok"
	StateFailing  = "failing" // the last batch was not taken; it is tried again
)

// State is how a sink stands, for the API. It holds no secret.
type State struct {
	Name   string      `json:"name"`
	Type   string      `json:"type"`
	Target string      `json:"target"`
	Kinds  []wire.Kind `json:"kinds"`
	Format string      `json:"format"`
	State  string      `json:"state"`
	LastOK *time.Time  `json:"last_ok"` // null before the first
	// Error is why the last failed batch was not taken, also after others were.
	Error    string     `json:"error,omitempty"`
	ErrorAt  *time.Time `json:"error_at,omitempty"`
	Failures int        `json:"failures"` // in a row
	// Documents by what became of them, since the sink was first configured.
	Sent     int64 `json:"sent"`
	Dead     int64 `json:"dead_lettered"`
	Withheld int64 `json:"withheld"`
	Missed   int64 `json:"missed"`
	// LagRecords wait in the journal; the first of them since LagSeconds.
	LagRecords     int64   `json:"lag_records"`
	LagSeconds     float64 `json:"lag_seconds"`
	DeadLetterFile string  `json:"dead_letter_file"`
}

// States says how each sink stands, in the order of the configuration.
func (m *Manager) States(ctx context.Context) ([]State, error) {
	cursors, err := m.o.Store.ListExports(ctx, store.Everything())
	if err != nil {
		return nil, err
	}
	byName := map[string]store.ExportCursor{}
	for _, c := range cursors {
		byName[c.Sink] = c
	}
	out := make([]State, 0, len(m.pumps))
	for _, p := range m.pumps {
		c := byName[p.config.Name]
		s := State{Name: p.config.Name, Type: p.config.Type, Target: p.sink.Target(), Kinds: p.config.Kinds, Format: p.config.Format,
			Sent: c.Sent, Dead: c.Dead, Withheld: c.Withheld, Missed: c.Missed, LagRecords: c.Behind, DeadLetterFile: p.dead.path}
		if !c.Oldest.IsZero() {
			s.LagSeconds = max(0, m.o.Now().Sub(c.Oldest).Seconds())
		}
		p.mu.Lock()
		s.Error, s.Failures = p.lastErr, p.failures
		s.LastOK, s.ErrorAt = timeOrNil(p.lastOK), timeOrNil(p.lastErrAt)
		switch {
		case p.failures > 0:
			s.State = StateFailing
		case p.lastOK.IsZero():
			s.State = StateStarting
		default:
			s.State = StateOK
		}
		p.mu.Unlock()
		out = append(out, s)
	}
	return out, nil
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
