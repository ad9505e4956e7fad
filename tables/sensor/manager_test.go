package sensor

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor/eventlog"
)

// fake is a mechanism whose behaviour a test decides.
type fake struct {
	name string

	mu     sync.Mutex
	broken error
	runs   []*fakeRun
}

type fakeRun struct {
	out    Publisher
	done   chan struct{}
	once   sync.Once
	err    error
	closed bool
	drain  time.Duration
	detail string
}

func (f *fake) Name() string { return f.name }

func (f *fake) Start(_ context.Context, out Publisher) (Running, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return nil, f.broken
	}
	r := &fakeRun{out: out, done: make(chan struct{})}
	f.runs = append(f.runs, r)
	return r, nil
}

func (f *fake) set(broken error) {
	f.mu.Lock()
	f.broken = broken
	f.mu.Unlock()
}

func (f *fake) last() *fakeRun {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.runs[len(f.runs)-1]
}

func (r *fakeRun) Done() <-chan struct{}    { return r.done }
func (r *fakeRun) Err() error               { return r.err }
func (r *fakeRun) SetDrain(d time.Duration) { r.drain = d }
func (r *fakeRun) Describe() (string, bool) { return r.detail, r.detail != "" }

func (r *fakeRun) Close() error {
	r.closed = true
	r.once.Do(func() { close(r.done) })
	return nil
}

func (r *fakeRun) die(err error) {
	r.err = err
	r.once.Do(func() { close(r.done) })
}

func ev(pid int64) *event.Exec {
	e := &event.Exec{}
	e.PID = pid
	e.At(time.Unix(1_800_000_000, pid))
	return e
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

func TestEventsReachLogAndSubscribers(t *testing.T) {
	log, err := eventlog.Open(eventlog.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	mech := &fake{name: "best"}
	m := NewManager([]Spec{{Name: "process", Tables: []string{"process_events", "process_exit_events"}, Mechanisms: []Mechanism{mech}}}, log, Options{})
	sub := m.Subscribe("rules", 10000)
	m.Start(t.Context())
	const total = 5000
	var wg sync.WaitGroup
	for w := range int64(4) {
		wg.Go(func() {
			for i := w; i < total; i += 4 {
				mech.last().out.Publish(ev(i))
			}
		})
	}
	wg.Wait()
	m.Close()
	var got int
	last := uint64(0)
	for batch := range sub.C {
		for _, e := range batch {
			if id := e.Head().ID(); id != last+1 {
				t.Fatalf("event %d after %d", id, last)
			}
			last++
			got++
		}
	}
	if got != total || sub.Missed() != 0 || log.LastID() != total {
		t.Errorf("subscriber got %d and missed %d, log has %d, of %d", got, sub.Missed(), log.LastID(), total)
	}
	s := m.Status()[0]
	if s.Events != total || s.Table != "process_events,process_exit_events" || !s.LastEvent.Equal(time.Unix(1_800_000_000, total-1)) {
		t.Errorf("status %+v", s)
	}
	if !mech.last().closed {
		t.Error("the mechanism was not closed")
	}
}

func TestFallsOverAndComesBack(t *testing.T) {
	best, next := &fake{name: "ebpf", broken: errors.New("no BTF here")}, &fake{name: "audit"}
	m := NewManager([]Spec{
		{Name: "process", Tables: []string{"process_events"}, Mechanisms: []Mechanism{best, next}},
		{Name: "file", Tables: []string{"file_events"}, Mechanisms: []Mechanism{&fake{name: "x"}}},
		{Name: "socket", Mechanisms: []Mechanism{&fake{name: "y", broken: errors.New("no")}}},
	}, nil, Options{Off: []string{"file"}, Retry: 20 * time.Millisecond, RetryMax: 40 * time.Millisecond})
	m.Start(t.Context())
	defer m.Close()
	s := m.Status()
	if s[0].State != StateDegraded || s[0].Mechanism != "audit" || !strings.Contains(s[0].Detail, "no BTF here") {
		t.Errorf("process %+v", s[0])
	}
	if s[1].State != StateOff || s[2].State != StateFailed || s[2].Detail != "y: no" {
		t.Errorf("file %+v\nsocket %+v", s[1], s[2])
	}
	best.set(nil)
	old := next.last()
	until(t, "back on the better one", func() bool { return m.Status()[0].State == StateRunning })
	until(t, "the worse mechanism is closed", func() bool {
		select {
		case <-old.done:
			return true
		default:
			return false
		}
	})
	old.out.Publish(ev(1))
	if n := m.Status()[0].Events; n != 0 {
		t.Errorf("%d events of a mechanism that was replaced", n)
	}
	best.set(errors.New("gone"))
	best.last().die(errors.New("ring broke"))
	until(t, "on the worse one after the better died", func() bool { return m.Status()[0].Mechanism == "audit" })
	st := m.Status()[0]
	if st.Gaps != 1 || !strings.Contains(st.Detail, "ring broke") {
		t.Errorf("status %+v", st)
	}
}

func TestLossIsSeenByCause(t *testing.T) {
	mech := &fake{name: "best"}
	m := NewManager([]Spec{{Name: "process", Mechanisms: []Mechanism{mech}}}, nil, Options{QueueBytes: 1})
	m.Start(t.Context())
	defer m.Close()
	out := mech.last().out
	out.Lost(3, "ring buffer full")
	out.Lost(4, "ring buffer full")
	out.Lost(0, "sequence gap on cpu 1")
	out.Publish(ev(1))
	s := m.Status()[0]
	if s.Lost != 8 || s.Gaps != 4 {
		t.Errorf("lost %d in %d times, want 8 in 4", s.Lost, s.Gaps)
	}
	for _, want := range []string{"ring buffer full: 7, 2 times", "sequence gap on cpu 1: unknown number", "log queue full: 1"} {
		if !strings.Contains(s.Detail, want) {
			t.Errorf("%q does not say %q", s.Detail, want)
		}
	}
	mech.last().detail = "/x does not exist"
	if s := m.Status()[0]; s.State != StateDegraded || !strings.Contains(s.Detail, "/x does not exist") {
		t.Errorf("status %+v", s)
	}
}

func TestSlowSubscriberMissesAndIsSeen(t *testing.T) {
	mech := &fake{name: "best"}
	m := NewManager([]Spec{{Name: "process", Mechanisms: []Mechanism{mech}}}, nil, Options{})
	slow, quick := m.Subscribe("slow", 10), m.Subscribe("quick", 1000)
	m.SetDrain(10 * time.Millisecond)
	m.Start(t.Context())
	if mech.last().drain != 10*time.Millisecond {
		t.Error("a mechanism started later does not have the drain set before")
	}
	for i := range int64(100) {
		mech.last().out.Publish(ev(i))
	}
	got := 0
	for got < 100 {
		got += len(<-quick.C)
	}
	until(t, "the slow one is behind", func() bool { return slow.Missed() >= 80 })
	var row *tables.SensorStatus
	for _, s := range m.Status() {
		if s.Name == "subscriber slow" {
			row = &s
		}
	}
	if row == nil || row.State != StateDegraded || row.Lost != slow.Missed() {
		t.Errorf("status %+v", row)
	}
	m.Close()
	rest := 0
	for b := range slow.C {
		rest += len(b)
	}
	if uint64(rest)+slow.Missed() != 100 {
		t.Errorf("slow got %d and missed %d of 100", rest, slow.Missed())
	}
	quick.Close()
	if late := m.Subscribe("late", 1); len(<-late.C) != 0 {
		t.Error("a subscription after the end yields events")
	}
}

func TestLogThatCannotKeepIsSaid(t *testing.T) {
	mech := &fake{name: "best"}
	m := NewManager([]Spec{{Name: "process", Mechanisms: []Mechanism{mech}}}, brokenLog{}, Options{})
	sub := m.Subscribe("rules", 10)
	m.Start(t.Context())
	defer m.Close()
	mech.last().out.Publish(ev(1))
	if got := <-sub.C; len(got) != 1 {
		t.Errorf("got %v", got)
	}
	if s := m.Status()[0]; !strings.Contains(s.Detail, "event log: disk full") {
		t.Errorf("status %+v", s)
	}
}

type brokenLog struct{}

func (brokenLog) Append([]event.Event) error { return errors.New("disk full") }

func (brokenLog) Gap([]string, time.Time, time.Time, string) {}

func TestLossIsSeenByQueriesOfThatTime(t *testing.T) {
	log, err := eventlog.Open(eventlog.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	mech := &fake{name: "best"}
	m := NewManager([]Spec{{Name: "process", Tables: []string{"process_events"}, Mechanisms: []Mechanism{mech}}}, log, Options{})
	m.Start(t.Context())
	mech.last().out.Publish(ev(1))
	mech.last().out.Lost(7, "ring buffer full")
	m.Close()
	for range 2 { // once from memory, once from the disk
		for table, want := range map[string]int{"process_events": 1, "file_events": 0} {
			for period, within := range map[time.Time]bool{time.Now().Add(-time.Minute): true, time.Now().Add(time.Minute): false} {
				var gaps int
				for _, err := range log.Read(t.Context(), tables.EventQuery{Table: table, From: period}) {
					var gap *tables.GapError
					if errors.As(err, &gap) && strings.Contains(gap.Reason, "sensor process lost: ring buffer full: 7") {
						gaps++
					} else if err != nil {
						t.Fatal(err)
					}
				}
				if within && gaps != want || !within && gaps != 0 {
					t.Errorf("%s from %v: %d gaps", table, period, gaps)
				}
			}
		}
		if err := log.Sync(); err != nil {
			t.Fatal(err)
		}
	}
}
