package filesensor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

// Why a row has no hash. The first group has hashed = 0: it was not tried; the
// second -1: it was, and failed.
const (
	notTooLarge = "larger than is hashed"
	notRoom     = "too many files wait to be hashed"
	notTime     = "not hashed in time"
	notBudget   = "CPU limit reached"
	notEnding   = "the sensor or its mechanism ended"

	failGone    = "gone before it could be hashed"
	failChanged = "changed while it was hashed"
	failRead    = "could not be read"
)

// maxHeld bounds the events that wait behind a file that is being hashed.
const maxHeld = 8192

// stage holds events back until their files are hashed, and publishes them in
// the order in which they came. Capture never waits here: an event whose hash
// takes too long, or for whose file there is no room, goes without.
type stage struct {
	out    sensor.Publisher
	o      Hashing
	wake   chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
	hasher *hasher

	mu     sync.Mutex
	fifo   []*held
	lanes  lanes
	timer  *time.Timer
	closed bool
	wait   time.Duration
	why    map[string]uint64
	hashed uint64 // rows with a hash
}

// held is an event in the stage.
type held struct {
	e    *event.File
	t    *target
	due  time.Time
	done bool // may be published
}

func newStage(out sensor.Publisher, o Hashing) *stage {
	ctx, cancel := context.WithCancel(context.Background())
	s := &stage{out: out, o: o, wake: make(chan struct{}, 1), lanes: lanes{max: o.MaxJobs}, wait: o.Wait, cancel: cancel,
		done: make(chan struct{}), hasher: newHasher(o), why: map[string]uint64{}}
	go s.work(ctx)
	return s
}

// opener sets how files are opened; until then they are by their paths.
func (s *stage) opener(open func(*target) (contentFile, error)) {
	s.hasher.open.Store(&open)
}

// Lost implements sensor.Publisher.
func (s *stage) Lost(n uint64, cause string) { s.out.Lost(n, cause) }

// Publish implements sensor.Publisher.
func (s *stage) Publish(e event.Event) {
	if f, ok := e.(*event.File); ok {
		s.publishFile(f, nil)
		return
	}
	s.out.Publish(e)
}

func (s *stage) publishFile(e *event.File, t *target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &held{e: e, t: t, done: true}
	if t != nil {
		h.done = !s.enqueue(h)
	}
	if h.done && len(s.fifo) == 0 {
		s.out.Publish(e)
		return
	}
	if h.due.IsZero() {
		h.due = time.Now().Add(s.wait)
	}
	s.fifo = append(s.fifo, h)
	if len(s.fifo) > maxHeld {
		s.pass(s.fifo[0], 0, notTime)
		s.release()
	}
	if len(s.fifo) == 1 {
		s.arm()
	}
}

// enqueue has a file hashed; false when the event need not wait for it.
func (s *stage) enqueue(h *held) bool {
	switch {
	case s.closed:
		s.why[notEnding]++
		return false
	case h.t.size > s.o.MaxSize:
		s.why[notTooLarge]++
		return false
	}
	if sums, ok := s.hasher.known(h.t); ok {
		h.fill(sums)
		s.hashed++
		return false
	}
	h.due = time.Now().Add(s.wait)
	if !s.lanes.put(h) {
		s.why[notRoom]++
		return false
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return true
}

func (h *held) fill(sums sums) {
	h.e.MD5, h.e.SHA1, h.e.SHA256, h.e.Hashed = sums.md5, sums.sha1, sums.sha256, 1
}

// pass lets a held event go without its hash. The lock is held.
func (s *stage) pass(h *held, hashed int32, why string) {
	if h.done {
		return
	}
	h.done = true
	h.e.Hashed = hashed
	s.why[why]++
}

// release publishes what may go. The lock is held.
func (s *stage) release() {
	n := 0
	for n < len(s.fifo) && s.fifo[n].done {
		s.out.Publish(s.fifo[n].e)
		s.fifo[n] = nil
		n++
	}
	if s.fifo = s.fifo[n:]; len(s.fifo) == 0 {
		s.fifo = nil // give the memory of a storm back
	}
}

// arm wakes when the first event has waited long enough. The lock is held.
func (s *stage) arm() {
	wait := time.Until(s.fifo[0].due)
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.expire)
		return
	}
	s.timer.Reset(wait)
}

// expire lets those go that have waited too long.
func (s *stage) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, h := range s.fifo {
		if h.due.After(now) {
			break
		}
		s.pass(h, 0, notTime)
	}
	s.release()
	if len(s.fifo) > 0 {
		s.arm()
	}
}

// work hashes one file after another.
func (s *stage) work(ctx context.Context) {
	defer close(s.done)
	release := s.hasher.enter()
	defer release()
	for {
		s.mu.Lock()
		h := s.lanes.next()
		s.mu.Unlock()
		if h != nil && ctx.Err() == nil {
			s.one(ctx, h)
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
	}
}

func (s *stage) one(ctx context.Context, h *held) {
	within, cancel := context.WithDeadline(ctx, h.due)
	sums, err := s.hasher.hash(within, h.t)
	cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.done { // it could not wait
		return
	}
	var f *hashError
	switch {
	case err == nil:
		h.fill(sums)
		h.done = true
		s.hashed++
	case errors.As(err, &f):
		s.pass(h, f.hashed, f.why)
	default:
		s.pass(h, -1, failRead)
	}
	s.release()
	if len(s.fifo) > 0 {
		s.arm()
	}
}

// hurried is the longest that an event waits while a rule could act on it.
const hurried = time.Second

// hurry makes events wait less, or as long as they may.
func (s *stage) hurry(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wait = s.o.Wait; on {
		s.wait = min(s.wait, hurried)
	}
}

// flush publishes what waits, without what is not hashed yet.
func (s *stage) flush(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.fifo {
		s.pass(h, 0, why)
	}
	s.release()
	if s.timer != nil {
		s.timer.Stop()
	}
}

// close publishes what waits, and ends the hashing.
func (s *stage) close() {
	s.cancel()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.flush(notEnding)
	select { // a disk that hangs does not hold up the end
	case <-s.done:
	case <-time.After(s.o.Wait):
	}
}

// describe is for the sensor's status.
func (s *stage) describe() string {
	files, bytes, cpu := s.hasher.cost()
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf("%d events with hashes, of %d files read (%.1f MiB, %s of CPU time)",
		s.hashed, files, float64(bytes)/(1<<20), cpu.Round(time.Millisecond))
	if len(s.fifo) > 0 {
		text += fmt.Sprintf(", %d events wait for one", len(s.fifo))
	}
	var causes []string
	for why, n := range s.why {
		causes = append(causes, fmt.Sprintf("%d %s", n, why))
	}
	slices.Sort(causes)
	if len(causes) > 0 {
		text += "; without hash: " + strings.Join(causes, ", ")
	}
	return text
}
