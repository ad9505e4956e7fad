// Package exporttest is the contract of a sink: each runs it whole, over a
// real journal, against the receiver that it is made for.
package exporttest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/export"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/store/sqlite"
	"github.com/aiedr/edr/wire"
)

// Receiver is what stands behind the sinks of one test; each test gets one
// that is empty.
type Receiver interface {
	// Config is the sink's configuration, as it stands in a file, without name.
	Config() string
	// Taken lists what the receiver has, in the order of taking where it has
	// one.
	Taken(t *testing.T) []Taken
	// Traits say what the receiver can.
	Traits() Traits
	// Down stops it and Up brings it back; what it had taken stays.
	Down(t *testing.T)
	Up(t *testing.T)
	// Poison makes a hit that the receiver refuses for good.
	Poison(t *testing.T, h *wire.Hit)
}

// Traits of a receiver.
type Traits struct {
	// Ordered: Taken is in order for each host and kind.
	Ordered bool
	// Overwrites: what is sent again replaces itself, so that Taken has it once.
	Overwrites bool
	// CanFail: Down and Up work.
	CanFail bool
	// Refuses: Poison works.
	Refuses bool
}

// Taken is a document as the receiver has it.
type Taken struct {
	ID   string
	Body json.RawMessage
}

// Run runs the contract; open makes an empty receiver for one test.
func Run(t *testing.T, open func(t *testing.T) Receiver) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Receiver)
	}{
		{"order", testOrder},
		{"restart", testRestart},
		{"sent again", testSentAgain},
		{"down", testDown},
		{"poison", testPoison},
		{"kinds", testKinds},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// world is a store with hosts, and managers on it.
type world struct {
	t    *testing.T
	db   *sqlite.DB
	dir  string
	r    Receiver
	next map[string]uint64
}

var all = store.Everything()

func newWorld(t *testing.T, r Receiver) *world {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "edr.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{t: t, db: db, dir: dir, r: r, next: map[string]uint64{}}
}

// manager makes a manager as a starting server would; more is further keys of
// the sink's configuration.
func (w *world) manager(s store.Exports, more string) *export.Manager {
	w.t.Helper()
	text := fmt.Sprintf(`[{"name":"sink",%s%s]`, more, strings.TrimPrefix(strings.TrimSpace(w.r.Config()), "{"))
	sinks, err := export.ParseConfig(json.RawMessage(text), w.dir, os.Getenv)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := export.New(w.t.Context(), export.Options{Store: s, Sinks: sinks, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) close(m *export.Manager) {
	w.t.Helper()
	if err := m.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) drain(m *export.Manager) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	if err := m.Drain(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// add has hosts deliver hits, results of three rows, and outcomes; each
// document is one of a kind.
func (w *world) add(hosts, rounds int, change func(host, round int, h *wire.Hit)) {
	w.t.Helper()
	ctx := w.t.Context()
	for host := range hosts {
		id := fmt.Sprintf("host-%d", host)
		if w.next[id] == 0 {
			if _, _, err := w.db.Enrol(ctx, all, nil, store.Host{ID: id, State: store.HostAdmitted, PublicKey: []byte(id), Fingerprint: id, EnrolledAt: time.Now(),
				Details: wire.HostDetails{Hostname: "name-" + id, Platform: "linux", OS: "Debian"}, Groups: []string{store.GroupAll}}, time.Now()); err != nil {
				w.t.Fatal(err)
			}
			if err := w.db.AdmitHost(ctx, all, id); err != nil && !errors.Is(err, store.ErrConflict) {
				w.t.Fatal(err)
			}
			w.next[id] = 1
		}
	}
	for round := range rounds {
		for host := range hosts {
			id := fmt.Sprintf("host-%d", host)
			at := time.Now()
			n := w.next[id]
			w.next[id] += 3
			hit := &wire.Hit{ID: fmt.Sprintf("%s-%d", id, n), Rule: wire.RuleRef{ID: "r", Name: "rule", Version: "1"}, Severity: wire.High, Title: "title",
				Attack: []string{"T1059.004"}, Time: at, Count: 1, Entity: fmt.Sprint(n), Table: "process_events",
				Event:   []wire.Field{{Name: "pid", Value: wire.ValueOf(int64(n))}, {Name: "path", Value: wire.ValueOf("/bin/sh")}},
				Process: &wire.Process{PID: int64(n), StartTime: 1, Path: "/bin/sh", UID: 0}}
			if change != nil {
				change(host, round, hit)
			}
			rows := &store.ResultBatch{Query: "q", Time: at, Columns: []string{"n", "text"}}
			for i := range 3 {
				rows.Added = append(rows.Added, json.RawMessage(fmt.Sprintf(`[%d,"x %d"]`, i, n)))
			}
			items := []store.Item{
				{Number: n, Hash: []byte{1}, Kind: wire.KindHit, Time: at, Hit: hit},
				{Number: n + 1, Hash: []byte{1}, Kind: wire.KindResult, Time: at, Result: rows},
				{Number: n + 2, Hash: []byte{1}, Kind: wire.KindOutcome, Time: at, Outcome: &wire.Outcome{ID: fmt.Sprint("r", n), Action: "terminate_process", State: "done", Time: at}},
			}
			if _, err := w.db.Receive(ctx, all, store.Delivery{Host: id, Outbox: "o", Items: items, Contiguous: n + 2, Time: at}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// journal lists what was journalled, in order.
func (w *world) journal() []store.ExportDocument {
	w.t.Helper()
	var out []store.ExportDocument
	var at store.ExportPosition
	for {
		p, err := w.db.ReadExport(w.t.Context(), all, at, 1000, 64<<20)
		if err != nil {
			w.t.Fatal(err)
		}
		out, at = append(out, p.Documents...), p.Next
		if !p.More {
			return out
		}
	}
}

// whole checks that the receiver has every document but those left out, each
// once, or at least once where that is allowed, and in each host's order.
func (w *world) whole(again bool, without ...string) {
	w.t.Helper()
	taken := w.r.Taken(w.t)
	have, bodies := map[string]int{}, map[string]string{}
	order := map[string][]string{} // ids by host and kind
	for _, d := range taken {
		have[d.ID]++
		body := compact(w.t, d.Body)
		if was, ok := bodies[d.ID]; ok && was != body {
			w.t.Errorf("document %s came with two contents:\n%s\n%s", d.ID, was, body)
		}
		bodies[d.ID] = body
	}
	want := map[string]bool{}
	wanted := map[string][]string{}
	streams := map[string]string{}
	for _, d := range w.journal() {
		if slices.Contains(without, d.ID) {
			if have[d.ID] > 0 {
				w.t.Errorf("document %s was taken", d.ID)
			}
			continue
		}
		want[d.ID] = true
		stream := d.Host + " " + string(d.Kind)
		streams[d.ID] = stream
		wanted[stream] = append(wanted[stream], d.ID)
		switch n := have[d.ID]; {
		case n == 0:
			w.t.Errorf("document %s (%s of %s) was missed", d.ID, d.Kind, d.Host)
		case n > 1 && !again:
			w.t.Errorf("document %s came %d times", d.ID, n)
		}
	}
	if len(want) == 0 {
		w.t.Fatal("the journal is empty: nothing was tested")
	}
	seen := map[string]bool{}
	for _, d := range taken {
		if !want[d.ID] {
			w.t.Errorf("document %s was taken, and never journalled", d.ID)
		}
		if !seen[d.ID] { // the first time counts
			seen[d.ID] = true
			order[streams[d.ID]] = append(order[streams[d.ID]], d.ID)
		}
	}
	if w.r.Traits().Ordered {
		for stream, ids := range wanted {
			if !slices.Equal(order[stream], ids) {
				w.t.Errorf("the documents of %s came out of order", stream)
			}
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

func compact(t *testing.T, text json.RawMessage) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("a document is no JSON: %v: %.200s", err, text)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func (w *world) state(m *export.Manager) export.State {
	w.t.Helper()
	states, err := m.States(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if len(states) != 1 {
		w.t.Fatalf("%d states of one sink", len(states))
	}
	return states[0]
}

// testOrder: more than some batches from several hosts arrive whole, once and
// in order.
func testOrder(t *testing.T, r Receiver) {
	w := newWorld(t, r)
	m := w.manager(w.db, "")
	defer w.close(m)
	w.add(3, 80, nil) // 1,200 documents
	w.drain(m)
	w.whole(false)
	s := w.state(m)
	if s.State != export.StateOK || s.Sent != 1200 || s.LagRecords != 0 || s.LastOK == nil || s.Error != "" {
		t.Fatalf("state %+v", s)
	}
}

// testRestart: another manager goes on where the first stopped.
func testRestart(t *testing.T, r Receiver) {
	w := newWorld(t, r)
	for range 3 {
		m := w.manager(w.db, "")
		w.add(2, 10, nil)
		w.drain(m)
		w.add(1, 5, nil) // not sent any more
		w.close(m)
	}
	m := w.manager(w.db, "")
	defer w.close(m)
	if s := w.state(m); s.LagRecords != 15 || s.State != export.StateStarting {
		t.Fatalf("after a restart: %+v", s)
	}
	w.drain(m)
	w.whole(false)
}

// lostMoves is a store whose first moves of a cursor fail: a crash between
// sending and remembering.
type lostMoves struct {
	*sqlite.DB
	left int
}

var errLost = errors.New("the cursor was not moved")

func (l *lostMoves) MoveExport(ctx context.Context, sc store.Scope, sink string, to store.ExportPosition, add store.ExportCounts, now time.Time) error {
	if l.left > 0 {
		l.left--
		return errLost
	}
	return l.DB.MoveExport(ctx, sc, sink, to, add, now)
}

// testSentAgain: what is sent twice carries the same id and content.
func testSentAgain(t *testing.T, r Receiver) {
	w := newWorld(t, r)
	m := w.manager(w.db, "") // makes the cursor
	w.close(m)
	w.add(2, 12, nil)
	m = w.manager(&lostMoves{w.db, 1}, "")
	if err := m.Drain(t.Context()); !errors.Is(err, errLost) {
		t.Fatalf("drain: %v", err)
	}
	w.close(m)
	m = w.manager(w.db, "")
	defer w.close(m)
	w.drain(m)
	w.whole(!r.Traits().Overwrites)
	if n, want := len(r.Taken(t)), 2*120; !r.Traits().Overwrites && n != want {
		t.Fatalf("taken %d times, want each of 120 twice", n)
	}
}

// testDown: a receiver that is away loses nothing, and its state says so.
func testDown(t *testing.T, r Receiver) {
	if !r.Traits().CanFail {
		t.Skip("this receiver is never away")
	}
	w := newWorld(t, r)
	m := w.manager(w.db, "")
	defer w.close(m)
	w.add(2, 5, nil)
	w.drain(m)
	r.Down(t)
	w.add(2, 5, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	err := m.Drain(ctx)
	cancel()
	if err == nil {
		t.Fatal("a receiver that is away took documents")
	}
	s := w.state(m)
	if s.State != export.StateFailing || s.Error == "" || s.Failures == 0 || s.LagRecords != 30 || s.Sent != 50 || s.LagSeconds <= 0 {
		t.Fatalf("state while it is away: %+v", s)
	}
	r.Up(t)
	w.drain(m)
	w.whole(true)
	if s := w.state(m); s.State != export.StateOK || s.Sent != 100 || s.LagRecords != 0 || s.Failures != 0 {
		t.Fatalf("state when it is back: %+v", s)
	}
}

// testPoison: what is refused for good is kept, counted, and holds nothing up.
func testPoison(t *testing.T, r Receiver) {
	if !r.Traits().Refuses {
		t.Skip("this receiver refuses nothing for good")
	}
	w := newWorld(t, r)
	m := w.manager(w.db, "")
	defer w.close(m)
	w.add(2, 2, nil)
	w.drain(m)
	w.add(2, 6, func(host, round int, h *wire.Hit) {
		if host == 1 && (round == 0 || round == 3) {
			h.Title = "a poisoned hit"
			r.Poison(t, h)
		}
	})
	var poisoned []string
	for _, d := range w.journal() {
		if d.Hit != nil && d.Hit.Title == "a poisoned hit" {
			poisoned = append(poisoned, d.ID)
		}
	}
	if len(poisoned) != 2 {
		t.Fatalf("%d poisoned hits in the journal", len(poisoned))
	}
	w.drain(m)
	w.whole(false, poisoned...)
	s := w.state(m)
	if s.State != export.StateOK || s.Dead != 2 || s.Sent != 78 || s.LagRecords != 0 {
		t.Fatalf("state: %+v", s)
	}
	f, err := os.Open(s.DeadLetterFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var dead []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var l struct {
			ID, Sink, Error string
			Document        json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if l.Sink != "sink" || l.Error == "" || !strings.Contains(string(l.Document), "a poisoned hit") {
			t.Errorf("dead letter %.300s", lines.Bytes())
		}
		dead = append(dead, l.ID)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(dead, poisoned) {
		t.Fatalf("dead letters %v, want %v", dead, poisoned)
	}
}

// testKinds: a sink that wants hits gets hits, and what was withheld counts.
func testKinds(t *testing.T, r Receiver) {
	w := newWorld(t, r)
	m := w.manager(w.db, `"kinds":["hit"],`)
	defer w.close(m)
	w.add(2, 3, nil)
	w.drain(m)
	var without []string
	for _, d := range w.journal() {
		if d.Kind != wire.KindHit {
			without = append(without, d.ID)
		}
	}
	w.whole(false, without...)
	if s := w.state(m); s.Sent != 6 || s.Withheld != 24 {
		t.Fatalf("state %+v", s)
	}
}
