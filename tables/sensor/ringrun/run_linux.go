package ringrun

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aiedr/edr/tables/bpf"
	"github.com/aiedr/edr/tables/sensor"
)

// Programs are loaded and attached eBPF programs with one ring.
type Programs interface {
	Run(handle func(raw []byte), drained func([]bpf.Loss)) error
	Detach() error
	Close() error
	Skipped() (uint64, error)
	SetInterval(time.Duration)
}

// Run is programs at work; it implements sensor.Running and sensor.Drainer.
type Run struct {
	Clock bpf.Clock // for the handlers only

	programs Programs
	interval time.Duration
	out      sensor.Publisher
	after    func(lost bool)

	skipped     uint64
	skippedSeen time.Time

	unwatch  func() bool
	closing  sync.Once
	closeErr error
	done     chan struct{}
	err      error
}

// skipEvery is the time between two looks at what the kernel skipped.
const skipEvery = 10 * time.Second

// New makes a run; Start begins it. handle gets every record, after is called
// when the ring is empty; both from one goroutine.
func New(p Programs, interval time.Duration, out sensor.Publisher) *Run {
	if interval == 0 {
		interval = bpf.Interval
	}
	return &Run{programs: p, interval: interval, out: out, done: make(chan struct{})}
}

// Start begins to hand out records until the context ends or Close. gone is
// called when the last was handed out.
func (r *Run) Start(ctx context.Context, handle func(raw []byte), after func(lost bool), gone func()) {
	r.after = after
	go func() {
		defer close(r.done)
		defer sensor.Metered(ctx)()
		err := r.programs.Run(handle, r.drained)
		r.countSkipped()
		gone()
		r.err = errors.Join(err, r.programs.Close())
	}()
	r.unwatch = context.AfterFunc(ctx, r.detach)
}

func (r *Run) drained(lost []bpf.Loss) {
	r.Clock.Measure()
	for _, l := range lost {
		r.out.Lost(l.N, l.Cause)
	}
	missed := len(lost) > 0
	if time.Since(r.skippedSeen) > skipEvery {
		missed = r.countSkipped() || missed
	}
	r.after(missed)
}

// countSkipped tells of what the kernel skipped since the last look.
func (r *Run) countSkipped() bool {
	r.skippedSeen = time.Now()
	n, err := r.programs.Skipped()
	if err != nil || n <= r.skipped {
		return false
	}
	r.out.Lost(n-r.skipped, "program skipped by the kernel")
	r.skipped = n
	return true
}

// Done is closed when the programs are gone.
func (r *Run) Done() <-chan struct{} { return r.done }

// Err says why the run stopped.
func (r *Run) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

// Close detaches the programs, hands out what is left and frees everything.
func (r *Run) Close() error {
	if r.unwatch != nil {
		r.unwatch()
	}
	r.detach()
	<-r.done
	return r.closeErr
}

func (r *Run) detach() {
	r.closing.Do(func() { r.closeErr = r.programs.Detach() })
}

// SetDrain sets for how long records gather; 0 brings back the configured time.
func (r *Run) SetDrain(d time.Duration) {
	if d <= 0 {
		d = r.interval
	}
	r.programs.SetInterval(d)
}
