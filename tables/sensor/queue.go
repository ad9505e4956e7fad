package sensor

import (
	"sync"

	"github.com/aiedr/edr/tables/event"
)

// item is an event with the sensor that published it.
type item struct {
	e    event.Event
	from *keeper
}

// queue stands between capture and the log, bounded in bytes.
type queue struct {
	mu     sync.Mutex
	items  []item
	bytes  int64
	max    int64
	closed bool
	ready  chan struct{}
}

func newQueue(limit int64) *queue { return &queue{max: limit, ready: make(chan struct{}, 1)} }

// put says whether there was room.
func (q *queue) put(it item) bool {
	size := int64(event.Size(it.e)) + 64
	q.mu.Lock()
	if q.closed || q.bytes+size > q.max {
		q.mu.Unlock()
		return false
	}
	first := len(q.items) == 0
	q.items = append(q.items, it)
	q.bytes += size
	q.mu.Unlock()
	if first {
		q.signal()
	}
	return true
}

func (q *queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take waits for items and takes them all; ok is false when the queue is
// closed and empty.
func (q *queue) take() (items []item, ok bool) {
	for {
		q.mu.Lock()
		items, closed := q.items, q.closed
		q.items, q.bytes = nil, 0
		q.mu.Unlock()
		if len(items) > 0 {
			return items, true
		}
		if closed {
			return nil, false
		}
		<-q.ready
	}
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}
