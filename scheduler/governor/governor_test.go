package governor

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
)

// fake is a clock that moves when it is told to, or slept on.
type fake struct {
	mu    sync.Mutex
	t     time.Time
	used  time.Duration
	slept []time.Duration
	reads int
	err   error
	hook  func() // called in each sleep
}

func newFake() *fake { return &fake{t: time.Unix(1_700_000_000, 0)} }

func (f *fake) now() time.Time { f.mu.Lock(); defer f.mu.Unlock(); return f.t }

func (f *fake) cpu() (time.Duration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	return f.used, f.err
}

func (f *fake) sleep(_ context.Context, d time.Duration, _ <-chan struct{}) {
	f.mu.Lock()
	f.t = f.t.Add(d)
	f.slept = append(f.slept, d)
	hook := f.hook
	f.mu.Unlock()
	if hook != nil {
		hook()
	}
}

// work passes wall time in which so much CPU is used.
func (f *fake) work(wall, cpu time.Duration) {
	f.mu.Lock()
	f.t = f.t.Add(wall)
	f.used += cpu
	f.mu.Unlock()
}

func governed(t *testing.T, percent float64, f *fake) *Governor {
	t.Helper()
	g, err := newWith(percent, f)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func total(ds []time.Duration) (sum time.Duration) {
	for _, d := range ds {
		sum += d
	}
	return sum
}

func TestHoldsTheLimitOverAnyMinute(t *testing.T) {
	for _, percent := range []float64{1, 5, 20, 100, 150} {
		f := newFake()
		g := governed(t, percent, f)
		type mark struct {
			at   time.Time
			used time.Duration
		}
		marks := []mark{{f.now(), 0}}
		ctx := context.Background()
		// Batches of two milliseconds of CPU on two busy threads, with a
		// quiet half minute in between, for four minutes.
		for f.now().Sub(marks[0].at) < 4*time.Minute {
			if err := g.Pace(ctx); err != nil {
				t.Fatal(err)
			}
			f.work(time.Millisecond, 2*time.Millisecond)
			marks = append(marks, mark{f.now(), f.used})
			if len(marks) == 2000 {
				f.work(30*time.Second, 0)
			}
		}
		// A batch is only known once it has run: one may be over.
		allowed := time.Duration(float64(window)*percent/100) + 2*time.Millisecond + lookEvery
		worst, j := time.Duration(0), 0
		for _, m := range marks {
			for m.at.Sub(marks[j].at) > window {
				j++
			}
			worst = max(worst, m.used-marks[j].used)
		}
		if worst > allowed {
			t.Errorf("%v%%: %v of CPU within a minute, allowed are %v", percent, worst, allowed)
		}
		whole := f.now().Sub(marks[0].at)
		if share := 100 * float64(f.used) / float64(whole); share < percent*0.8 {
			t.Errorf("%v%%: only %.2f%% were used: the limit is held too tightly", percent, share)
		}
	}
}

func TestSleepIsComputed(t *testing.T) {
	f := newFake()
	g := governed(t, 5, f)
	ctx := context.Background()
	// The bucket is full: a tenth of the 3 s that a minute has at 5 %.
	f.work(10*time.Millisecond, 300*time.Millisecond)
	if err := g.Pace(ctx); err != nil || len(f.slept) != 0 {
		t.Errorf("within the burst: slept %v, %v", f.slept, err)
	}
	f.work(0, 45*time.Millisecond)
	f.work(10*time.Millisecond, 0)
	if err := g.Pace(ctx); err != nil {
		t.Fatal(err)
	}
	// 45 ms of debt at 0.045 CPU seconds a second are a second, less what 20 ms gave.
	want := time.Second - 20*time.Millisecond
	if got := total(f.slept); got < want-time.Millisecond || got > want+5*time.Millisecond {
		t.Errorf("slept %v, want about %v", f.slept, want)
	}
	s := g.Stats()
	if s.Paced != total(f.slept) || s.Waits == 0 || s.Limit != 5 || s.Debt != 0 {
		t.Errorf("stats: %+v", s)
	}
}

func TestCaptureIsNotCharged(t *testing.T) {
	f := newFake()
	g := governed(t, 5, f)
	for range 100 {
		f.work(100*time.Millisecond, 80*time.Millisecond)
		g.Exclude(80 * time.Millisecond)
		if err := g.Pace(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.slept) != 0 {
		t.Errorf("capture of 80 %% made the others wait: %v", f.slept)
	}
	s := g.Stats()
	if s.CaptureCPU != 8*time.Second || math.Abs(s.Capture-80) > 0.1 || s.Average > 0.1 {
		t.Errorf("stats: %+v", s)
	}
	// A report that comes late gives back what was charged.
	f.work(100*time.Millisecond, 400*time.Millisecond)
	g.Stats()
	g.Exclude(400 * time.Millisecond)
	if s := g.Stats(); s.Debt != 0 {
		t.Errorf("after the report there still is a debt of %v", s.Debt)
	}
}

func TestOtherWorkIsCharged(t *testing.T) {
	f := newFake()
	g := governed(t, 10, f)
	f.work(time.Second, 2*time.Second) // nobody asked for it by Pace
	if err := g.Pace(context.Background()); err != nil || total(f.slept) < 10*time.Second {
		t.Errorf("slept %v, %v", total(f.slept), err)
	}
}

func TestDebtIsBounded(t *testing.T) {
	f := newFake()
	g := governed(t, 5, f)
	f.work(time.Hour, time.Hour)
	if err := g.Pace(context.Background()); err != nil {
		t.Fatal(err)
	}
	if slept := total(f.slept); slept > 70*time.Second || slept < 60*time.Second {
		t.Errorf("an hour at full load is paid by waiting %v", slept)
	}
}

func TestStopsAtTheDeadline(t *testing.T) {
	f := newFake()
	f.t = time.Now() // the context's deadline is by the machine's clock
	g := governed(t, 5, f)
	f.work(time.Second, 2*time.Second)
	ctx, cancel := context.WithDeadline(context.Background(), f.now().Add(10*time.Second))
	defer cancel()
	err := g.Pace(ctx)
	var budget *BudgetError
	if !errors.As(err, &budget) || !errors.Is(err, context.DeadlineExceeded) || budget.Left != 10*time.Second || budget.Wait < 30*time.Second {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), "CPU limit of 5% of a core") || len(f.slept) != 0 || g.Stats().Stopped != 1 {
		t.Errorf("%v, slept %v, %+v", err, f.slept, g.Stats())
	}
	cancel()
	if err := g.Pace(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestSetLimit(t *testing.T) {
	f := newFake()
	g := governed(t, 1, f)
	for _, bad := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if err := g.SetLimit(bad); err == nil {
			t.Errorf("%v passed", bad)
		}
		if _, err := newWith(bad, f); err == nil {
			t.Errorf("New with %v passed", bad)
		}
	}
	f.work(time.Second, time.Second)
	raised := false
	f.hook = func() {
		if !raised {
			raised = true
			f.mu.Lock()
			f.t = f.t.Add(-f.slept[0] + 100*time.Millisecond) // woken early
			f.mu.Unlock()
			if err := g.SetLimit(100); err != nil {
				t.Error(err)
			}
		}
	}
	if err := g.Pace(context.Background()); err != nil {
		t.Fatal(err)
	}
	if f.slept[0] < 30*time.Second || total(f.slept[1:]) > 2*time.Second || g.Stats().Limit != 100 {
		t.Errorf("slept %v", f.slept)
	}
}

func TestClockIsReadOnceAMillisecond(t *testing.T) {
	f := newFake()
	g := governed(t, 5, f)
	before := f.reads
	for range 10_000 {
		f.work(time.Microsecond, 0)
		if err := g.Pace(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.reads - before; n > 11 {
		t.Errorf("%d reads of the clock in 10 ms", n)
	}
	f.err = errors.New("no clock")
	f.work(time.Second, 0)
	if err := g.Pace(context.Background()); err != nil || g.Stats().Err == nil {
		t.Errorf("a clock that fails: %v, %+v", err, g.Stats())
	}
}

func TestAverageIsOfTheLastMinute(t *testing.T) {
	f := newFake()
	g := governed(t, 50, f)
	for range 300 {
		f.work(time.Second, 500*time.Millisecond)
		g.Stats()
	}
	for range 120 {
		f.work(time.Second, 20*time.Millisecond)
		g.Stats()
	}
	if s := g.Stats(); math.Abs(s.Average-2) > 0.01 || s.Over < window || s.Over > window+2*sampleEvery {
		t.Errorf("stats: %+v", s)
	}
	if len(g.samples) > 70 {
		t.Errorf("%d samples are kept", len(g.samples))
	}
}

// TestRealClock burns CPU under a real governor until it has had to wait, and
// holds the two clocks to the computed debt, not to any time of day.
func TestRealClock(t *testing.T) {
	if _, err := processCPU(); err != nil {
		testneed.Missing(t, "the CPU clock of the process: "+err.Error())
	}
	real := &recording{}
	g, err := newWith(5, real)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	enough := func() bool { real.mu.Lock(); defer real.mu.Unlock(); return real.sleeps >= 20 }
	for range 2 {
		group.Go(func() {
			for x := 1.0; !enough(); {
				for range 200_000 {
					x = math.Sqrt(x + 1)
				}
				if err := g.Pace(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	s := g.Stats()
	if s.Waits < 20 || s.Paced <= 0 || s.Err != nil {
		t.Errorf("stats: %+v", s)
	}
	// Each computed sleep pays a debt that batches of some milliseconds have
	// made: far from the minute that an error in the sums would give.
	if real.longest > 40*time.Second {
		t.Errorf("a sleep of %v was computed", real.longest)
	}
}

// recording is the machine's clock, with sleeps computed and cut short.
type recording struct {
	systemClock
	mu      sync.Mutex
	sleeps  int
	longest time.Duration
}

func (r *recording) sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	r.mu.Lock()
	r.sleeps++
	r.longest = max(r.longest, d)
	r.mu.Unlock()
	r.systemClock.sleep(ctx, min(d, 5*time.Millisecond), wake)
}
