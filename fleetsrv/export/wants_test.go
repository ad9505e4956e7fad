package export

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// TestWants: a result goes out only where the sink may have all its classes.
func TestWants(t *testing.T) {
	c := Config{Kinds: []wire.Kind{wire.KindHit, wire.KindResult}, Classes: auth.Mask([]string{"inventory", "network"})}
	for _, x := range []struct {
		doc  store.ExportDocument
		want bool
	}{
		{store.ExportDocument{Kind: wire.KindHit, Hit: &wire.Hit{}}, true},
		{store.ExportDocument{Kind: wire.KindOutcome, Outcome: &wire.Outcome{}}, false},
		{store.ExportDocument{Kind: wire.KindResult, Row: &store.ExportRow{}}, true},
		{store.ExportDocument{Kind: wire.KindResult, Row: &store.ExportRow{Classes: auth.Mask([]string{"network"})}}, true},
		{store.ExportDocument{Kind: wire.KindResult, Row: &store.ExportRow{Classes: auth.Mask([]string{"network", "secret"})}}, false},
		{store.ExportDocument{Kind: wire.KindResult, Row: &store.ExportRow{Classes: auth.Mask([]string{"a class of a later version"})}}, false},
	} {
		if have := c.wants(&x.doc); have != x.want {
			t.Errorf("%+v: %v", x.doc, have)
		}
	}
}

// TestBackoff: each failure waits longer up to a bound, a receiver's own wish
// is heard within it, and a success begins anew.
func TestBackoff(t *testing.T) {
	p := &pump{now: time.Now, log: slog.New(slog.DiscardHandler)}
	within := func(what string, have, least time.Duration) {
		t.Helper()
		if have < least || have > least+least/4 {
			t.Errorf("%s: waits %s, want between %s and %s", what, have, least, least+least/4)
		}
	}
	wrong := errors.New("away")
	for n, least := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		within("failure", p.failed(wrong), least*time.Second)
		if p.failures != n+1 {
			t.Errorf("%d failures, want %d", p.failures, n+1)
		}
	}
	p.succeeded()
	within("after a success", p.failed(wrong), time.Second)
	within("by its wish", p.failed(errors.Join(&retryAfter{wrong, 30 * time.Second})), 30*time.Second)
	within("beyond all measure", p.failed(&retryAfter{wrong, time.Hour}), time.Minute)
}

// fails is a sink that fails; its pump must end with its context all the same.
type fails struct{}

func (fails) Send(context.Context, []Document) ([]Refusal, error) { return nil, errors.New("no") }
func (fails) Target() string                                      { return "nowhere" }
func (fails) Close() error                                        { return nil }

// oneDocument is a journal with one document that never goes.
type oneDocument struct{ store.Exports }

func (oneDocument) OpenExport(context.Context, store.Scope, string, time.Time) (store.ExportCursor, error) {
	return store.ExportCursor{}, nil
}

func (oneDocument) ReadExport(context.Context, store.Scope, store.ExportPosition, int, int) (store.ExportPage, error) {
	return store.ExportPage{Next: store.ExportPosition{Seq: 1}, Documents: []store.ExportDocument{{ID: "x", Kind: wire.KindHit, Hit: &wire.Hit{}}}}, nil
}

func TestPumpEnds(t *testing.T) {
	p := &pump{config: Config{Name: "f", Kinds: Kinds()}, sink: fails{}, dead: &deadLetters{}, store: oneDocument{}, now: time.Now, log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { p.run(ctx); close(done) }()
	for {
		p.mu.Lock()
		n := p.failures
		p.mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
}
