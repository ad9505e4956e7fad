// Package live carries what happens now: live queries from the operator to
// the hosts and back, and the changes that open pages refresh from.
package live

import "sync"

// Topic is a kind of thing that changes.
type Topic string

// The topics.
const (
	TopicAlert    Topic = "alert"
	TopicHost     Topic = "host"
	TopicResponse Topic = "response"
)

// Change names a thing that changed; who is told reads it in his own scope.
type Change struct {
	Topic Topic
	ID    string
}

// maxUnread bounds the changes kept for one subscriber that does not read;
// beyond it the oldest are dropped and Missed is set.
const maxUnread = 1024

// Bus tells subscribers of changes.
type Bus struct {
	mu   sync.Mutex
	subs map[*Subscription]bool
}

// NewBus makes a Bus.
func NewBus() *Bus { return &Bus{subs: map[*Subscription]bool{}} }

// Subscription is one subscriber.
type Subscription struct {
	// Ready has a value when there is something to Take.
	Ready  chan struct{}
	bus    *Bus
	unread []Change
	have   map[Change]bool
	missed bool
}

// Subscribe begins a subscription; Close ends it.
func (b *Bus) Subscribe() *Subscription {
	s := &Subscription{Ready: make(chan struct{}, 1), bus: b, have: map[Change]bool{}}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs[s] = true
	return s
}

// Publish tells all subscribers. A change that waits already is not doubled.
func (b *Bus) Publish(changes ...Change) {
	if len(changes) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subs {
		for _, c := range changes {
			if s.have[c] {
				continue
			}
			if len(s.unread) >= maxUnread {
				delete(s.have, s.unread[0])
				s.unread, s.missed = s.unread[1:], true
			}
			s.unread, s.have[c] = append(s.unread, c), true
		}
		select {
		case s.Ready <- struct{}{}:
		default:
		}
	}
}

// Take answers the changes since the last call; missed says that there were
// more, so that a page must read everything anew.
func (s *Subscription) Take() (changes []Change, missed bool) {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	changes, missed = s.unread, s.missed
	s.unread, s.missed, s.have = nil, false, map[Change]bool{}
	return changes, missed
}

// Close ends the subscription.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	delete(s.bus.subs, s)
}

// Subscribers counts the open subscriptions.
func (b *Bus) Subscribers() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.subs)
}
