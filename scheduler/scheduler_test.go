package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/wire"
)

// world is a host and a sink of the test's making.
type world struct {
	t       *testing.T
	dir     string
	now     time.Time
	answers map[string]Answer
	fail    map[string]error
	ran     []string
	cursors []uint64
	during  func(sql string)

	results  []wire.Result
	hits     []wire.Hit
	problems []wire.Problem
	sinkErr  error
	hostname string
	epoch    uint64
	boot     string
	max      int
	random   func(int64) int64
}

func newWorld(t *testing.T) *world {
	return &world{t: t, dir: t.TempDir(), now: time.Unix(1_700_000_000, 0).UTC(), answers: map[string]Answer{}, fail: map[string]error{}, boot: "b1"}
}

func (w *world) Run(_ context.Context, e Execution) (Answer, error) {
	w.ran = append(w.ran, e.SQL)
	w.cursors = append(w.cursors, e.Cursor)
	if w.during != nil {
		w.during(e.SQL)
	}
	a := w.answers[e.SQL]
	if err := w.fail[e.SQL]; err != nil {
		return a, err
	}
	a.Wall = time.Millisecond
	return a, nil
}

func (w *world) Result(r wire.Result) error {
	if w.sinkErr != nil {
		return w.sinkErr
	}
	w.results = append(w.results, r)
	return nil
}

func (w *world) Hit(h wire.Hit) error { w.hits = append(w.hits, h); return nil }

func (w *world) Problem(p wire.Problem) error { w.problems = append(w.problems, p); return nil }

// start begins a life of the agent.
func (w *world) start(config string) *Scheduler {
	w.t.Helper()
	random := w.random
	if random == nil {
		random = func(n int64) int64 { return n / 2 } // no splay
	}
	s, err := New(Options{Dir: w.dir, Runner: w, Sink: w, Now: func() time.Time { return w.now }, Hostname: w.hostname, GOOS: "linux",
		Epoch: w.epoch, Boot: w.boot, MaxResult: w.max, Random: random})
	if err != nil {
		w.t.Fatal(err)
	}
	s.SetPacks(parse(w.t, config))
	return s
}

func parse(t *testing.T, config string) *pack.Config {
	t.Helper()
	c, problems := pack.Load("test.yaml", []byte(config), nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return c
}

// pass lets time go on by whole seconds.
func (w *world) pass(s *Scheduler, d time.Duration) {
	for range int(d / time.Second) {
		w.now = w.now.Add(time.Second)
		s.Tick(context.Background(), w.now)
	}
}

func (w *world) tick(s *Scheduler) { s.Tick(context.Background(), w.now) }

// take returns the reports since the last call, in short.
func (w *world) take() string {
	var out []string
	for _, r := range w.results {
		if r.Snapshot {
			out = append(out, fmt.Sprintf("%s snapshot %d", r.Query, len(r.Added)))
			continue
		}
		s := fmt.Sprintf("%s #%d", r.Query, r.Counter)
		for _, row := range r.Added {
			s += " +" + rowText(row)
		}
		for _, row := range r.Removed {
			s += " -" + rowText(row)
		}
		out = append(out, s)
	}
	w.results = nil
	return strings.Join(out, "; ")
}

func rowText(r wire.Row) string {
	var parts []string
	for _, v := range r {
		parts = append(parts, v.String())
	}
	return strings.Join(parts, ",")
}

func rows(columns string, values ...[]any) Answer {
	a := Answer{Columns: strings.Split(columns, " "), Tables: []string{"t"}}
	for _, v := range values {
		row := wire.Row{}
		for _, x := range v {
			row = append(row, wire.ValueOf(x))
		}
		a.Rows = append(a.Rows, row)
	}
	return a
}

func r(v ...any) []any { return v }

func (w *world) want(got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("got  %s\nwant %s", got, want)
	}
}

const plain = "schedule: {q: {query: Q, interval: 10}}"

func TestDifference(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"] = rows("a b", r("x", 1), r("x", 1), r("y", nil))
	s := w.start(plain)
	w.tick(s)
	w.want(w.take(), "q #0 +x,1 +x,1 +y,")
	w.pass(s, 10*time.Second)
	w.want(w.take(), "")
	w.answers["Q"] = rows("a b", r("x", 1), r("y", ""), r("z", 1.0)) // one x fewer; NULL and '' are one
	w.pass(s, 10*time.Second)
	w.want(w.take(), "q #1 +z,1.0 -x,1")
	w.answers["Q"] = rows("a b", r("x", 1), r("y", nil), r("z", 1)) // 1 is not 1.0
	w.pass(s, 10*time.Second)
	w.want(w.take(), "q #2 +z,1 -z,1.0")
	w.answers["Q"] = rows("b a", r(1, "x"), r(nil, "y"), r(1, "z")) // the order of columns does not matter
	w.pass(s, 10*time.Second)
	w.want(w.take(), "")

	// Over a restart nothing is new; what changed meanwhile is.
	s = w.start(plain)
	w.pass(s, 20*time.Second)
	w.want(w.take(), "")
	w.answers["Q"] = rows("a b", r("x", 1), r("y", nil))
	s = w.start(plain)
	w.pass(s, 20*time.Second)
	w.want(w.take(), "q #3 -z,1")
	if len(w.problems) > 0 {
		t.Errorf("problems: %v", w.problems)
	}
}

func TestFirstAnswerIsReportedEvenIfEmpty(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"] = rows("a")
	s := w.start(plain)
	w.tick(s)
	w.pass(s, 20*time.Second)
	w.want(w.take(), "q #0")
}

func TestRemovedFalseAndSnapshot(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"] = rows("a", r("x"), r("y"))
	w.answers["S"] = rows("a", r("x"), r("y"))
	s := w.start("schedule: {q: {query: Q, interval: 10, removed: false}, s: {query: S, interval: 20, snapshot: true}}")
	w.tick(s)
	w.want(w.take(), "q #0 +x +y; s snapshot 2")
	w.answers["Q"] = rows("a", r("x"))
	w.pass(s, 10*time.Second)
	w.want(w.take(), "")
	w.answers["Q"] = rows("a", r("x"), r("y"))
	w.pass(s, 10*time.Second)
	w.want(w.take(), "q #2 +y; s snapshot 2") // the counter had moved on
}

func TestChangedSQLKeepsRowsAndColumns(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"] = rows("a b", r("x", 1), r("y", 2))
	s := w.start(plain)
	w.tick(s)
	w.take()
	w.answers["Q2"] = rows("a c", r("x", 3))
	s.SetPacks(parse(t, "schedule: {q: {query: Q2, interval: 10}}"))
	w.pass(s, 10*time.Second)
	if len(w.results) != 1 || strings.Join(w.results[0].Columns, " ") != "a c b" {
		t.Fatalf("%+v", w.results)
	}
	w.want(w.take(), "q #1 +x,3, -x,,1 -y,,2")
}

func TestEpochStartsOver(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"] = rows("a", r("x"))
	s := w.start(plain)
	w.tick(s)
	w.answers["Q"] = rows("a", r("x"), r("y"))
	w.pass(s, 10*time.Second)
	w.want(w.take(), "q #0 +x; q #1 +y")
	w.epoch = 7
	s = w.start(plain)
	w.pass(s, 10*time.Second)
	if len(w.results) == 1 && w.results[0].Epoch != 7 {
		t.Errorf("epoch %d", w.results[0].Epoch)
	}
	w.want(w.take(), "q #0 +x +y")
}

func TestEventsAreReportedOnce(t *testing.T) {
	w := newWorld(t)
	events := func(next uint64, v ...[]any) Answer {
		a := rows("a", v...)
		a.EventsOnly, a.Next = true, next
		return a
	}
	w.answers["Q"] = events(5, r("x"), r("x"))
	s := w.start(plain)
	w.tick(s)
	w.want(w.take(), "q #1 +x +x")
	w.answers["Q"] = events(9)
	w.pass(s, 10*time.Second)
	w.want(w.take(), "")
	w.answers["Q"] = events(12, r("x"))
	w.pass(s, 10*time.Second)
	w.want(w.take(), "q #2 +x")
	if got := fmt.Sprint(w.cursors); got != "[0 5 9]" {
		t.Errorf("cursors %s", got)
	}
	w.cursors = nil
	s = w.start(plain)
	w.pass(s, 10*time.Second)
	if got := fmt.Sprint(w.cursors); got != "[12]" {
		t.Errorf("cursor after a restart %s", got)
	}
	w.take()
	a := events(99)
	a.Missed = 40
	w.answers["Q"] = a
	w.pass(s, 10*time.Second)
	if len(w.problems) != 1 || !strings.Contains(w.problems[0].Error, "40 events") {
		t.Errorf("problems: %v", w.problems)
	}
}

func TestCutAnswer(t *testing.T) {
	w := newWorld(t)
	events := rows("a", r("x"))
	events.EventsOnly, events.Next, events.Cut = true, 8, true
	plain := rows("a", r("x"))
	plain.Cut = true
	w.answers["E"], w.answers["Q"] = events, plain
	w.fail["E"], w.fail["Q"] = errors.New("limit of rows"), errors.New("limit of rows")
	s := w.start("schedule: {e: {query: E, interval: 10}, q: {query: Q, interval: 10}}")
	w.tick(s)
	w.want(w.take(), "e #1 +x") // half of a difference would be wrong
	if len(w.problems) != 2 || !strings.Contains(w.problems[0].Error, "left out") {
		t.Errorf("problems %v", w.problems)
	}
	w.cursors = nil
	w.pass(s, 10*time.Second)
	if w.cursors[0] != 8 {
		t.Errorf("cursors %v", w.cursors)
	}
}

func TestFailedReportIsMadeAgain(t *testing.T) {
	for _, evented := range []bool{false, true} {
		w := newWorld(t)
		a := rows("a", r("x"))
		a.EventsOnly, a.Next = evented, 3
		w.answers["Q"] = a
		w.sinkErr = errors.New("disk full")
		s := w.start(plain)
		w.tick(s)
		w.want(w.take(), "")
		if len(w.problems) != 1 || s.Stats()[0].LastError == "" {
			t.Errorf("problems %v", w.problems)
		}
		w.sinkErr = nil
		w.pass(s, 10*time.Second)
		if evented {
			w.want(w.take(), "q #1 +x")
		} else {
			w.want(w.take(), "q #0 +x")
		}
		if w.cursors[1] != 0 {
			t.Errorf("the cursor moved on to %d", w.cursors[1])
		}
	}
}

const hitting = `
queries:
  q: {query: Q, interval: 10, severity: high, attack: [T1059], title: Netcat, when: "name = 'nc'", actions: [alert, terminate_process]}`

// TestCrashBetweenReportAndState takes the state back to what it was before
// the report, as a crash does, and expects the same hits.
func TestCrashBetweenReportAndState(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"] = rows("pid start_time_ns name cmdline", r(1, 10, "init", "init"))
	s := w.start(hitting)
	w.tick(s)
	before := copyDir(t, w.dir)
	w.answers["Q"] = rows("pid start_time_ns name cmdline", r(1, 10, "init", "init"), r(7, 70, "nc", "nc -l 1"), r(7, 70, "nc", "nc -l 1"))
	w.pass(s, 10*time.Second)
	first := slices.Clone(w.hits)
	if len(first) != 2 || first[0].ID == first[1].ID {
		t.Fatalf("hits %+v", first)
	}
	h := first[0]
	if h.Rule.ID != "pack_test_q" || h.Rule.Pack != "test" || h.Severity != wire.High || h.Title != "Netcat" || h.Table != "t" ||
		h.Process == nil || h.Process.PID != 7 || h.Process.StartTime != 70 || h.Entity != "nc nc -l 1" || h.Count != 1 ||
		len(h.Actions) != 1 || h.Actions[0].State != "observed" {
		t.Errorf("%+v", h)
	}
	w.dir, w.hits = before, nil
	s = w.start(hitting)
	w.pass(s, 10*time.Second)
	if len(w.hits) != 2 || w.hits[0].ID != first[0].ID || w.hits[1].ID != first[1].ID {
		t.Errorf("after the crash %+v, want the same hits", w.hits)
	}
	// The same row again later is another hit.
	w.answers["Q"] = rows("pid start_time_ns name cmdline", r(1, 10, "init", "init"))
	w.pass(s, 10*time.Second)
	w.answers["Q"] = rows("pid start_time_ns name cmdline", r(1, 10, "init", "init"), r(7, 70, "nc", "nc -l 1"))
	w.hits = nil
	w.pass(s, 10*time.Second)
	if len(w.hits) != 1 || w.hits[0].ID == first[0].ID {
		t.Errorf("later %+v", w.hits)
	}
}

func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestBaselineIsNoHit(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"] = rows("name", r("a"), r("b"))
	s := w.start("queries: {q: {query: Q, interval: 10, severity: low, baseline: true}}")
	w.tick(s)
	if len(w.hits) != 0 {
		t.Errorf("hits of the first answer: %+v", w.hits)
	}
	w.answers["Q"] = rows("name", r("a"), r("b"), r("c"))
	w.pass(s, 10*time.Second)
	if len(w.hits) != 1 || w.hits[0].Event[0].Value.String() != "c" {
		t.Errorf("hits: %+v", w.hits)
	}
}

func TestWhenWithAnUnknownColumnSaysSo(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"] = rows("name", r("a"))
	s := w.start("queries: {q: {query: Q, interval: 10, severity: low, when: \"nmae = 'a'\"}}")
	w.tick(s)
	if len(w.hits) != 0 || len(w.problems) != 1 || !strings.Contains(w.problems[0].Error, "did you mean name") {
		t.Errorf("hits %v, problems %v", w.hits, w.problems)
	}
	w.want(w.take(), "pack_test_q #0 +a")
}

func TestDenylist(t *testing.T) {
	config := "schedule: {q: {query: Q, interval: 10}, free: {query: F, interval: 10, denylist: false}, events: {query: E, interval: 10}}"
	for _, name := range []string{"q", "free", "events"} {
		w := newWorld(t)
		w.answers["Q"], w.answers["F"] = rows("a"), rows("a")
		e := rows("a")
		e.EventsOnly = true
		w.answers["E"] = e
		s := w.start(config)
		w.tick(s)
		// The agent dies while the query runs.
		crash := ""
		w.during = func(sql string) {
			if sql == map[string]string{"q": "Q", "free": "F", "events": "E"}[name] {
				crash = copyDir(t, w.dir)
			}
		}
		w.pass(s, 10*time.Second)
		w.during, w.dir, w.ran = nil, crash, nil
		if crash == "" {
			t.Fatal("the query did not run")
		}
		s = w.start("schedule: {other: {query: O, interval: 10}}") // the configuration comes late
		s.SetPacks(parse(t, config))
		w.pass(s, 20*time.Second)
		wantRuns := 2
		if name == "q" {
			wantRuns = 0
		}
		runs := 0
		for _, sql := range w.ran {
			if sql == map[string]string{"q": "Q", "free": "F", "events": "E"}[name] {
				runs++
			}
		}
		if runs != wantRuns {
			t.Errorf("%s ran %d times after a crash, want %d", name, runs, wantRuns)
		}
		if name != "q" {
			continue
		}
		for _, st := range s.Stats() {
			if st.Denylisted != (st.Name == "q") {
				t.Errorf("%s denylisted %v", st.Name, st.Denylisted)
			}
		}
		w.ran = nil
		s = w.start(config) // a restart does not help, a day does
		w.pass(s, 20*time.Second)
		if slices.Contains(w.ran, "Q") {
			t.Error("it ran after a restart")
		}
		w.now = w.now.Add(24 * time.Hour)
		w.pass(s, 20*time.Second)
		if !slices.Contains(w.ran, "Q") {
			t.Error("it did not run after a day")
		}
		// Other SQL is not to blame.
		w.dir = copyDir(t, crash)
		s = w.start("schedule: {q: {query: Q2, interval: 10}}")
		w.pass(s, 20*time.Second)
		if !slices.Contains(w.ran, "Q2") {
			t.Error("changed SQL did not run")
		}
		// Nor is the query when the machine went down.
		w.dir, w.boot, w.ran = copyDir(t, crash), "b2", nil
		s = w.start(config)
		w.pass(s, 20*time.Second)
		if !slices.Contains(w.ran, "Q") {
			t.Error("it did not run after a reboot")
		}
	}
}

func TestIntervalsAndSplay(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"] = rows("a")
	w.random = func(n int64) int64 { return n - 1 } // as late as can be
	config := "schedule: {q: {query: Q, interval: 100}}"
	s := w.start(config)
	w.tick(s)
	w.pass(s, 1100*time.Second)
	if n := len(w.ran); n != 11 {
		t.Errorf("%d runs in 1100 s at 110 s, want 11 with the first", n)
	}
	w.random, w.ran = func(int64) int64 { return 0 }, nil // would be 90 s
	s = w.start(config)
	w.pass(s, 1100*time.Second)
	if n := len(w.ran); n != 10 {
		t.Errorf("%d runs after a restart, want 10: the splay is kept", n)
	}
	w.ran = nil
	s = w.start("schedule: {q: {query: Q, interval: 200}}")
	w.pass(s, 1800*time.Second)
	if n := len(w.ran); n != 10 {
		t.Errorf("%d runs at 180 s, want 10: another interval gets another splay", n)
	}
	w.ran = nil
	w.now = w.now.Add(time.Hour) // the clock jumps: once, not twenty times
	w.tick(s)
	w.now = w.now.Add(-2 * time.Hour)
	w.tick(s)
	w.pass(s, 180*time.Second)
	if n := len(w.ran); n != 2 {
		t.Errorf("%d runs over jumps of the clock, want 2", n)
	}
	s = w.start("schedule: {d: {query: Q}}")
	if got := s.Stats()[0].Interval; got != 30*time.Second {
		t.Errorf("default interval %v", got)
	}
}

func TestStartupOrder(t *testing.T) {
	w := newWorld(t)
	config := "schedule: {a: {query: A, interval: 1000}, b: {query: B, interval: 1000, startup_priority: 2}, c: {query: C, interval: 1000, startup_priority: 1}}"
	s := w.start(config)
	w.tick(s)
	w.want(strings.Join(w.ran, ""), "CBA")
	w.ran = nil
	s = w.start(config)
	w.tick(s)
	w.want(strings.Join(w.ran, ""), "CB") // a has run before
}

func TestConditionsOfTheHost(t *testing.T) {
	w := newWorld(t)
	w.hostname = "localhost" // shard 20
	for _, q := range []string{"A", "B", "C", "D", "E", "F"} {
		w.answers[q] = rows("a")
	}
	w.answers["yes"] = rows("a", r(1))
	s := w.start(`
packs:
  lin: {platform: linux, queries: {a: {query: A, interval: 10, platform: windows}, b: {query: B, interval: 10, version: "99.0"}, c: {query: C, interval: 10, shard: 19}, d: {query: D, interval: 10, shard: 20}}}
  disc: {discovery: ["yes", "no"], queries: {e: {query: E, interval: 10}}}
  win: {platform: windows, queries: {f: {query: F, interval: 10}}}`)
	w.tick(s)
	w.want(strings.Join(w.ran, " "), "yes no D")
	w.ran = nil
	w.answers["no"] = rows("a", r(1))
	w.pass(s, 20*time.Second)
	w.want(strings.Join(w.ran, " "), "D D") // the discovery's answer holds for an hour
	w.ran = nil
	w.now = w.now.Add(time.Hour)
	w.tick(s)
	w.want(strings.Join(w.ran, " "), "yes no E D")
	var names []string
	for _, k := range s.Skipped() {
		names = append(names, k.Name)
	}
	w.want(strings.Join(names, " "), "pack_lin_a pack_lin_b pack_lin_c pack_win_f")
}

func TestDecorators(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"] = rows("a", r("x"))
	w.answers["L"], w.answers["A"], w.answers["I"] = rows("uuid", r("u")), rows("load", r(1)), rows("n", r(5), r(6))
	w.fail["bad"] = errors.New("no such table")
	config := "schedule: {q: {query: Q, interval: 10, snapshot: true}}\ndecorators: {load: [L], always: [A, bad], interval: {60: [I]}}"
	s := w.start(config)
	w.tick(s)
	w.answers["A"] = rows("load", r(2))
	w.pass(s, 10*time.Second)
	if len(w.results) != 2 {
		t.Fatal(w.results)
	}
	for i, want := range []string{"load=1 n=5 uuid=u ", "load=2 n=5 uuid=u "} {
		got := ""
		for _, f := range w.results[i].Decorations {
			got += f.Name + "=" + f.Value.String() + " "
		}
		w.want(got, want)
	}
	count := func(sql string) (n int) {
		for _, x := range w.ran {
			if x == sql {
				n++
			}
		}
		return n
	}
	w.pass(s, 60*time.Second)
	if count("L") != 1 || count("I") != 2 || count("A") != 8 {
		t.Errorf("asked load %d, interval %d, always %d times", count("L"), count("I"), count("A"))
	}
	if len(w.problems) != 1 { // told once an hour
		t.Errorf("problems %v", w.problems)
	}
}

func TestFailedQueryKeepsItsRows(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"] = rows("a", r("x"))
	s := w.start(plain)
	w.tick(s)
	w.fail["Q"] = errors.New("not supported here")
	w.pass(s, 20*time.Second)
	delete(w.fail, "Q")
	w.pass(s, 10*time.Second)
	w.want(w.take(), "q #0 +x")
	if len(w.problems) != 1 || w.problems[0].Source != "query q" {
		t.Errorf("problems %v", w.problems)
	}
	if st := s.Stats()[0]; st.Executions != 4 || st.LastError != "" || st.Wall != 2*time.Millisecond || st.OutputSize == 0 || st.Rows != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestCorruptStateIsSetAside(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"flipped": func(b []byte) []byte { b[len(b)-3] ^= 1; return b },
		"empty":   func([]byte) []byte { return nil },
		"text":    func([]byte) []byte { return []byte("hello\nworld\n") },
	} {
		w := newWorld(t)
		w.answers["Q"] = rows("a", r("x"))
		s := w.start(plain)
		w.tick(s)
		w.take()
		path := s.dir.path("q")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, damage(b), 0o600); err != nil {
			t.Fatal(err)
		}
		s = w.start(plain)
		w.tick(s)
		w.want(w.take(), "q #0 +x")
		if len(w.problems) != 1 || !strings.Contains(w.problems[0].Error, "set aside as "+filepath.Base(path)+".corrupt-") {
			t.Errorf("%s: problems %v", name, w.problems)
		}
		if files, _ := filepath.Glob(path + ".corrupt-*"); len(files) != 1 {
			t.Errorf("%s: set aside %v", name, files)
		}
	}
}

func TestStateLostWhileRunning(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"] = rows("a", r("x"))
	s := w.start(plain)
	w.tick(s)
	if err := os.Remove(s.dir.path("q")); err != nil {
		t.Fatal(err)
	}
	w.take()
	w.answers["Q"] = rows("a", r("y"))
	w.pass(s, 10*time.Second)
	w.want(w.take(), "q #0 +y")
	if len(w.problems) != 1 {
		t.Errorf("problems %v", w.problems)
	}
}

func TestLargeResultIsSplit(t *testing.T) {
	w := newWorld(t)
	w.max = 4000
	var many [][]any
	for i := range 100 {
		many = append(many, r(i, strings.Repeat("x", 100)))
	}
	many = append(many, r(100, strings.Repeat("long ", 5000)))
	w.answers["Q"] = rows("n text", many...)
	s := w.start(plain)
	w.tick(s)
	seen := 0
	for i, p := range w.results {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 4500 || p.Part != i+1 || p.Parts != len(w.results) || p.Counter != 0 {
			t.Errorf("part %d of %d: %d bytes", p.Part, p.Parts, len(text))
		}
		for _, row := range p.Added {
			if row[0].Any() != int64(seen) {
				t.Fatalf("row %v, want %d", row[0], seen)
			}
			seen++
		}
	}
	if seen != 101 || len(w.results) < 4 {
		t.Errorf("%d rows in %d parts", seen, len(w.results))
	}
	if len(w.problems) != 1 || !strings.Contains(w.problems[0].Error, "too large") {
		t.Errorf("problems %v", w.problems)
	}
	w.take()
	w.pass(s, 10*time.Second)
	w.want(w.take(), "") // what was cut is not new again
}

func TestSetPacksWhileRunning(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"], w.answers["R"] = rows("a", r("x")), rows("a", r("r"))
	s := w.start("schedule: {q: {query: Q, interval: 10}, r: {query: R, interval: 10}}")
	w.tick(s)
	w.take()
	s.SetPacks(parse(t, plain))
	w.pass(s, 10*time.Second)
	if len(s.Stats()) != 1 || s.Stats()[0].Executions != 2 {
		t.Errorf("stats %+v", s.Stats())
	}
	s.SetPacks(parse(t, "schedule: {q: {query: Q, interval: 10}, r: {query: R, interval: 10}}"))
	w.pass(s, 10*time.Second)
	w.want(w.take(), "") // r came back and its rows are not new
	s.SetPacks(parse(t, plain))
	w.now = w.now.Add(8 * 24 * time.Hour)
	s.SetPacks(parse(t, plain))
	s.SetPacks(parse(t, "schedule: {r: {query: R, interval: 10}}"))
	w.tick(s)
	w.want(w.take(), "r #0 +r") // forgotten after a week
	w.problems = nil
	s.SetPacks(parse(t, "schedule: {}"))
	w.pass(s, 20*time.Second)
	w.want(w.take(), "")
}

func TestNewOptions(t *testing.T) {
	if _, err := New(Options{Dir: t.TempDir()}); err == nil {
		t.Error("a scheduler without a runner was made")
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	if _, err := New(Options{Dir: file, Runner: w, Sink: w}); err == nil {
		t.Error("a file was taken for a directory")
	}
}

func FuzzParseState(f *testing.F) {
	st := newState("q")
	st.Columns, st.Rows = []string{"a"}, []wire.Row{{wire.ValueOf("x")}}
	dir := store{dir: f.TempDir(), now: time.Now}
	if err := dir.write(st); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(dir.path("q"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(stateMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := parseState("q", b)
		if err == nil {
			rowKeys(st.Columns, st.Rows)
		}
	})
}

func TestOddValuesAreNotNewAfterARestart(t *testing.T) {
	w := newWorld(t)
	w.answers["Q"] = rows("a b", r("x\xff\xfe", math.NaN()), r([]byte{0xff, 0}, int64(math.MaxInt64)), r(math.Inf(1), -0.0))
	s := w.start(plain)
	w.tick(s)
	w.take()
	s = w.start(plain)
	w.pass(s, 20*time.Second)
	w.want(w.take(), "")
}

// slowRunner answers until it is told to go on.
type slowRunner struct{ begun, goOn chan struct{} }

func (r slowRunner) Run(context.Context, Execution) (Answer, error) {
	r.begun <- struct{}{}
	<-r.goOn
	return Answer{Columns: []string{"a"}}, nil
}

func TestPacksChangeBetweenQueries(t *testing.T) {
	w := newWorld(t)
	runner := slowRunner{make(chan struct{}), make(chan struct{})}
	s, err := New(Options{Dir: w.dir, Runner: runner, Sink: w, GOOS: "linux", Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	s.SetPacks(parse(t, "schedule: {a: {query: A, interval: 10}, b: {query: B, interval: 10}}"))
	done := make(chan struct{})
	go func() { defer close(done); s.Tick(context.Background(), w.now) }()
	<-runner.begun
	if n := len(s.Stats()); n != 2 { // as edr_schedule asks while it runs
		t.Errorf("%d queries", n)
	}
	set := make(chan struct{})
	go func() { defer close(set); s.SetPacks(parse(t, "schedule: {c: {query: C, interval: 10}}")) }()
	runner.goOn <- struct{}{}
	for {
		select {
		case <-runner.begun: // b, if it came before the packs
			runner.goOn <- struct{}{}
			continue
		case <-done:
		}
		break
	}
	<-set
	if st := s.Stats(); len(st) != 1 || st[0].Name != "c" {
		t.Errorf("stats %+v", st)
	}
}
