package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

// plain signs nothing: the command itself is its bytes.
type plain struct{ fail bool }

func (p *plain) SignCommand(c wire.Command) (seal.SignedCommand, error) {
	if p.fail {
		return nil, errors.New("no key")
	}
	return json.Marshal(c)
}

type serials struct {
	mu   sync.Mutex
	next uint64
}

func (s *serials) NextSerials(_ context.Context, _ store.Scope, _ string, n int) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.next + 1
	s.next += uint64(n)
	return first, nil
}

type world struct {
	t      *testing.T
	d      *Dispatcher
	sign   *plain
	mu     sync.Mutex
	time   time.Time
	config uint64
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, sign: &plain{}, time: time.Unix(1e9, 0)}
	w.d = New(w.sign, &serials{}, func(string) (uint64, json.RawMessage) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.config, fmt.Appendf(nil, `{"serial":%d}`, w.config)
	}, func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.time }, slog.New(slog.DiscardHandler))
	return w
}

func (w *world) forward(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

// poll polls once and answers the commands; it waits for one only if wait is set.
func (w *world) poll(taken uint64, wait time.Duration) []wire.Command {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	signed, err := w.d.Wait(ctx, seal.Host{ID: "h"}, seal.PollInfo{Taken: taken}, "addr")
	if err != nil {
		w.t.Fatal(err)
	}
	var out []wire.Command
	for _, s := range signed {
		var c wire.Command
		if err := json.Unmarshal(s, &c); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

const (
	short = 20 * time.Millisecond
	long  = 10 * time.Second
)

func (w *world) item(ref string, life time.Duration, happened *[]string) Item {
	var mu sync.Mutex
	say := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		*happened = append(*happened, ref+" "+what)
	}
	return Item{Type: wire.CommandRespond, Ref: ref, Expires: w.d.now().Add(life),
		Args:   func(time.Time) (json.RawMessage, error) { return json.RawMessage(`"` + ref + `"`), nil },
		Handed: func() { say("handed") }, Taken: func() { say("taken") }, Lost: func(string) { say("lost") }}
}

func (w *world) enqueue(it Item) {
	w.t.Helper()
	if err := w.d.Enqueue("h", it); err != nil {
		w.t.Fatal(err)
	}
}

func TestHandOverUntilTaken(t *testing.T) {
	w := newWorld(t)
	var log []string
	w.enqueue(w.item("a", time.Hour, &log))
	first := w.poll(0, long)
	if len(first) != 1 || first[0].Serial != 1 || first[0].Host != "h" || first[0].Nonce == "" {
		t.Fatalf("%+v", first)
	}
	// The reply was lost: the same command comes again, byte for byte, before what is newer.
	w.enqueue(w.item("b", time.Hour, &log))
	again := w.poll(0, long)
	if len(again) != 2 || again[0].Serial != 1 || again[0].Nonce != first[0].Nonce || again[1].Serial != 2 {
		t.Fatalf("%+v", again)
	}
	if c := w.poll(2, short); len(c) != 0 {
		t.Fatalf("what was taken came again: %+v", c)
	}
	if fmt.Sprint(log) != "[a handed b handed a taken b taken]" {
		t.Errorf("%v", log)
	}
}

func TestACommandNobodyAcceptsIsGivenUp(t *testing.T) {
	w := newWorld(t)
	var log []string
	w.enqueue(w.item("bad", time.Hour, &log))
	n := 0
	for range 20 {
		n += len(w.poll(0, short))
		w.forward(time.Minute)
	}
	if n != maxHandovers || log[len(log)-1] != "bad lost" {
		t.Errorf("handed over %d times: %v", n, log)
	}
	w.enqueue(w.item("good", time.Hour, &log))
	if c := w.poll(0, long); len(c) != 1 || c[0].Serial != 2 {
		t.Errorf("the queue is blocked: %+v", c)
	}
}

func TestExpired(t *testing.T) {
	w := newWorld(t)
	var log []string
	w.enqueue(w.item("late", time.Minute, &log))
	w.forward(2 * time.Minute)
	if c := w.poll(0, short); len(c) != 0 {
		t.Errorf("an expired command was handed over: %+v", c)
	}
	if fmt.Sprint(log) != "[late lost]" {
		t.Errorf("%v", log)
	}
	if w.d.Withdraw("h", "late") {
		t.Error("it still waits")
	}
}

func TestPollWakes(t *testing.T) {
	w := newWorld(t)
	got := make(chan []wire.Command)
	go func() { got <- w.poll(0, long) }()
	for w.d.Stats().Polls == 0 {
		time.Sleep(time.Millisecond)
	}
	if !w.d.Online("h") || w.d.Online("other") {
		t.Error("who polls is online")
	}
	var log []string
	w.enqueue(w.item("a", time.Hour, &log))
	if c := <-got; len(c) != 1 {
		t.Errorf("%+v", c)
	}
	// A newer poll ends the older.
	go func() { got <- w.poll(1, long) }()
	for w.d.Stats().Polls == 0 {
		time.Sleep(time.Millisecond)
	}
	go func() { got <- w.poll(1, long) }()
	if c := <-got; len(c) != 0 {
		t.Errorf("%+v", c)
	}
	w.enqueue(w.item("b", time.Hour, &log))
	if c := <-got; len(c) != 1 {
		t.Errorf("the newer poll got %+v", c)
	}
	w.forward(OnlineFor + time.Second)
	if w.d.Online("h") || len(w.d.OnlineHosts()) != 0 {
		t.Error("a host that left is online")
	}
	if s := w.d.Sightings()["h"]; s.Address != "addr" {
		t.Errorf("%+v", s)
	}
	if len(w.d.Sightings()) != 0 {
		t.Error("a sighting is told twice")
	}
}

func TestConfiguration(t *testing.T) {
	w := newWorld(t)
	if c := w.poll(0, short); len(c) != 0 {
		t.Fatalf("there is no configuration yet: %+v", c)
	}
	w.mu.Lock()
	w.config = 1
	w.mu.Unlock()
	if c := w.poll(0, long); len(c) != 1 || string(c[0].Args) != `{"serial":1}` {
		t.Fatalf("%+v", c)
	}
	if c := w.poll(1, short); len(c) != 0 {
		t.Fatalf("the configuration came twice: %+v", c)
	}
	// A host that lost it gets it again, but not while it may be on its way.
	w.d.Reported("h", 0)
	if c := w.poll(1, short); len(c) != 0 {
		t.Fatalf("at once: %+v", c)
	}
	w.forward(5 * time.Minute)
	w.d.Reported("h", 0)
	if c := w.poll(1, long); len(c) != 1 {
		t.Fatalf("after a while: %+v", c)
	}
}

func TestUnsignedIsLost(t *testing.T) {
	w := newWorld(t)
	var log []string
	w.sign.fail = true
	w.enqueue(w.item("a", time.Hour, &log))
	if c := w.poll(0, short); len(c) != 0 || fmt.Sprint(log) != "[a lost]" {
		t.Errorf("%+v %v", c, log)
	}
}

func TestQueueIsBounded(t *testing.T) {
	w := newWorld(t)
	var log []string
	for i := range maxQueued {
		w.enqueue(w.item(fmt.Sprint(i), time.Hour, &log))
	}
	if err := w.d.Enqueue("h", w.item("one more", time.Hour, &log)); err == nil {
		t.Error("the queue has no bound")
	}
	c := w.poll(0, long)
	if len(c) != seal.MaxCommands {
		t.Errorf("%d commands in one reply", len(c))
	}
	for i := range c {
		if c[i].Serial != uint64(i+1) || string(c[i].Args) != fmt.Sprintf(`"%d"`, i) {
			t.Fatalf("command %d: %+v", i, c[i])
		}
	}
	w.d.Forget("h")
	if s := w.d.Stats(); s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}
