package sensor

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aiedr/edr/tables"
)

// The states of a sensor.
const (
	StateRunning  = "running"
	StateDegraded = "degraded" // runs, but not on its best mechanism or not on all it should see
	StateFailed   = "failed"   // nothing runs
	StateOff      = "off"
)

// keeper keeps one sensor running.
type keeper struct {
	m       *Manager
	spec    Spec
	off     bool
	settled chan struct{} // closed after the first round of starting

	events    atomic.Uint64
	lastEvent atomic.Int64

	mu      sync.Mutex
	cur     int // index of the mechanism at work, -1 for none
	running Running
	pub     *publisher
	started time.Time
	tries   []try // per mechanism
	losses  losses
	owed    losses // not yet in the log
	owedAt  time.Time
}

// try is what is known of one mechanism.
type try struct {
	failures  int
	notBefore time.Time
	why       string // the last failure, empty when it runs
	since     time.Time
}

func newKeeper(m *Manager, spec Spec, off bool) *keeper {
	return &keeper{m: m, spec: spec, off: off, cur: -1, settled: make(chan struct{}), tries: make([]try, len(spec.Mechanisms))}
}

// run starts the best mechanism that works, waits until it dies or a better
// one is to be tried again, and so on until ctx ends.
func (k *keeper) run(ctx context.Context) {
	settled := false
	for {
		k.improve(ctx)
		if !settled {
			close(k.settled)
			settled = true
		}
		wait := k.untilRetry()
		timer := time.NewTimer(wait)
		var done <-chan struct{}
		k.mu.Lock()
		running := k.running
		k.mu.Unlock()
		if running != nil {
			done = running.Done()
		}
		select {
		case <-ctx.Done():
			timer.Stop()
			k.stop()
			return
		case <-done:
			timer.Stop()
			if ctx.Err() != nil { // it saw the context end before we did
				k.stop()
				return
			}
			k.died()
		case <-timer.C:
		}
	}
}

// improve tries the mechanisms that are better than the one at work.
func (k *keeper) improve(ctx context.Context) {
	now := k.m.o.Now()
	k.mu.Lock()
	limit := k.cur
	if limit < 0 {
		limit = len(k.spec.Mechanisms)
	}
	k.mu.Unlock()
	for i := range limit {
		if ctx.Err() != nil {
			return
		}
		if now.Before(k.tries[i].notBefore) {
			continue
		}
		pub := &publisher{k: k}
		r, err := startSafely(ctx, k.spec.Mechanisms[i], pub)
		if err != nil {
			k.failed(i, err)
			continue
		}
		if d := k.m.currentDrain(); d > 0 {
			if dr, ok := r.(Drainer); ok {
				dr.SetDrain(d)
			}
		}
		k.mu.Lock()
		old, oldPub := k.running, k.pub
		k.cur, k.running, k.pub, k.started = i, r, pub, now
		k.tries[i].why, k.tries[i].since = "", now
		k.mu.Unlock()
		k.m.o.Logger.Info("sensor runs", "sensor", k.spec.Name, "mechanism", k.spec.Mechanisms[i].Name())
		if old != nil {
			// The better one sees events already: the worse falls silent, so
			// that nothing is missed and next to nothing comes twice.
			if f, ok := old.(Flusher); ok {
				f.Flush()
			}
			oldPub.muted.Store(true)
			if err := old.Close(); err != nil {
				k.m.o.Logger.Warn("sensor: close", "sensor", k.spec.Name, "err", err)
			}
		}
		return
	}
}

func startSafely(ctx context.Context, mech Mechanism, out Publisher) (r Running, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = nil, fmt.Errorf("internal error: %v", p)
		}
	}()
	return mech.Start(ctx, out)
}

func (k *keeper) failed(i int, err error) {
	k.mu.Lock()
	t := &k.tries[i]
	first := t.why != err.Error()
	t.why = err.Error()
	wait := k.m.o.Retry << min(t.failures, 20)
	if wait <= 0 || wait > k.m.o.RetryMax {
		wait = k.m.o.RetryMax
	}
	t.failures++
	t.notBefore = k.m.o.Now().Add(wait)
	k.mu.Unlock()
	if first {
		k.m.o.Logger.Warn("sensor: mechanism cannot run", "sensor", k.spec.Name,
			"mechanism", k.spec.Mechanisms[i].Name(), "err", err, "next_try_in", wait)
	}
}

// died closes a mechanism that ended by itself. One that had run well is tried
// again at once; one that dies again and again waits longer each time.
func (k *keeper) died() {
	k.mu.Lock()
	i, r := k.cur, k.running
	k.cur, k.running, k.pub = -1, nil, nil
	ran := k.m.o.Now().Sub(k.tries[i].since)
	k.mu.Unlock()
	err := r.Err()
	if err == nil {
		err = fmt.Errorf("ended without a reason")
	}
	if cerr := r.Close(); cerr != nil {
		err = fmt.Errorf("%w; closing: %w", err, cerr)
	}
	name := k.spec.Mechanisms[i].Name()
	k.lost(0, name+" ended: "+err.Error())
	k.failed(i, fmt.Errorf("ended: %w", err))
	if ran > 2*k.m.o.Retry {
		k.mu.Lock()
		k.tries[i].failures, k.tries[i].notBefore = 0, time.Time{}
		k.mu.Unlock()
	}
}

// untilRetry is how long until a mechanism better than the one at work is due.
func (k *keeper) untilRetry() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	limit := k.cur
	if limit < 0 {
		limit = len(k.tries)
	}
	wait := k.m.o.RetryMax
	for _, t := range k.tries[:limit] {
		wait = min(wait, t.notBefore.Sub(k.m.o.Now()))
	}
	return max(wait, time.Millisecond)
}

func (k *keeper) stop() {
	k.mu.Lock()
	r := k.running
	k.running, k.cur = nil, -1
	k.mu.Unlock()
	if r == nil {
		return
	}
	if err := r.Close(); err != nil {
		k.m.o.Logger.Warn("sensor: close", "sensor", k.spec.Name, "err", err)
	}
}

func (k *keeper) setDrain(d time.Duration) {
	k.mu.Lock()
	r := k.running
	k.mu.Unlock()
	if dr, ok := r.(Drainer); ok {
		dr.SetDrain(d)
	}
}

// count notes a loss for the status.
func (k *keeper) count(n uint64, cause string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.losses.add(n, cause, k.m.o.Now())
}

// lost notes a loss for the status and for the log, where a query of that time
// finds it. Losses of a second go there together.
func (k *keeper) lost(n uint64, cause string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.m.o.Now()
	k.losses.add(n, cause, now)
	if k.owed.times == 0 {
		k.owedAt = now
		time.AfterFunc(time.Second, k.settleOwed)
	}
	k.owed.add(n, cause, now)
}

// settleOwed takes the losses that are not yet in the log there.
func (k *keeper) settleOwed() {
	k.mu.Lock()
	owed, from := k.owed, k.owedAt
	k.owed = losses{}
	k.mu.Unlock()
	if owed.times == 0 || k.m.log == nil {
		return
	}
	// What is noticed now happened since events were read last: a second covers it.
	k.m.log.Gap(k.spec.Tables, from.Add(-time.Second), k.m.o.Now(), "sensor "+k.spec.Name+" "+owed.String())
}

func (k *keeper) status() tables.SensorStatus {
	s := tables.SensorStatus{
		Name: k.spec.Name, Table: strings.Join(k.spec.Tables, ","), State: StateOff,
		Detail: "switched off in the configuration", Events: k.events.Load(),
	}
	if at := k.lastEvent.Load(); at != 0 {
		s.LastEvent = time.Unix(0, at)
	}
	if k.off {
		return s
	}
	k.mu.Lock()
	cur, r := k.cur, k.running
	s.Started, s.Lost, s.Gaps = k.started, k.losses.events, k.losses.times
	var detail []string
	s.State = StateFailed
	if cur >= 0 {
		s.State, s.Mechanism = StateRunning, k.spec.Mechanisms[cur].Name()
		if cur > 0 {
			s.State = StateDegraded
		}
	} else {
		cur = len(k.tries)
	}
	for i, t := range k.tries[:cur] {
		if t.why != "" {
			detail = append(detail, k.spec.Mechanisms[i].Name()+": "+t.why)
		}
	}
	if len(k.tries) == 0 {
		detail = append(detail, "there is no mechanism for this sensor on this operating system")
	}
	loss := k.losses.String()
	k.mu.Unlock()
	if d, ok := r.(Describer); ok {
		text, degraded := d.Describe()
		if text != "" {
			detail = append(detail, text)
		}
		if degraded {
			s.State = StateDegraded
		}
	}
	if loss != "" {
		detail = append(detail, loss)
	}
	s.Detail = strings.Join(detail, "; ")
	return s
}
