// Package governor holds the agent's average CPU use at a limit, in percent of
// one core, by pacing: work is made to wait and is not killed.
//
// What is limited. Queries, hashing and rules call Pace between batches of
// work, and wait there while the agent is over its limit. What they are
// charged with is the CPU time of the whole process since the last call, less
// what capture has reported by Exclude. The whole process and not the paced
// threads alone, because most of what a query costs besides itself, such as
// garbage collection, encoding and sending of its rows, is done by other
// threads; and because the operator looks at the process. Capture is left out
// and never waits: a reader of kernel events that sleeps loses them. Its
// threads measure themselves (they are locked to their goroutines) and report;
// what capture costs is shown beside the limit and not within it.
//
// The bucket. CPU time is a token bucket that holds a tenth of a minute's
// allowance and is filled with nine tenths of the limit. So small queries run
// at full speed after a quiet time, and over any minute the paced work still
// gets no more than the limit. Debt is bounded to a minute's allowance, which
// is also the longest wait: what happened before that minute is forgiven.
//
// The process clock costs microseconds to read, so Pace looks at it once a
// batch and not more often than each millisecond.
package governor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/aiedr/edr/tables"
)

const (
	// window is the time over which the limit holds.
	window = time.Minute
	// burst is the share of the window's allowance that the bucket holds.
	burst = 0.1
	// lookEvery is how often the process clock is read at most.
	lookEvery = time.Millisecond
	// sampleEvery is the distance of the samples behind the average.
	sampleEvery = time.Second
)

// clock is the outside world, which tests replace.
type clock interface {
	now() time.Time
	// cpu is what this process has used so far, in all threads.
	cpu() (time.Duration, error)
	// sleep waits for d, for the context or for wake, whichever comes first.
	sleep(ctx context.Context, d time.Duration, wake <-chan struct{})
}

// Governor is the CPU limiter of a process. It is safe for concurrent use.
type Governor struct {
	clock clock

	mu       sync.Mutex
	percent  float64
	tokens   time.Duration // CPU time that may be used; negative is debt
	looked   time.Time
	cpu      time.Duration // of the process, at looked
	excluded time.Duration // reported by capture, in all
	charged  time.Duration // of it, already taken into account
	wake     chan struct{} // closed when the limit changes

	samples []sample
	paced   time.Duration
	waits   int64
	stopped int64
	lastErr error
}

type sample struct {
	at           time.Time
	cpu, capture time.Duration
}

var _ tables.Pacer = (*Governor)(nil)

// New makes a governor with a limit in percent of one core. It fails where
// the CPU time of the process cannot be read.
func New(percent float64) (*Governor, error) { return newWith(percent, systemClock{}) }

func newWith(percent float64, c clock) (*Governor, error) {
	if err := check(percent); err != nil {
		return nil, err
	}
	cpu, err := c.cpu()
	if err != nil {
		return nil, fmt.Errorf("governor: read the CPU time of this process: %w", err)
	}
	now := c.now()
	g := &Governor{clock: c, percent: percent, looked: now, cpu: cpu, wake: make(chan struct{})}
	g.tokens = g.capacity()
	g.samples = []sample{{now, cpu, 0}}
	return g, nil
}

func check(percent float64) error {
	if !(percent > 0) || math.IsInf(percent, 0) {
		return fmt.Errorf("governor: a CPU limit of %v percent: it must be above 0, in percent of one core, such as 5.0", percent)
	}
	return nil
}

// SetLimit changes the limit, also for those who wait.
func (g *Governor) SetLimit(percent float64) error {
	if err := check(percent); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.look(true)
	g.percent = percent
	g.tokens = max(min(g.tokens, g.capacity()), -g.allowance())
	close(g.wake)
	g.wake = make(chan struct{})
	return nil
}

// allowance is the CPU time of a window.
func (g *Governor) allowance() time.Duration {
	return time.Duration(float64(window) * g.percent / 100)
}

func (g *Governor) capacity() time.Duration { return time.Duration(float64(g.allowance()) * burst) }

// rate is the CPU time that a second of wall time adds.
func (g *Governor) rate() float64 { return g.percent / 100 * (1 - burst) }

// Exclude reports CPU time of capture since its last report. It is not
// limited and not charged to the others.
func (g *Governor) Exclude(d time.Duration) {
	if d <= 0 {
		return
	}
	g.mu.Lock()
	g.excluded += d
	g.mu.Unlock()
}

// look brings the bucket up to date; without force only if the last look is
// old enough. The lock is held.
func (g *Governor) look(force bool) {
	now := g.clock.now()
	passed := now.Sub(g.looked)
	if passed < lookEvery && !force {
		return
	}
	cpu, err := g.clock.cpu()
	if err != nil {
		g.lastErr = err
		return
	}
	// Capture reports late rather than early: what was charged to the others
	// in the meantime comes back with the report.
	used := cpu - g.cpu - (g.excluded - g.charged)
	g.tokens += time.Duration(g.rate()*float64(max(passed, 0))) - used
	g.tokens = max(min(g.tokens, g.capacity()), -g.allowance())
	g.looked, g.cpu, g.charged = now, cpu, g.excluded
	g.sample(now)
}

// sample keeps the samples of the last window and one before it.
func (g *Governor) sample(now time.Time) {
	if last := g.samples[len(g.samples)-1]; now.Sub(last.at) < sampleEvery {
		return
	}
	g.samples = append(g.samples, sample{now, g.cpu, g.excluded})
	for len(g.samples) > 2 && now.Sub(g.samples[1].at) >= window {
		g.samples = g.samples[1:]
	}
}

// BudgetError says that a query cannot end within its deadline at this limit.
// errors.Is(err, context.DeadlineExceeded) holds.
type BudgetError struct {
	Percent    float64
	Wait, Left time.Duration
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("stopped: the agent is at its CPU limit of %g%% of a core and would have to wait %s, but the deadline is in %s: ask for less, give it more time, or raise the limit",
		e.Percent, e.Wait.Round(time.Millisecond), max(e.Left, 0).Round(time.Millisecond))
}

// Is makes it a deadline that was exceeded.
func (e *BudgetError) Is(target error) bool { return target == context.DeadlineExceeded }

// Pace returns when the caller may go on: at once within the limit, else when
// the debt has been waited for. It ends with the context's error, or with a
// BudgetError as soon as the wait cannot end before the context's deadline.
func (g *Governor) Pace(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		g.mu.Lock()
		g.look(false)
		wait := g.wait()
		if wait <= 0 {
			g.mu.Unlock()
			return nil
		}
		began := g.clock.now()
		if deadline, ok := ctx.Deadline(); ok && wait > deadline.Sub(began) {
			g.stopped++
			err := &BudgetError{Percent: g.percent, Wait: wait, Left: deadline.Sub(began)}
			g.mu.Unlock()
			return err
		}
		g.waits++
		wake := g.wake
		g.mu.Unlock()

		g.clock.sleep(ctx, wait, wake)

		g.mu.Lock()
		g.paced += g.clock.now().Sub(began)
		g.mu.Unlock()
	}
}

// wait is how long the debt takes to be filled up.
func (g *Governor) wait() time.Duration {
	if g.tokens >= 0 {
		return 0
	}
	return max(time.Duration(float64(-g.tokens)/g.rate()), lookEvery)
}

// Stats is what the governor has seen and done.
type Stats struct {
	Limit float64 // percent of one core
	// Average is the CPU use of the last minute without capture, and Capture
	// that of capture, both in percent of one core.
	Average, Capture float64
	Over             time.Duration // the time that the averages are over
	CaptureCPU       time.Duration // since the start
	Paced            time.Duration // waited, in all callers
	Waits            int64
	Stopped          int64 // how many callers were stopped for their deadline
	Debt             time.Duration
	Err              error // why the CPU time could not be read, if it could not
}

// Stats answers with a fresh reading.
func (g *Governor) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.look(true)
	s := Stats{
		Limit: g.percent, CaptureCPU: g.excluded, Paced: g.paced, Waits: g.waits, Stopped: g.stopped,
		Debt: max(-g.tokens, 0), Err: g.lastErr,
	}
	first := g.samples[0]
	s.Over = g.looked.Sub(first.at)
	if s.Over > 0 {
		capture := g.excluded - first.capture
		s.Capture = 100 * float64(capture) / float64(s.Over)
		s.Average = max(100*float64(g.cpu-first.cpu-capture)/float64(s.Over), 0)
	}
	return s
}

// Run reads the clock each second, so that the average is of the last minute
// also where nothing is paced. It returns with the context.
func (g *Governor) Run(ctx context.Context) {
	t := time.NewTicker(sampleEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			g.mu.Lock()
			g.look(true)
			g.mu.Unlock()
		}
	}
}

// systemClock is the machine's.
type systemClock struct{}

func (systemClock) now() time.Time              { return time.Now() }
func (systemClock) cpu() (time.Duration, error) { return processCPU() }

func (systemClock) sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-wake:
	}
}

var errNoClock = errors.New("this platform has no clock of a process")
