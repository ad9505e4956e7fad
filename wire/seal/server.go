package seal

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/aiedr/edr/wire"
)

// ServerOptions says what a Server stands on.
type ServerOptions struct {
	Keys     *ServerKeys
	Hosts    HostStore
	Receiver ReceiverStore
	// Events is called for each Event, from many goroutines; it must not block.
	Events func(Event)
	// MaxSessions bounds the session table; 0 is 100,000.
	MaxSessions int
	Now         func() time.Time
}

// Server answers agents. It takes request bodies and returns reply bodies, so
// that an HTTP handler has nothing to decide.
type Server struct {
	// Counters counts what was refused, by name.
	Counters Counters

	o        ServerOptions
	sessions *sessionTable
	seen     *replayCache
	receiver *receiver
	// rsa bounds the private-key operations under way, so that a crowd that
	// opens sessions at once leaves the machine to those who have one.
	rsa chan struct{}
}

// Reply is what to send back. Body is to be sent whatever Err is: it may be a
// refusal. Err is for the log.
type Reply struct {
	Status int // HTTP status
	Body   []byte
	Host   Host // who asked, where the message proved it
	Err    error
}

// PollInfo is what an agent says when it polls.
type PollInfo struct {
	// Taken is the highest command serial that the host accepted: commands
	// up to it have arrived and need not be sent again.
	Taken uint64
}

// NewServer makes a Server.
func NewServer(o ServerOptions) (*Server, error) {
	if o.Keys == nil || o.Hosts == nil || o.Receiver == nil {
		return nil, errors.New("make the sealed server: it needs keys, a host store and a receiver store")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	return &Server{
		o:        o,
		sessions: newSessionTable(o.MaxSessions),
		seen:     newReplayCache(65536),
		receiver: newReceiver(o.Receiver, o.Events),
		rsa:      make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)),
	}, nil
}

// Sessions is how many sessions are open.
func (s *Server) Sessions() int { return s.sessions.len() }

// EndSessions forgets the sessions of a host, when it is removed. fingerprint
// is that of its key.
func (s *Server) EndSessions(fingerprint string) { s.sessions.end(fingerprint) }

// SignCommand signs a command with the present command key. The caller sets
// all fields; serials of one host must rise and be sent in rising order.
func (s *Server) SignCommand(c wire.Command) (SignedCommand, error) {
	if !validHostID(c.Host) || c.Serial == 0 || c.Nonce == "" || c.Expires.IsZero() {
		return nil, fmt.Errorf("sign a command: it needs host, serial, nonce and expiry: %w", ErrMalformed)
	}
	s.reload()
	k := s.o.Keys.present()
	return signCommand(k.command, k.set.Serial, c)
}

// reload takes up keys that a keys command changed beside the running server.
func (s *Server) reload() {
	if _, err := s.o.Keys.Reload(); err != nil {
		s.o.Keys.o.Log.Warn("the key folder cannot be read again; the former keys stay in use", "error", err)
	}
}

// refuse counts a refusal and makes the reply that carries it.
func (s *Server) refuse(err error, e Event) Reply {
	s.Counters.Add(err)
	e.Kind, e.Time, e.Err = EventRefused, s.o.Now(), err
	s.o.Events(e)
	r := RefusalReply(err)
	r.Host = e.Host
	return r
}

// RefusalReply is the reply to a request that is refused for err, such as one
// whose body ReadBody would not read.
func RefusalReply(err error) Reply {
	status := http.StatusBadRequest
	switch RefusalName(err) {
	case ErrOversized.Name:
		status = http.StatusRequestEntityTooLarge
	case ErrUnknownSession.Name, ErrSessionOver.Name, ErrReplayed.Name, ErrUnknownKeySet.Name, ErrWrongKey.Name:
		status = http.StatusConflict
	case ErrUnknownHost.Name, ErrPending.Name, ErrRemoved.Name, ErrTokenRefused.Name:
		status = http.StatusForbidden
	case ErrUnavailable.Name, "":
		status = http.StatusServiceUnavailable
	}
	return Reply{Status: status, Body: makeRefusal(err), Err: err}
}

// ReadBody reads a request body within the bound of its path; beyond it the
// error is ErrOversized.
func ReadBody(r *http.Request) ([]byte, error) {
	limit := int64(MaxMessage)
	switch {
	case strings.HasSuffix(r.URL.Path, PathKeys), strings.HasSuffix(r.URL.Path, PathEnrol), strings.HasSuffix(r.URL.Path, PathOpen):
		limit = MaxHandshake
	case strings.HasSuffix(r.URL.Path, PathPoll):
		limit = 4096
	}
	if r.ContentLength > limit {
		return nil, fmt.Errorf("read a request of %d bytes: %w", r.ContentLength, ErrOversized)
	}
	// The buffer grows with what arrives: a peer that only claims a length
	// costs nothing.
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(min(r.ContentLength, 64<<10)))
	}
	n, err := b.ReadFrom(io.LimitReader(r.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read a request: %v: %w", err, ErrTruncated)
	case n > limit:
		return nil, fmt.Errorf("read a request: %w", ErrOversized)
	case r.ContentLength >= 0 && n != r.ContentLength:
		return nil, fmt.Errorf("read a request: %d bytes of %d: %w", n, r.ContentLength, ErrTruncated)
	}
	return b.Bytes(), nil
}

// HandleKeys answers with the present key set; body is not looked at.
func (s *Server) HandleKeys(_ context.Context, _ []byte) Reply {
	s.reload()
	return Reply{Status: http.StatusOK, Body: s.o.Keys.present().set.whole}
}

// privately runs a private-key operation when its turn comes.
func (s *Server) privately(ctx context.Context, f func() error) error {
	select {
	case s.rsa <- struct{}{}:
		defer func() { <-s.rsa }()
		return f()
	case <-ctx.Done():
		return fmt.Errorf("wait for a turn: %v: %w", ctx.Err(), ErrUnavailable)
	}
}

// HandleEnrol enrols a host. remote is the peer's address, for the store.
func (s *Server) HandleEnrol(ctx context.Context, body []byte, remote string) Reply {
	s.reload()
	reply, host, err := s.enrol(ctx, body, remote)
	if err != nil {
		return s.refuse(fmt.Errorf("enrol a host: %w", err), Event{Remote: remote, Host: host})
	}
	kind := EventEnrolled
	if host.State == HostPending {
		kind = EventPending
	}
	s.o.Events(Event{Kind: kind, Time: s.o.Now(), Host: host, Remote: remote})
	return Reply{Status: http.StatusOK, Body: reply, Host: host}
}

func (s *Server) enrol(ctx context.Context, body []byte, remote string) ([]byte, Host, error) {
	serial, err := keySetOf(body, typeEnrolRequest)
	if err != nil {
		return nil, Host{}, err
	}
	keys, err := s.o.Keys.bySerial(serial)
	if err != nil {
		return nil, Host{}, err
	}
	var q *enrolRequest
	var p *pendingEnrol
	if err := s.privately(ctx, func() (err error) { q, p, err = readEnrol(body, keys.rsa); return err }); err != nil {
		return nil, Host{}, err
	}
	id, err := newHostID()
	if err != nil {
		return nil, Host{}, err
	}
	now := s.o.Now()
	host, err := s.o.Hosts.Enrol(ctx, Enrolment{
		Key: q.HostKey, Fingerprint: Fingerprint(q.HostKey), Secret: q.Secret, ProposedID: id,
		Details: q.Details, Remote: remote, Time: now,
	})
	if err != nil {
		return nil, Host{}, asRefusal(err)
	}
	if host.State == HostRemoved {
		return nil, host, ErrRemoved
	}
	// The agent has the key set that it named, so that is whose command key
	// signs.
	cert, err := makeCertificate(keys.command, serial, Certificate{Host: host.ID, Key: q.HostKey, Serial: uint64(now.UnixNano()), Issued: now.UTC()})
	if err != nil {
		return nil, host, err
	}
	text, err := json.Marshal(enrolReply{State: host.State, Certificate: cert, Time: now.UTC()})
	if err != nil {
		return nil, host, err
	}
	reply, err := makeEnrolReply(rand.Reader, p, keys.command, text)
	return reply, host, err
}

// asRefusal leaves a refusal as it is; any other failure of a store is one
// that a later attempt may not meet.
func asRefusal(err error) error {
	if RefusalName(err) != "" {
		return err
	}
	return fmt.Errorf("%v: %w", err, ErrUnavailable)
}

func newHostID() (string, error) {
	b, err := randomBytes(rand.Reader, 10)
	if err != nil {
		return "", err
	}
	return "h-" + strings.ToLower(base32.StdEncoding.EncodeToString(b)), nil
}

// HandleOpen opens a session.
func (s *Server) HandleOpen(ctx context.Context, body []byte, remote string) Reply {
	s.reload()
	reply, host, err := s.open(ctx, body)
	if err != nil {
		return s.refuse(fmt.Errorf("open a session: %w", err), Event{Remote: remote, Host: host})
	}
	return Reply{Status: http.StatusOK, Body: reply, Host: host}
}

func (s *Server) open(ctx context.Context, body []byte) ([]byte, Host, error) {
	serial, err := keySetOf(body, typeOpenRequest)
	if err != nil {
		return nil, Host{}, err
	}
	keys, err := s.o.Keys.bySerial(serial)
	if err != nil {
		return nil, Host{}, err
	}
	if s.seen.had(body) {
		return nil, Host{}, ErrReplayed
	}
	var q *openedRequest
	if err := s.privately(ctx, func() (err error) { q, err = readOpen(body, keys.rsa); return err }); err != nil {
		return nil, Host{}, err
	}
	host, err := s.o.Hosts.Host(ctx, Fingerprint(q.cert.Key))
	switch {
	case err != nil:
		return nil, Host{}, asRefusal(err)
	case host.State == HostPending:
		return nil, host, ErrPending
	case host.State != HostAdmitted:
		return nil, host, ErrRemoved
	case host.ID != q.Host:
		return nil, host, ErrWrongHost
	}
	if !s.seen.add(body) {
		return nil, host, ErrReplayed
	}
	return s.answerOpen(q, host, keys)
}

func (s *Server) answerOpen(q *openedRequest, host Host, keys *onlineKeys) ([]byte, Host, error) {
	now, present := s.o.Now(), s.o.Keys.present()
	a := openReply{Time: now.UTC(), LifeS: int64(SessionLife / time.Second)}
	if keys.set.Serial != present.set.Serial {
		a.KeySet = present.set.whole
	}
	// The store knows the host by its key, so a certificate by a key that is
	// no longer honoured is replaced, not refused.
	if !q.cert.signedBy(s.o.Keys.certifiers()) || q.cert.keySet != present.set.Serial {
		cert, err := makeCertificate(present.command, present.set.Serial,
			Certificate{Host: host.ID, Key: host.Key, Serial: uint64(now.UnixNano()), Issued: now.UTC()})
		if err != nil {
			return nil, host, err
		}
		a.Certificate = cert
	}
	text, err := json.Marshal(a)
	if err != nil {
		return nil, host, err
	}
	idb, err := randomBytes(rand.Reader, 16)
	if err != nil {
		return nil, host, err
	}
	id := sessionID(idb)
	reply, sk, err := makeOpenReply(rand.Reader, q, id, present.command, text)
	if err != nil {
		return nil, host, err
	}
	sess := &serverSession{id: id, host: host, opened: now, seal: sealers{keys: sk}, agentSet: keys.set.Serial}
	copy(sess.replaces[:], q.Replaces)
	s.sessions.add(sess)
	return reply, host, nil
}

// request opens a record that came on a channel.
func (s *Server) request(body []byte, c Channel) (*serverSession, header, []byte, error) {
	h, _, err := readHeader(body)
	if err != nil {
		return nil, h, nil, err
	}
	if h.channel != c || h.dir != fromAgent {
		return nil, h, nil, fmt.Errorf("read a record of %s on %s: %w", h.channel, c, ErrWrongChannel)
	}
	now := s.o.Now()
	sess, err := s.sessions.get(h.session, now)
	if err != nil {
		return nil, h, nil, err
	}
	packed, first, err := sess.accept(h, body)
	if err != nil {
		return sess, h, nil, err
	}
	if s.sessions.note(sess, first, now) {
		s.o.Events(Event{Kind: EventClone, Time: now, Host: sess.host, Session: hex.EncodeToString(h.session[:]),
			Detail: "two sessions of this host's key are used in turn: the key is on two machines"})
	}
	if first {
		s.o.Events(Event{Kind: EventSession, Time: now, Host: sess.host, Session: hex.EncodeToString(h.session[:])})
	}
	plain, err := unpack(packed)
	return sess, h, plain, err
}

// Open opens a request that came on a channel, for another transport or
// another kind of text than HandlePost, HandlePoll and HandleAnswer take.
// reply seals the answer to it.
func (s *Server) Open(body []byte, c Channel) (host Host, plain []byte, reply func(plain []byte) ([]byte, error), err error) {
	sess, h, plain, err := s.request(body, c)
	if err != nil {
		return Host{}, nil, nil, err
	}
	return sess.host, plain, func(p []byte) ([]byte, error) {
		packed, err := pack(p)
		if err != nil {
			return nil, err
		}
		return sess.reply(h, s.o.Keys.Serial(), packed)
	}, nil
}

// refuseRecord refuses a record; the host is named only if the session told
// who it is.
func (s *Server) refuseRecord(err error, sess *serverSession, h header) Reply {
	e := Event{}
	if sess != nil {
		e.Host, e.Session = sess.host, hex.EncodeToString(h.session[:])
	}
	return s.refuse(err, e)
}

// answer seals the JSON of v as the reply to request h.
func (s *Server) answer(sess *serverSession, h header, v any) Reply {
	text, err := json.Marshal(v)
	if err == nil {
		var packed []byte
		if packed, err = pack(text); err == nil {
			var b []byte
			if b, err = sess.reply(h, s.o.Keys.Serial(), packed); err == nil {
				return Reply{Status: http.StatusOK, Body: b, Host: sess.host}
			}
		}
	}
	return s.refuseRecord(fmt.Errorf("answer host %s: %w", sess.host.ID, asRefusal(err)), sess, h)
}
