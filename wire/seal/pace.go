package seal

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// pacer spaces out handshakes. Whoever forges "unknown session" makes the
// agent open another, and that only so often.
type pacer struct {
	mu    sync.Mutex
	tries int // handshakes since the last authentic reply
}

const (
	paceFirst = 500 * time.Millisecond
	paceMost  = time.Minute
)

// delay is 0 for the first handshake, then doubles up to a minute.
func paceDelay(tries int) time.Duration {
	if tries == 0 {
		return 0
	}
	return min(paceFirst<<min(tries-1, 16), paceMost)
}

func (p *pacer) wait(ctx context.Context) error {
	p.mu.Lock()
	d := paceDelay(p.tries)
	p.tries++
	p.mu.Unlock()
	if d == 0 {
		return ctx.Err()
	}
	// A whole fleet whose server came back shall not come in the same second.
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// good tells that an authentic reply came.
func (p *pacer) good() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries = 0
}

// unreached tells that the handshake did not get as far as the server: nobody
// was asked for anything, and the callers wait by themselves.
func (p *pacer) unreached() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries = max(0, p.tries-1)
}
