package scheduler

import (
	"log/slog"
	"sync"
	"time"

	"github.com/aiedr/edr/wire"
)

// sameProblem is how long the same problem is only counted once it was told.
const sameProblem = time.Hour

// maxProblems bounds the problems remembered.
const maxProblems = 4096

// problems tells of what did not work, and of the same only now and then.
type problems struct {
	sink Sink
	log  *slog.Logger
	now  func() time.Time

	mu   sync.Mutex
	seen map[string]*problemState
}

type problemState struct {
	told  time.Time
	count int64
}

func (p *problems) report(source string, err error) {
	p.log.Debug("scheduled query", "source", source, "error", err)
	now := p.now()
	key := source + "\x00" + err.Error()
	p.mu.Lock()
	st := p.seen[key]
	if st == nil {
		if len(p.seen) >= maxProblems {
			clear(p.seen)
		}
		st = &problemState{}
		p.seen[key] = st
	}
	st.count++
	if !st.told.IsZero() && now.Sub(st.told) < sameProblem && !now.Before(st.told) {
		p.mu.Unlock()
		return
	}
	n := st.count
	st.told, st.count = now, 0
	p.mu.Unlock()
	if serr := p.sink.Problem(wire.Problem{Time: now, Source: source, Error: err.Error(), Count: n}); serr != nil {
		p.log.Error("a problem could not be reported", "source", source, "error", err, "why", serr)
	}
}
