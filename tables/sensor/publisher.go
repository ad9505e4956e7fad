package sensor

import (
	"sync/atomic"

	"github.com/aiedr/edr/tables/event"
)

// publisher is what a mechanism publishes to.
type publisher struct {
	k     *keeper
	muted atomic.Bool
}

// Publish implements Publisher.
func (p *publisher) Publish(e event.Event) {
	if p.muted.Load() {
		return
	}
	k := p.k
	k.events.Add(1)
	at := e.When().UnixNano()
	for {
		last := k.lastEvent.Load()
		if at <= last || k.lastEvent.CompareAndSwap(last, at) {
			break
		}
	}
	if !k.m.queue.put(item{e, k}) {
		k.lost(1, "log queue full")
	}
}

// Lost implements Publisher.
func (p *publisher) Lost(n uint64, cause string) {
	if !p.muted.Load() {
		p.k.lost(n, cause)
	}
}
