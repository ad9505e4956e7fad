package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

// server is the fleet server as the agent sees it: sealed and signed by seal.
type server interface {
	Enrol(ctx context.Context) error
	Poll(ctx context.Context) ([]wire.Command, error)
	Answer(ctx context.Context, a wire.Answer) error
	Now() time.Time
}

// The waits between attempts to reach a server that does not answer. The
// longest is what an operator waits at worst for a host after a restart of the
// server, and what keeps a fleet's handshakes apart.
const (
	minBackoff = time.Second
	maxBackoff = 20 * time.Second
	// pendingWait is how often a host asks whether it was admitted.
	pendingWait = 10 * time.Second
)

// errStopped is why a live query ends that an operator has stopped.
var errStopped = errors.New("the query was stopped")

// maxLive bounds the live queries that run at once; more wait their turn.
const maxLive = 4

// uplink enrols the host, takes commands and has them done.
type uplink struct {
	server  server
	ask     asker
	respond func(context.Context, wire.Respond) wire.Outcome
	apply   func(context.Context, wire.Configuration) error
	report  reporter
	tell    func(source string, err error)
	log     *slog.Logger

	mu      sync.Mutex
	running map[string]context.CancelCauseFunc // live queries
	slots   chan struct{}
	work    sync.WaitGroup
}

func newUplink(s server, log *slog.Logger) *uplink {
	return &uplink{server: s, log: log, running: map[string]context.CancelCauseFunc{}, slots: make(chan struct{}, maxLive)}
}

// run works until the context ends. It calls enrolled once the host may speak.
func (u *uplink) run(ctx context.Context, enrolled func()) {
	defer u.work.Wait()
	if !u.enrol(ctx) {
		return
	}
	enrolled()
	wait := minBackoff
	for ctx.Err() == nil {
		commands, err := u.server.Poll(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			u.log.Warn("poll the server", "error", err, "next_try_in", wait.Round(time.Second))
			wait = u.pause(ctx, wait)
			continue
		}
		wait = minBackoff
		for _, c := range commands {
			u.obey(ctx, c)
		}
	}
}

// enrol tries until the host is enrolled and admitted.
func (u *uplink) enrol(ctx context.Context) bool {
	wait := minBackoff
	for {
		err := u.server.Enrol(ctx)
		switch {
		case err == nil:
			u.log.Info("enrolled")
			return true
		case ctx.Err() != nil:
			return false
		case errors.Is(err, seal.ErrPending):
			u.log.Info("waiting for an operator to admit this host in the console")
			wait = pendingWait
		default:
			u.log.Error("enrol at the server", "error", err, "next_try_in", wait.Round(time.Second))
		}
		wait = u.pause(ctx, wait)
		if ctx.Err() != nil {
			return false
		}
	}
}

// pause waits and returns the next, longer wait; the jitter keeps a fleet from
// coming back all at once.
func (u *uplink) pause(ctx context.Context, wait time.Duration) time.Duration {
	t := time.NewTimer(wait/2 + rand.N(wait))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
	return min(2*wait, maxBackoff)
}

// obey does one verified command.
func (u *uplink) obey(ctx context.Context, c wire.Command) {
	u.log.Info("command", "type", c.Type, "serial", c.Serial)
	if err := u.dispatch(ctx, c); err != nil {
		u.tell(fmt.Sprintf("command %s", c.Type), err)
	}
}

func (u *uplink) dispatch(ctx context.Context, c wire.Command) error {
	switch c.Type {
	case wire.CommandConfigure:
		var cfg wire.Configuration
		if err := json.Unmarshal(c.Args, &cfg); err != nil {
			return fmt.Errorf("read a configuration: %w", err)
		}
		return u.apply(ctx, cfg)
	case wire.CommandQuery:
		var q wire.LiveQuery
		if err := json.Unmarshal(c.Args, &q); err != nil {
			return fmt.Errorf("read a live query: %w", err)
		}
		u.live(ctx, q)
	case wire.CommandCancel:
		var x wire.Cancel
		if err := json.Unmarshal(c.Args, &x); err != nil {
			return fmt.Errorf("read a cancellation: %w", err)
		}
		u.mu.Lock()
		if cancel := u.running[x.ID]; cancel != nil {
			cancel(errStopped)
		}
		u.mu.Unlock()
	case wire.CommandRespond:
		var r wire.Respond
		if err := json.Unmarshal(c.Args, &r); err != nil {
			return fmt.Errorf("read a response: %w", err)
		}
		u.work.Go(func() { u.act(ctx, r) })
	default:
		return fmt.Errorf("this agent does not know commands of type %q: update it", c.Type)
	}
	return nil
}

func (u *uplink) act(ctx context.Context, r wire.Respond) {
	out := u.respond(ctx, r)
	u.log.Info("response", "id", r.ID, "action", r.Action, "by", r.By, "reason", r.Reason,
		"state", out.State, "seen", out.Seen, "error", out.Error)
	if err := u.report.Outcome(out); err != nil {
		u.tell("report the outcome of "+r.Action, err)
	}
}

// live runs a live query in the background and sends its parts in order.
func (u *uplink) live(ctx context.Context, q wire.LiveQuery) {
	if q.Deadline <= 0 {
		q.Deadline = time.Minute
	}
	// The answer itself needs a little longer than the statement.
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(q.Deadline+30*time.Second, func() { cancel(context.DeadlineExceeded) })
	u.mu.Lock()
	if u.running[q.ID] != nil {
		u.mu.Unlock()
		timer.Stop()
		cancel(nil)
		return // the same query again: it is being answered
	}
	u.running[q.ID] = cancel
	u.mu.Unlock()
	u.work.Go(func() {
		defer func() {
			timer.Stop()
			cancel(nil)
			u.mu.Lock()
			delete(u.running, q.ID)
			u.mu.Unlock()
		}()
		select {
		case u.slots <- struct{}{}:
			defer func() { <-u.slots }()
		case <-ctx.Done():
			return
		}
		u.ask.Ask(ctx, q, func(a wire.Answer) error { return u.send(ctx, a) })
	})
}

// send delivers one part, trying again until the query's time is over.
func (u *uplink) send(ctx context.Context, a wire.Answer) error {
	wait := minBackoff / 4
	for {
		err := u.server.Answer(ctx, a)
		if err == nil {
			return nil
		}
		if cause := context.Cause(ctx); cause != nil {
			// A query that somebody stopped, or an agent that ends, owes no answer.
			if errors.Is(cause, context.DeadlineExceeded) {
				u.tell("live query "+a.Query, fmt.Errorf("send part %d of the answer: %w", a.Part, err))
			}
			return err
		}
		u.log.Warn("send a live query's answer", "query", a.Query, "part", a.Part, "error", err)
		wait = u.pause(ctx, wait)
	}
}
