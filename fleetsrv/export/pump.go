package export

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
)

// Bounds of one batch and of the pace of a pump.
const (
	BatchDocuments = 500
	BatchBytes     = 4 << 20
	BatchTime      = time.Second // how long a document waits for others at most

	sendTime   = 2 * time.Minute // for one batch, a sink's own retries included
	backoffMin = time.Second
	backoffMax = time.Minute
)

// pump carries documents from the journal to one sink.
type pump struct {
	config Config
	sink   Sink
	dead   *deadLetters
	store  store.Exports
	now    func() time.Time
	log    *slog.Logger

	step   sync.Mutex // held while a batch is on its way
	opened bool
	at     store.ExportPosition

	mu        sync.Mutex // guards what follows, for readers of the state
	lastOK    time.Time
	lastErr   string
	lastErrAt time.Time
	failures  int
}

// run pumps until ctx ends.
func (p *pump) run(ctx context.Context) {
	for {
		more, err := p.once(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := BatchTime
		switch {
		case err != nil:
			wait = p.failed(err)
		case more:
			wait = 0
		}
		if wait > 0 {
			t := time.NewTimer(wait)
			select {
			case <-ctx.Done():
				t.Stop()
				return
			case <-t.C:
			}
		}
	}
}

// drain pumps until nothing is left, or to the first failure.
func (p *pump) drain(ctx context.Context) error {
	for {
		more, err := p.once(ctx)
		if err != nil {
			p.failed(err)
			return fmt.Errorf("sink %s: %w", p.config.Name, err)
		}
		if !more {
			return nil
		}
	}
}

// once sends one batch and moves the cursor; more says that there is more.
func (p *pump) once(ctx context.Context) (more bool, err error) {
	p.step.Lock()
	defer p.step.Unlock()
	if !p.opened {
		c, err := p.store.OpenExport(ctx, store.Everything(), p.config.Name, p.now())
		if err != nil {
			return false, err
		}
		p.at, p.opened = c.Position, true
	}
	page, err := p.store.ReadExport(ctx, store.Everything(), p.at, BatchDocuments, BatchBytes)
	if err != nil {
		return false, err
	}
	if page.Next == p.at {
		p.succeeded()
		return false, nil
	}
	counts := store.ExportCounts{Missed: page.Missed}
	docs := make([]Document, 0, len(page.Documents))
	var never []letter
	for i := range page.Documents {
		d := &page.Documents[i]
		if !p.config.wants(d) {
			counts.Withheld++
			continue
		}
		doc, err := encode(p.config.Format, d)
		if err != nil {
			doc = Document{ID: d.ID, Kind: d.Kind, Host: d.Host, Received: d.Received}
			never = append(never, letter{doc, err})
			continue
		}
		docs = append(docs, doc)
	}
	if len(docs) > 0 {
		sending, cancel := context.WithTimeout(ctx, sendTime)
		refused, err := p.sink.Send(sending, docs)
		cancel()
		if err != nil {
			return false, err
		}
		for _, r := range refused {
			never = append(never, letter{docs[r.Index], r.Err})
		}
		counts.Sent = int64(len(docs) - len(refused))
	}
	// Before the cursor: what the sink refused stands in no other place.
	if err := p.dead.write(p.now(), p.config.Name, never); err != nil {
		return false, err
	}
	if counts.Dead = int64(len(never)); counts.Dead > 0 {
		p.log.Error("a sink refuses documents for good; they are in its dead-letter file", "sink", p.config.Name,
			"documents", counts.Dead, "first", never[0].err, "file", p.dead.path)
	}
	if err := p.store.MoveExport(ctx, store.Everything(), p.config.Name, page.Next, counts, p.now()); err != nil {
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
			p.opened = false // somebody else moved or removed it: look again
		}
		return false, err
	}
	p.at = page.Next
	p.succeeded()
	return page.More, nil
}

func (p *pump) succeeded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures > 0 {
		p.log.Info("a sink takes documents again", "sink", p.config.Name, "after_failures", p.failures)
	}
	p.lastOK, p.failures = p.now(), 0
}

// failed notes an error and answers how long to wait: twice as long each time,
// with a part by chance, so that many servers do not come back at once.
func (p *pump) failed(err error) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := backoffMax
	if p.failures < 6 {
		wait = min(backoffMax, backoffMin<<p.failures)
	}
	var r *retryAfter
	if errors.As(err, &r) {
		wait = max(wait, min(r.wait, backoffMax))
	}
	wait += time.Duration(rand.Int64N(int64(wait)/4 + 1))
	p.failures++
	if p.failures == 1 || p.lastErr != err.Error() {
		p.log.Warn("a sink does not take documents; they wait in the journal", "sink", p.config.Name, "err", err, "again_in", wait.Round(time.Millisecond))
	}
	p.lastErr, p.lastErrAt = err.Error(), p.now()
	return wait
}

// retryAfter is an error that says when to come again.
type retryAfter struct {
	error
	wait time.Duration
}

func (r *retryAfter) Unwrap() error { return r.error }
