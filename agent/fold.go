package agent

import (
	"sync"
	"time"

	"github.com/aiedr/edr/wire"
)

// A rule that matches the same entity again and again must not fill the outbox:
// past a burst, hits are folded into one that stands for several.
const (
	foldWindow = 10 * time.Second
	foldBurst  = 20
)

// folder counts hits by rule and entity. Hits up to the burst pass as they
// are; of those beyond it in one window, the last is kept and given out at the
// window's end with the count of all that it stands for.
type folder struct {
	mu   sync.Mutex
	open map[string]*fold
}

type fold struct {
	until time.Time
	seen  int
	kept  *wire.Hit // stands for kept.Count hits that were not passed on
}

func newFolder() *folder { return &folder{open: map[string]*fold{}} }

// pass says whether a hit is to be reported now.
func (f *folder) pass(h *wire.Hit, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := h.Rule.ID + "\x00" + h.Entity
	w := f.open[key]
	if w == nil {
		w = &fold{until: now.Add(foldWindow)}
		f.open[key] = w
	}
	w.seen++
	if w.seen <= foldBurst {
		return true
	}
	count := h.Count
	if w.kept != nil {
		count += w.kept.Count
	}
	kept := *h
	kept.Count = count
	w.kept = &kept
	return false
}

// due gives out what was folded in windows that have ended; all says at once,
// for the agent's end.
func (f *folder) due(now time.Time, all bool) []*wire.Hit {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*wire.Hit
	for key, w := range f.open {
		if !all && now.Before(w.until) {
			continue
		}
		if w.kept != nil {
			out = append(out, w.kept)
		}
		delete(f.open, key)
	}
	return out
}

// empty says whether nothing is held back.
func (f *folder) empty() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.open {
		if w.kept != nil {
			return false
		}
	}
	return true
}
