package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/wire"
)

// station is a server that hands out commands once and takes answers.
type station struct {
	mu       sync.Mutex
	refusals []error // of Enrol, in turn
	commands chan []wire.Command
	answers  chan wire.Answer
	failures int // answers refused before one is taken
	enrols   int
}

func (s *station) Enrol(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enrols++
	if len(s.refusals) == 0 {
		return nil
	}
	err := s.refusals[0]
	s.refusals = s.refusals[1:]
	return err
}

func (s *station) Poll(ctx context.Context) ([]wire.Command, error) {
	select {
	case c := <-s.commands:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *station) Answer(ctx context.Context, a wire.Answer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures > 0 {
		s.failures--
		return errors.New("the line is down")
	}
	s.answers <- a
	return nil
}

func (s *station) Now() time.Time { return time.Now() }

// echo answers each statement with itself, or waits until it is cancelled.
type echo struct{}

func (echo) Ask(ctx context.Context, q wire.LiveQuery, emit func(wire.Answer) error) {
	a := wire.Answer{Query: q.ID, Part: 1, Done: true}
	if q.SQL == "wait" {
		<-ctx.Done()
		a.Error = "stopped"
	} else {
		a.Columns, a.Rows = []string{"sql"}, []wire.Row{{wire.ValueOf(q.SQL)}}
	}
	_ = emit(a)
}

func command(t wire.CommandType, args any) wire.Command {
	b, err := json.Marshal(args)
	if err != nil {
		panic(err)
	}
	return wire.Command{Type: t, Args: b}
}

func startUplink(t *testing.T, s *station) (*uplink, *kept, chan error, chan wire.Configuration) {
	t.Helper()
	told, applied := make(chan error, 16), make(chan wire.Configuration, 16)
	k := &kept{}
	u := newUplink(s, silent)
	u.ask, u.report = echo{}, k
	u.respond = func(_ context.Context, r wire.Respond) wire.Outcome {
		return wire.Outcome{ID: r.ID, Action: r.Action, State: "done"}
	}
	u.apply = func(_ context.Context, c wire.Configuration) error { applied <- c; return nil }
	u.tell = func(source string, err error) { told <- fmt.Errorf("%s: %w", source, err) }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); u.run(ctx, func() {}) }()
	t.Cleanup(func() { cancel(); <-ended })
	return u, k, told, applied
}

func newStation() *station {
	return &station{commands: make(chan []wire.Command, 16), answers: make(chan wire.Answer, 16)}
}

func TestCommandsAreDone(t *testing.T) {
	s := newStation()
	s.failures = 2 // an answer is sent again until it is taken
	_, k, told, applied := startUplink(t, s)
	s.commands <- []wire.Command{
		command(wire.CommandConfigure, wire.Configuration{Serial: 12}),
		command(wire.CommandQuery, wire.LiveQuery{ID: "q1", SQL: "SELECT 1", Deadline: time.Minute}),
		command(wire.CommandRespond, wire.Respond{ID: "r1", Action: "terminate_process"}),
		command("format", struct{}{}),
		{Type: wire.CommandQuery, Args: json.RawMessage(`[]`)},
	}
	if c := <-applied; c.Serial != 12 {
		t.Errorf("applied %+v", c)
	}
	if a := <-s.answers; a.Query != "q1" || !a.Done || a.Rows[0][0].String() != "SELECT 1" {
		t.Errorf("answered %+v", a)
	}
	for _, want := range []string{`type "format"`, "read a live query"} {
		if err := <-told; !strings.Contains(err.Error(), want) {
			t.Errorf("told %v, want %q", err, want)
		}
	}
	for len(k.list()) == 0 {
		time.Sleep(time.Millisecond)
	}
	if o := k.list()[0]; o.ID != "r1" || o.State != "done" {
		t.Errorf("the outcome is %+v", o)
	}
}

func (k *kept) list() []wire.Outcome {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]wire.Outcome{}, k.outcomes...)
}

func TestLiveQueryIsCancelled(t *testing.T) {
	s := newStation()
	startUplink(t, s)
	s.commands <- []wire.Command{command(wire.CommandQuery, wire.LiveQuery{ID: "q1", SQL: "wait", Deadline: time.Hour})}
	s.commands <- []wire.Command{command(wire.CommandCancel, wire.Cancel{ID: "q1"})}
	// The answer of a stopped query is not owed, but the slot must be free again.
	for i := range 2 * maxLive {
		s.commands <- []wire.Command{command(wire.CommandQuery, wire.LiveQuery{ID: fmt.Sprint(i), SQL: "x", Deadline: time.Minute})}
		for a := range s.answers {
			if a.Query == fmt.Sprint(i) {
				break
			}
		}
	}
}

func TestEnrolmentIsTriedAgain(t *testing.T) {
	s := newStation()
	s.refusals = []error{errors.New("no route")}
	startUplink(t, s)
	s.commands <- []wire.Command{command(wire.CommandQuery, wire.LiveQuery{ID: "q", SQL: "x"})}
	<-s.answers
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.enrols != 2 {
		t.Errorf("enrolled %d times, want 2", s.enrols)
	}
}
