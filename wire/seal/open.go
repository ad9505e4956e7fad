package seal

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// sessionID names a session; it is random and no secret.
type sessionID [16]byte

// openRequest is what a host says when it opens a session.
type openRequest struct {
	Host        string    `json:"host"`
	Certificate []byte    `json:"certificate"`
	Replaces    []byte    `json:"replaces,omitempty"` // session id
	Time        time.Time `json:"time"`               // the host's own, for the log
}

type openReply struct {
	Time time.Time `json:"time"`
	// LifeS is the seconds that the session may last.
	LifeS int64 `json:"life_s"`
	// KeySet is there where the host's is not the present one.
	KeySet []byte `json:"key_set,omitempty"`
	// Certificate is there where the host's was signed by a former key.
	Certificate []byte `json:"certificate,omitempty"`
}

// pendingOpen is what the asking side keeps until the answer.
type pendingOpen struct {
	secret    []byte
	ephemeral *ecdh.PrivateKey
	request   []byte
	keySet    uint64
}

// openedRequest is what the answering side knows of a request.
type openedRequest struct {
	openRequest
	cert   *Certificate
	secret []byte
	peer   *ecdh.PublicKey
	bytes  []byte
}

func ephemeralKey(random io.Reader) (*ecdh.PrivateKey, error) {
	b, err := randomBytes(random, 32)
	if err != nil {
		return nil, err
	}
	return ecdh.X25519().NewPrivateKey(b)
}

// makeOpen seals text, the JSON of an openRequest, to the server's key.
func makeOpen(random io.Reader, keySet uint64, server *rsa.PublicKey, host ed25519.PrivateKey, text []byte) (*pendingOpen, error) {
	secret, err := randomBytes(random, 32)
	if err != nil {
		return nil, err
	}
	eph, err := ephemeralKey(random)
	if err != nil {
		return nil, err
	}
	wrapped, err := wrap(random, server, secret, labelOpenWrap)
	if err != nil {
		return nil, fmt.Errorf("seal the opening of a session: %w", err)
	}
	w := start(typeOpenRequest)
	w.u64(keySet)
	w.var16(wrapped)
	w.raw(eph.PublicKey().Bytes())
	header := w.b[:len(w.b):len(w.b)]
	sealed, err := sealSigned(secret, hash(header), labelOpenIdentity, header, text,
		sign(host, labelOpenHost, hash(header), text))
	if err != nil {
		return nil, err
	}
	w.var32(sealed)
	return &pendingOpen{secret, eph, w.b, keySet}, nil
}

// readOpen opens a request and checks that its sender holds the key that its
// certificate names. Who signed the certificate is for the caller to judge.
func readOpen(b []byte, server *rsa.PrivateKey) (*openedRequest, error) {
	r := read(b, typeOpenRequest)
	r.u64()
	wrapped, peer := r.var16(), r.take(32)
	header := b[:min(r.off, len(b))]
	sealed := r.var32(MaxHandshake)
	if err := r.end(); err != nil {
		return nil, err
	}
	secret, err := unwrap(server, wrapped, labelOpenWrap)
	if err != nil {
		return nil, err
	}
	text, sig, err := openSigned(secret, hash(header), labelOpenIdentity, header, sealed)
	if err != nil {
		return nil, err
	}
	q := &openedRequest{secret: secret, bytes: b}
	if err := json.Unmarshal(text, &q.openRequest); err != nil {
		return nil, fmt.Errorf("%v: %w", err, ErrMalformed)
	}
	if q.cert, err = parseCertificate(q.Certificate); err != nil {
		return nil, err
	}
	if q.Host != q.cert.Host {
		return nil, ErrWrongHost
	}
	if !verify(q.cert.Key, sig, labelOpenHost, hash(header), text) {
		return nil, ErrBadSignature
	}
	if len(q.Replaces) != 0 && len(q.Replaces) != len(sessionID{}) {
		return nil, fmt.Errorf("the replaced session has no session's id: %w", ErrMalformed)
	}
	if q.peer, err = ecdh.X25519().NewPublicKey(peer); err != nil {
		return nil, fmt.Errorf("%v: %w", err, ErrMalformed)
	}
	return q, nil
}

// makeOpenReply answers a request with text, the JSON of an openReply, and
// returns the session's keys.
func makeOpenReply(random io.Reader, q *openedRequest, id sessionID, command ed25519.PrivateKey, text []byte) ([]byte, *sessionKeys, error) {
	eph, err := ephemeralKey(random)
	if err != nil {
		return nil, nil, err
	}
	w := start(typeOpenReply)
	w.raw(id[:])
	w.raw(eph.PublicKey().Bytes())
	header := w.b[:len(w.b):len(w.b)]
	t := hash(q.bytes, header)
	keys, err := deriveSession(q.secret, eph, q.peer, t)
	if err != nil {
		return nil, nil, err
	}
	plain := &writer{}
	plain.var32(text)
	plain.raw(sign(command, labelOpenServer, t, text))
	sealed, err := sealOnce(keys.openReply, plain.b, header)
	if err != nil {
		return nil, nil, err
	}
	w.var32(sealed)
	return w.b, keys, nil
}

// readOpenReply derives the session's keys and opens the answer. It returns
// the text with the check of its signature, because the command key that made
// it may come with the key set in the text.
func readOpenReply(b []byte, p *pendingOpen) (a *openReply, id sessionID, keys *sessionKeys, by func([]ed25519.PublicKey) bool, err error) {
	fail := func(err error) (*openReply, sessionID, *sessionKeys, func([]ed25519.PublicKey) bool, error) {
		return nil, sessionID{}, nil, nil, err
	}
	if len(b) > MaxHandshake {
		return fail(ErrOversized)
	}
	r := read(b, typeOpenReply)
	copy(id[:], r.take(len(id)))
	peerBytes := r.take(32)
	header := b[:min(r.off, len(b))]
	sealed := r.var32(MaxHandshake)
	if err := r.end(); err != nil {
		return fail(err)
	}
	peer, err := ecdh.X25519().NewPublicKey(peerBytes)
	if err != nil {
		return fail(fmt.Errorf("%v: %w", err, ErrMalformed))
	}
	t := hash(p.request, header)
	if keys, err = deriveSession(p.secret, p.ephemeral, peer, t); err != nil {
		return fail(err)
	}
	plain, err := openOnce(keys.openReply, sealed, header)
	if err != nil {
		return fail(err)
	}
	pr := &reader{b: plain}
	text, sig := pr.var32(MaxHandshake), pr.take(ed25519.SignatureSize)
	if err := pr.end(); err != nil {
		return fail(err)
	}
	a = &openReply{}
	if err := json.Unmarshal(text, a); err != nil {
		return fail(fmt.Errorf("%v: %w", err, ErrMalformed))
	}
	return a, id, keys, func(k []ed25519.PublicKey) bool { return verifyAny(k, sig, labelOpenServer, t, text) }, nil
}
