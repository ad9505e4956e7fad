package sensor

import (
	"fmt"
	"sync"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/event"
)

// Subscription is a stream of all events as they are recorded. A subscriber
// that is slow never holds up capture or another one: what does not fit its
// buffer is missed, and counted.
type Subscription struct {
	// C yields batches in the order of recording, each event with its number
	// set (0 where the log could not keep it). Events are shared between
	// subscribers: none may change them. C is closed by Close and by the
	// manager's Close.
	C <-chan []event.Event

	name    string
	buffer  int
	m       *Manager
	started time.Time
	ready   chan struct{}
	quit    chan struct{}
	once    sync.Once

	mu      sync.Mutex
	queue   []event.Event
	handed  uint64
	last    time.Time
	losses  losses
	drained bool // nothing more will come
}

// Subscribe begins a subscription. Name is for the status, buffer how many
// events may wait for the subscriber.
func (m *Manager) Subscribe(name string, buffer int) *Subscription {
	c := make(chan []event.Event)
	s := &Subscription{
		C: c, name: name, buffer: max(buffer, 1), m: m, started: m.o.Now(),
		ready: make(chan struct{}, 1), quit: make(chan struct{}),
	}
	m.mu.Lock()
	m.subs = append(append([]*Subscription(nil), m.subs...), s) // hand reads the old slice unlocked
	ended := m.ended
	m.mu.Unlock()
	if ended {
		s.end()
	}
	go s.run(c)
	return s
}

// Missed is how many events the subscriber did not get because it was slow.
func (s *Subscription) Missed() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.losses.events
}

// Close ends the subscription; what waits in its buffer is dropped.
func (s *Subscription) Close() {
	s.m.mu.Lock()
	var rest []*Subscription
	for _, other := range s.m.subs {
		if other != s {
			rest = append(rest, other)
		}
	}
	s.m.subs = rest
	s.m.mu.Unlock()
	s.once.Do(func() { close(s.quit) })
}

// end lets the subscriber take what waits, and then closes C.
func (s *Subscription) end() {
	s.mu.Lock()
	s.drained = true
	s.mu.Unlock()
	s.signal()
}

func (s *Subscription) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

func (s *Subscription) offer(events []event.Event) {
	s.mu.Lock()
	room := max(s.buffer-len(s.queue), 0)
	if missed := len(events) - room; missed > 0 {
		s.losses.add(uint64(missed), "subscriber too slow, its buffer is full", s.m.o.Now())
		events = events[:room]
	}
	s.queue = append(s.queue, events...)
	s.mu.Unlock()
	s.signal()
}

func (s *Subscription) run(c chan<- []event.Event) {
	defer close(c)
	for {
		s.mu.Lock()
		batch, drained := s.queue, s.drained
		s.queue = nil
		s.mu.Unlock()
		if len(batch) == 0 {
			if drained {
				return
			}
			select {
			case <-s.ready:
				continue
			case <-s.quit:
				return
			}
		}
		select {
		case c <- batch:
			s.mu.Lock()
			s.handed += uint64(len(batch))
			s.last = batch[len(batch)-1].When()
			s.mu.Unlock()
		case <-s.quit:
			return
		}
	}
}

func (s *Subscription) status() tables.SensorStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := tables.SensorStatus{
		Name: "subscriber " + s.name, State: StateRunning, Mechanism: "subscriber", Detail: s.losses.String(),
		Events: s.handed, Lost: s.losses.events, Gaps: s.losses.times, LastEvent: s.last, Started: s.started,
	}
	if n := len(s.queue); n > s.buffer/2 {
		st.Detail = fmt.Sprintf("%d events wait, of at most %d; %s", n, s.buffer, st.Detail)
	}
	if s.losses.times > 0 && s.m.o.Now().Sub(s.losses.causes[0].last) < 10*time.Minute {
		st.State = StateDegraded
	}
	return st
}
