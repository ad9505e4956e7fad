package seal

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	defaultMaxSessions = 100_000
	// maxHostSessions bounds what one host key may hold open: one in use, one
	// that replaces it, and room for a clone to be seen.
	maxHostSessions = 4
	// cloneReturns is how often a host key must come back to a session that it
	// had left before that counts as a clone. Once can be a message that was
	// under way while the agent started anew.
	cloneReturns = 2
	cloneRepeat  = time.Hour
)

// serverSession is one session in the server's table.
type serverSession struct {
	id       sessionID
	host     Host
	opened   time.Time
	replaces sessionID
	element  *list.Element

	mu       sync.Mutex
	seal     sealers
	last     [channels]uint64 // highest sequence received
	used     bool             // a record of it was authentic
	agentSet uint64           // key set serial that the agent has
	cancel   func()           // ends the poll that waits
	poll     uint64           // its sequence
}

// hostSessions are the sessions of one host key.
type hostSessions struct {
	open    []*serverSession // oldest first
	current *serverSession   // used last
	returns int
	alerted time.Time
}

// sessionTable is the server's sessions: in memory, bounded, expiring.
type sessionTable struct {
	mu     sync.Mutex
	max    int
	byID   map[sessionID]*serverSession
	byHost map[string]*hostSessions // by the host's key
	age    *list.List               // oldest first
}

func newSessionTable(limit int) *sessionTable {
	if limit <= 0 {
		limit = defaultMaxSessions
	}
	return &sessionTable{max: limit, byID: map[sessionID]*serverSession{}, byHost: map[string]*hostSessions{}, age: list.New()}
}

// add puts a session in and makes room for it.
func (t *sessionTable) add(s *serverSession) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for e := t.age.Front(); e != nil; e = t.age.Front() {
		old := e.Value.(*serverSession)
		if len(t.byID) < t.max && s.opened.Sub(old.opened) <= SessionLife {
			break
		}
		t.drop(old)
	}
	h := t.byHost[string(s.host.Key)]
	if h == nil {
		h = &hostSessions{}
		t.byHost[string(s.host.Key)] = h
	}
	if len(h.open) >= maxHostSessions {
		t.drop(spare(h))
	}
	// drop may have removed the host's entry with its last session.
	t.byHost[string(s.host.Key)] = h
	h.open = append(h.open, s)
	t.byID[s.id] = s
	s.element = t.age.PushBack(s)
}

// spare is the session that a host loses first: one that was never used, which
// a replayed opening leaves behind, otherwise the oldest.
func spare(h *hostSessions) *serverSession {
	for _, s := range h.open {
		if !s.wasUsed() {
			return s
		}
	}
	for _, s := range h.open {
		if s != h.current {
			return s
		}
	}
	return h.open[0]
}

func (s *serverSession) wasUsed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// drop takes a session out; the caller holds the lock.
func (t *sessionTable) drop(s *serverSession) {
	delete(t.byID, s.id)
	t.age.Remove(s.element)
	h := t.byHost[string(s.host.Key)]
	if h == nil {
		return
	}
	for i, x := range h.open {
		if x == s {
			h.open = append(h.open[:i:i], h.open[i+1:]...)
			break
		}
	}
	if h.current == s {
		h.current = nil
	}
	if len(h.open) == 0 {
		delete(t.byHost, string(s.host.Key))
	}
}

// get finds a session that is not over.
func (t *sessionTable) get(id sessionID, now time.Time) (*serverSession, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byID[id]
	if s == nil {
		return nil, fmt.Errorf("find session %x: %w", id[:4], ErrUnknownSession)
	}
	if now.Sub(s.opened) > SessionLife {
		t.drop(s)
		return nil, fmt.Errorf("use session %x after %s: %w", id[:4], SessionLife, ErrSessionOver)
	}
	return s, nil
}

// note records that a session was used. It ends the one that it replaces, and
// says whether it was the first use and whether it shows a clone.
func (t *sessionTable) note(s *serverSession, first bool, now time.Time) (clone bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.byHost[string(s.host.Key)]
	if h == nil || t.byID[s.id] != s {
		return false
	}
	if first {
		if old := t.byID[s.replaces]; old != nil && old != s && string(old.host.Key) == string(s.host.Key) {
			t.drop(old)
		}
		h.returns = 0
	} else if h.current != nil && h.current != s {
		h.returns++
		if h.returns >= cloneReturns && (h.alerted.IsZero() || now.Sub(h.alerted) > cloneRepeat) {
			h.alerted, clone = now, true
		}
	}
	h.current = s
	return clone
}

// end drops all sessions of a host.
func (t *sessionTable) end(fingerprint string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, h := range t.byHost {
		if Fingerprint([]byte(key)) != fingerprint {
			continue
		}
		for _, s := range append([]*serverSession(nil), h.open...) {
			t.drop(s)
			s.stopPoll()
		}
		return
	}
}

func (t *sessionTable) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byID)
}

// accept checks a request record: its key, then its sequence.
func (s *serverSession) accept(h header, b []byte) (body []byte, first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.seal.get(h.channel, fromAgent)
	if err != nil {
		return nil, false, err
	}
	body, err = openRecord(a, h, b)
	if err != nil {
		return nil, false, err
	}
	last := &s.last[h.channel-1]
	if h.sequence <= *last {
		return nil, false, fmt.Errorf("take %s record %d after %d: %w", h.channel, h.sequence, *last, ErrReplayed)
	}
	if h.sequence > SessionMessages {
		return nil, false, fmt.Errorf("take %s record %d: %w", h.channel, h.sequence, ErrSessionOver)
	}
	*last, s.agentSet = h.sequence, h.keySet
	first, s.used = !s.used, true
	return body, first, nil
}

// reply seals the answer to request h.
func (s *serverSession) reply(h header, keySet uint64, body []byte) ([]byte, error) {
	s.mu.Lock()
	a, err := s.seal.get(h.channel, fromServer)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return sealRecord(a, header{h.session, h.channel, fromServer, h.sequence, keySet}, body)
}

// startPoll ends the poll that waits, because its agent has given it up, and
// makes room for this one.
func (s *serverSession) startPoll(ctx context.Context, sequence uint64) (context.Context, func()) {
	ctx, cancel := context.WithTimeout(ctx, MaxPollWait)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
	s.cancel, s.poll = cancel, sequence
	return ctx, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.poll == sequence {
			s.cancel = nil
		}
	}
}

func (s *serverSession) stopPoll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}
