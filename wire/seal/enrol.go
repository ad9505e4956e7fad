package seal

import (
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/aiedr/edr/wire"
)

// enrolRequest is what a host says when it enrols, sealed to the server's RSA
// key and signed by the key that it says is its own.
type enrolRequest struct {
	Secret  string           `json:"secret,omitempty"`
	HostKey []byte           `json:"host_key"`
	Time    time.Time        `json:"time"`
	Details wire.HostDetails `json:"details"`
}

type enrolReply struct {
	State       HostState `json:"state"`
	Certificate []byte    `json:"certificate"`
	Time        time.Time `json:"time"`
}

// pendingEnrol is what the asking side keeps until the answer.
type pendingEnrol struct {
	secret  []byte
	request []byte
}

// makeEnrol seals text, the JSON of an enrolRequest, to the server's key.
func makeEnrol(random io.Reader, keySet uint64, server *rsa.PublicKey, host ed25519.PrivateKey, text []byte) (*pendingEnrol, error) {
	secret, err := randomBytes(random, 32)
	if err != nil {
		return nil, err
	}
	wrapped, err := wrap(random, server, secret, labelEnrolWrap)
	if err != nil {
		return nil, fmt.Errorf("seal the enrolment: %w", err)
	}
	w := start(typeEnrolRequest)
	w.u64(keySet)
	w.var16(wrapped)
	header := w.b[:len(w.b):len(w.b)]
	sealed, err := sealSigned(secret, hash(header), labelEnrolRequest, header, text,
		sign(host, labelEnrolHost, hash(header), text))
	if err != nil {
		return nil, err
	}
	w.var32(sealed)
	return &pendingEnrol{secret, w.b}, nil
}

// sealSigned seals a text with its signature under a key derived for it alone.
func sealSigned(secret, salt []byte, label string, header, text, sig []byte) ([]byte, error) {
	key, err := derive(secret, salt, label)
	if err != nil {
		return nil, err
	}
	w := &writer{}
	w.var32(text)
	w.raw(sig)
	return sealOnce(key, w.b, header)
}

func openSigned(secret, salt []byte, label string, header, sealed []byte) (text, sig []byte, err error) {
	key, err := derive(secret, salt, label)
	if err != nil {
		return nil, nil, err
	}
	plain, err := openOnce(key, sealed, header)
	if err != nil {
		return nil, nil, err
	}
	r := &reader{b: plain}
	text, sig = r.var32(MaxHandshake), r.take(ed25519.SignatureSize)
	return text, sig, r.end()
}

// keySetOf is the key set serial that an enrol or open request names.
func keySetOf(b []byte, t msgType) (uint64, error) {
	if len(b) > MaxHandshake {
		return 0, ErrOversized
	}
	r := read(b, t)
	n := r.u64()
	return n, r.err
}

// readEnrol opens an enrol request and checks that its sender holds the key.
func readEnrol(b []byte, server *rsa.PrivateKey) (*enrolRequest, *pendingEnrol, error) {
	r := read(b, typeEnrolRequest)
	r.u64()
	wrapped := r.var16()
	header := b[:min(r.off, len(b))]
	sealed := r.var32(MaxHandshake)
	if err := r.end(); err != nil {
		return nil, nil, err
	}
	secret, err := unwrap(server, wrapped, labelEnrolWrap)
	if err != nil {
		return nil, nil, err
	}
	text, sig, err := openSigned(secret, hash(header), labelEnrolRequest, header, sealed)
	if err != nil {
		return nil, nil, err
	}
	var q enrolRequest
	if err := json.Unmarshal(text, &q); err != nil {
		return nil, nil, fmt.Errorf("%v: %w", err, ErrMalformed)
	}
	if !verify(q.HostKey, sig, labelEnrolHost, hash(header), text) {
		return nil, nil, ErrBadSignature
	}
	return &q, &pendingEnrol{secret, b}, nil
}

// makeEnrolReply answers p with text, the JSON of an enrolReply. The random
// bytes make the key new although a request may come twice.
func makeEnrolReply(random io.Reader, p *pendingEnrol, command ed25519.PrivateKey, text []byte) ([]byte, error) {
	fresh, err := randomBytes(random, 32)
	if err != nil {
		return nil, err
	}
	w := start(typeEnrolReply)
	w.raw(fresh)
	header := w.b[:len(w.b):len(w.b)]
	t := hash(p.request, header)
	sealed, err := sealSigned(p.secret, t, labelEnrolReply, header, text, sign(command, labelEnrolServer, t, text))
	if err != nil {
		return nil, err
	}
	w.var32(sealed)
	return w.b, nil
}

func readEnrolReply(b []byte, p *pendingEnrol, commands []ed25519.PublicKey) (*enrolReply, error) {
	if len(b) > MaxHandshake {
		return nil, ErrOversized
	}
	r := read(b, typeEnrolReply)
	r.take(32)
	header := b[:min(r.off, len(b))]
	sealed := r.var32(MaxHandshake)
	if err := r.end(); err != nil {
		return nil, err
	}
	t := hash(p.request, header)
	text, sig, err := openSigned(p.secret, t, labelEnrolReply, header, sealed)
	if err != nil {
		return nil, err
	}
	if !verifyAny(commands, sig, labelEnrolServer, t, text) {
		return nil, ErrBadSignature
	}
	var a enrolReply
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("%v: %w", err, ErrMalformed)
	}
	return &a, nil
}
