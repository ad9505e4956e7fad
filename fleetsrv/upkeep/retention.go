package upkeep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
)

// Store is what is needed of the store.
type Store interface {
	store.Upkeep
	Values
}

// Run is what one run deleted.
type Run struct {
	Time    time.Time `json:"time"`
	Deleted Deleted   `json:"deleted"`
	// HeldBack counts results that are old enough and stay, because a sink
	// has not been sent them.
	HeldBack int64  `json:"held_back"`
	Error    string `json:"error"`
}

// Deleted counts what went.
type Deleted struct {
	Results int64 `json:"results"`
	Hits    int64 `json:"hits"`
	Alerts  int64 `json:"alerts"`
	Queries int64 `json:"queries"`
}

// Retention deletes what is old.
type Retention struct {
	store Store
	now   func() time.Time
	log   *slog.Logger
	mu    sync.Mutex
	last  *Run
	total Deleted
}

// New makes a Retention.
func New(s Store, now func() time.Time, log *slog.Logger) *Retention {
	return &Retention{store: s, now: now, log: log}
}

// LastRun is what the last run did; nil before the first.
func (r *Retention) LastRun() *Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Total counts what was deleted since the start.
func (r *Retention) Total() Deleted {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

const (
	every = time.Hour
	batch = 500
	// pause lets other writes through between two batches.
	pause = 20 * time.Millisecond
)

// Work deletes what is old now and then each hour, until ctx ends.
func (r *Retention) Work(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		r.Once(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Once deletes what is old now.
func (r *Retention) Once(ctx context.Context) *Run {
	now := r.now()
	run := &Run{Time: now.UTC()}
	var errs []error
	before := func(name string) (time.Time, bool) {
		days, err := Get(ctx, r.store, name)
		if err != nil {
			errs = append(errs, err)
			return time.Time{}, false
		}
		if days == 0 {
			return time.Time{}, true
		}
		return now.Add(-time.Duration(days) * 24 * time.Hour), true
	}
	unsent, ok := before(RetentionUnsent)
	for _, part := range []struct {
		setting string
		prune   func(context.Context, store.Scope, store.Pruning) (store.Pruned, error)
		count   *int64
		needs   bool
	}{
		{RetentionResults, r.store.PruneResults, &run.Deleted.Results, ok},
		{RetentionHits, r.store.PruneHits, &run.Deleted.Hits, true},
		{RetentionAlerts, r.store.PruneAlerts, &run.Deleted.Alerts, true},
		{RetentionQueries, r.store.PruneQueries, &run.Deleted.Queries, true},
	} {
		old, ok := before(part.setting)
		if !ok || !part.needs { // what is not known to be old stays
			continue
		}
		held, err := r.drain(ctx, part.prune, store.Pruning{Before: old, UnsentBefore: unsent, Limit: batch}, part.count)
		run.HeldBack += held
		if err != nil {
			errs = append(errs, err)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := errors.Join(errs...); err != nil {
		run.Error = err.Error()
		r.log.Error("what is old was not deleted whole", "err", err)
	}
	if d := run.Deleted; d != (Deleted{}) || run.HeldBack > 0 {
		r.log.Info("deleted what is old", "results", d.Results, "hits", d.Hits, "alerts", d.Alerts, "queries", d.Queries, "held_back", run.HeldBack)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = run
	r.total.Results += run.Deleted.Results
	r.total.Hits += run.Deleted.Hits
	r.total.Alerts += run.Deleted.Alerts
	r.total.Queries += run.Deleted.Queries
	return run
}

// drain deletes in batches until nothing old is left.
func (r *Retention) drain(ctx context.Context, prune func(context.Context, store.Scope, store.Pruning) (store.Pruned, error),
	p store.Pruning, count *int64) (held int64, err error) {
	for {
		done, err := prune(ctx, store.Everything(), p)
		if err != nil {
			return held, fmt.Errorf("delete what is older than %s: %w", p.Before.Format(time.RFC3339), err)
		}
		*count += done.Deleted
		held = done.HeldBack
		if !done.More {
			return held, nil
		}
		select {
		case <-ctx.Done():
			return held, ctx.Err()
		case <-time.After(pause):
		}
	}
}
