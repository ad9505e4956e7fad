package seal

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aiedr/edr/wire"
)

// Client is the agent's side of the protocol without a transport: it makes
// requests and reads replies as bytes.
type Client struct {
	identity *Identity
	given    Trust

	mu      sync.Mutex
	session *clientSession
	last    sessionID // the session to name as replaced
	// The server's time was learned when the machine's monotonic clock stood
	// at mark.
	learned, mark time.Time
}

// clientSession is a session as the agent has it.
type clientSession struct {
	id     sessionID
	opened time.Time // by the machine's monotonic clock
	life   time.Duration

	mu   sync.Mutex
	seal sealers
	next [channels]uint64
}

// NewClient makes a Client of an identity.
func NewClient(identity *Identity, given Trust) *Client {
	return &Client{identity: identity, given: given}
}

// Now is the server's time as learned in the session, the machine's own before
// the first.
func (c *Client) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.learned.IsZero() {
		return time.Now()
	}
	return c.learned.Add(time.Since(c.mark))
}

// learn takes the server's time from an authentic reply. No reply can be
// played twice, so the last one is right even where it goes back.
func (c *Client) learn(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !t.IsZero() {
		c.learned, c.mark = t, time.Now()
	}
}

// AcceptKeySet takes a key set message, if the trust allows.
func (c *Client) AcceptKeySet(b []byte) (changed bool, err error) {
	held := c.identity.KeySet()
	k, err := c.identity.trust(c.given).Accept(b, held, c.Now())
	if err != nil || k == held {
		return false, err
	}
	return true, c.identity.setKeySet(k)
}

// usableKeySet is the key set held, if it has not ended.
func (c *Client) usableKeySet() (*KeySet, error) {
	k := c.identity.KeySet()
	if k == nil {
		return nil, fmt.Errorf("use the server's key set: none is held: %w", ErrUnknownKeySet)
	}
	if now := c.Now(); now.After(k.NotAfter) {
		return nil, fmt.Errorf("use the server's key set %d: it ended %s: %w", k.Serial, k.NotAfter.Format(time.RFC3339), ErrExpired)
	}
	return k, nil
}

// EnrolRequest makes the request that enrols this host. secret is the token's,
// empty to enrol as pending.
func (c *Client) EnrolRequest(secret string, details wire.HostDetails) (request []byte, finish func(reply []byte) (HostState, error), err error) {
	k, err := c.usableKeySet()
	if err != nil {
		return nil, nil, err
	}
	text, err := json.Marshal(enrolRequest{Secret: secret, HostKey: c.identity.public(), Time: time.Now().UTC(), Details: details})
	if err != nil {
		return nil, nil, fmt.Errorf("write the enrolment: %w", err)
	}
	p, err := makeEnrol(rand.Reader, k.Serial, k.rsaKey, c.identity.key, text)
	if err != nil {
		return nil, nil, err
	}
	if len(p.request) > MaxHandshake {
		return nil, nil, fmt.Errorf("write the enrolment: %d bytes: %w", len(p.request), ErrOversized)
	}
	return p.request, func(reply []byte) (HostState, error) {
		a, err := readEnrolReply(reply, p, k.commandKeys())
		if err != nil {
			return "", fmt.Errorf("read the answer to the enrolment: %w", err)
		}
		c.learn(a.Time)
		return a.State, c.identity.setCertificate(a.Certificate, k.commandKeys())
	}, nil
}

// OpenRequest makes the request that opens a session.
func (c *Client) OpenRequest() (request []byte, finish func(reply []byte) error, err error) {
	k, err := c.usableKeySet()
	if err != nil {
		return nil, nil, err
	}
	cert := c.identity.certificate()
	if cert == nil {
		return nil, nil, fmt.Errorf("open a session: this host is not enrolled: %w", ErrUnknownHost)
	}
	q := openRequest{Host: c.identity.HostID(), Certificate: cert, Time: time.Now().UTC()}
	c.mu.Lock()
	if c.last != (sessionID{}) {
		last := c.last
		q.Replaces = last[:]
	}
	c.mu.Unlock()
	text, err := json.Marshal(q)
	if err != nil {
		return nil, nil, err
	}
	p, err := makeOpen(rand.Reader, k.Serial, k.rsaKey, c.identity.key, text)
	if err != nil {
		return nil, nil, err
	}
	return p.request, func(reply []byte) error { return c.finishOpen(reply, p, k) }, nil
}

func (c *Client) finishOpen(reply []byte, p *pendingOpen, k *KeySet) error {
	fail := func(err error) error { return fmt.Errorf("read the answer to the opening: %w", err) }
	a, id, keys, by, err := readOpenReply(reply, p)
	if err != nil {
		return fail(err)
	}
	// The answer is signed by the present command key. Where the key set here
	// is not the present one, the new one is in the answer, signed by the
	// root, and is judged before it is used.
	if len(a.KeySet) > 0 {
		next, err := c.identity.trust(c.given).Accept(a.KeySet, k, latest(c.Now(), a.Time))
		if err != nil {
			return fail(err)
		}
		if !by(next.commandKeys()) {
			return fail(ErrBadSignature)
		}
		if next != k {
			if err := c.identity.setKeySet(next); err != nil {
				return fail(err)
			}
		}
		k = next
	} else if !by(k.commandKeys()) {
		return fail(ErrBadSignature)
	}
	if len(a.Certificate) > 0 {
		if err := c.identity.setCertificate(a.Certificate, k.commandKeys()); err != nil {
			return fail(err)
		}
	}
	c.learn(a.Time)
	if err := c.identity.commands.Learned(a.Time); err != nil {
		return fail(err)
	}
	life := min(max(time.Duration(a.LifeS)*time.Second, time.Minute), SessionLife)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = &clientSession{id: id, opened: time.Now(), life: life, seal: sealers{keys: keys}}
	c.last = id
	return nil
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// current is the session, nil if none is open or it is near its end.
func (c *Client) current() *clientSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.session; s != nil && time.Since(s.opened) < s.life-s.life/20 && !s.spent() {
		return s
	}
	return nil
}

func (s *clientSession) spent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.next {
		if n >= SessionMessages {
			return true
		}
	}
	return false
}

// forget drops a session that the server does not know any more.
func (c *Client) forget(s *clientSession) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == s {
		c.session = nil
	}
}

// seal makes a record of a body, and returns what opens its reply.
func (c *Client) seal(s *clientSession, ch Channel, plain []byte) (request []byte, open func(reply []byte) ([]byte, error), err error) {
	body, err := pack(plain)
	if err != nil {
		return nil, nil, err
	}
	serial := uint64(0)
	if k := c.identity.KeySet(); k != nil {
		serial = k.Serial
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.seal.get(ch, fromAgent)
	if err != nil {
		return nil, nil, err
	}
	if s.next[ch-1] >= SessionMessages {
		return nil, nil, ErrSessionOver
	}
	s.next[ch-1]++
	h := header{s.id, ch, fromAgent, s.next[ch-1], serial}
	if request, err = sealRecord(a, h, body); err != nil {
		return nil, nil, err
	}
	return request, func(reply []byte) ([]byte, error) { return s.open(h, reply) }, nil
}

// Request seals a text for a channel in the present session and returns what
// opens the reply to it. Without a session the error is ErrUnknownSession:
// open one.
func (c *Client) Request(ch Channel, plain []byte) (request []byte, open func(reply []byte) ([]byte, error), err error) {
	s := c.current()
	if s == nil {
		return nil, nil, fmt.Errorf("make a %s request: %w", ch, ErrUnknownSession)
	}
	return c.seal(s, ch, plain)
}

// open reads the reply to the request with header q.
func (s *clientSession) open(q header, reply []byte) ([]byte, error) {
	h, _, err := readHeader(reply)
	if err != nil {
		return nil, err
	}
	switch {
	case h.session != q.session:
		return nil, fmt.Errorf("read a reply of session %x in %x: %w", h.session[:4], q.session[:4], ErrUnknownSession)
	case h.channel != q.channel || h.dir != fromServer:
		return nil, ErrWrongChannel
	case h.sequence != q.sequence:
		return nil, fmt.Errorf("read reply %d to request %d: %w", h.sequence, q.sequence, ErrReplayed)
	}
	s.mu.Lock()
	a, err := s.seal.get(h.channel, fromServer)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	body, err := openRecord(a, h, reply)
	if err != nil {
		return nil, err
	}
	return unpack(body)
}

// Take verifies a signed command and makes it taken. Rotation is obeyed here;
// for it mine is true.
func (c *Client) Take(b []byte) (cmd wire.Command, mine bool, err error) {
	k := c.identity.KeySet()
	if k == nil {
		return cmd, false, ErrUnknownKeySet
	}
	cmd, err = verifyCommand(b, k.commandKeys(), c.identity.HostID(), c.Now())
	if err != nil {
		return cmd, false, err
	}
	if err := c.identity.commands.Take(cmd); err != nil {
		return cmd, false, err
	}
	if cmd.Type != wire.CommandRotate {
		return cmd, false, nil
	}
	var set []byte
	if err := json.Unmarshal(cmd.Args, &set); err != nil {
		return cmd, true, fmt.Errorf("obey rotation %d: %v: %w", cmd.Serial, err, ErrMalformed)
	}
	_, err = c.AcceptKeySet(set)
	return cmd, true, err
}

// isRefusedBy says whether the peer, not this side, refused for one of the
// given reasons.
func isRefusedBy(err error, reasons ...*Refusal) bool {
	var p *peerRefusal
	if !errors.As(err, &p) {
		return false
	}
	for _, r := range reasons {
		if p.r == r {
			return true
		}
	}
	return false
}
