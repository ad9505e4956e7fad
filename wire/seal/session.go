package seal

import (
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Channel keeps kinds of traffic apart: each has its own keys and sequence,
// so that a poll that waits holds up no post.
type Channel byte

// The channels.
const (
	ChannelPoll   Channel = 1
	ChannelPost   Channel = 2
	ChannelAnswer Channel = 3
)

func (c Channel) String() string {
	switch c {
	case ChannelPoll:
		return "poll"
	case ChannelPost:
		return "post"
	case ChannelAnswer:
		return "answer"
	}
	return fmt.Sprintf("channel %d", byte(c))
}

// direction says who sent a record.
type direction byte

const (
	fromAgent  direction = 0
	fromServer direction = 1
)

const (
	channels  = 3
	headerLen = prefixLen + 16 + 1 + 1 + 8 + 8
)

// sessionKeys are a session's keys: one for each channel and direction. They
// are in memory only.
type sessionKeys struct {
	openReply []byte
	records   [channels][2][]byte
}

func deriveSession(secret []byte, own *ecdh.PrivateKey, peer *ecdh.PublicKey, transcript []byte) (*sessionKeys, error) {
	shared, err := own.ECDH(peer)
	if err != nil {
		return nil, fmt.Errorf("derive the session keys: %v: %w", err, ErrMalformed)
	}
	prk, err := hkdf.Extract(sha256.New, append(append([]byte(nil), secret...), shared...), transcript)
	if err != nil {
		return nil, err
	}
	expand := func(name string) []byte {
		if err != nil {
			return nil
		}
		var key []byte
		key, err = hkdf.Expand(sha256.New, prk, labelSession+name, 32)
		return key
	}
	k := &sessionKeys{openReply: expand("open reply")}
	for c := ChannelPoll; c <= ChannelAnswer; c++ {
		k.records[c-1] = [2][]byte{expand(c.String() + " request"), expand(c.String() + " reply")}
	}
	return k, err
}

// header is the authenticated beginning of a record.
type header struct {
	session  sessionID
	channel  Channel
	dir      direction
	sequence uint64
	keySet   uint64 // serial of the sender's present key set
}

func (h header) bytes() []byte {
	w := start(typeRecord)
	w.raw(h.session[:])
	w.u8(byte(h.channel))
	w.u8(byte(h.dir))
	w.u64(h.sequence)
	w.u64(h.keySet)
	return w.b
}

// readHeader reads a record's header and returns what is sealed behind it.
func readHeader(b []byte) (h header, sealed []byte, err error) {
	if len(b) > MaxMessage {
		return h, nil, fmt.Errorf("read a record of %d bytes: %w", len(b), ErrOversized)
	}
	r := read(b, typeRecord)
	copy(h.session[:], r.take(16))
	h.channel, h.dir = Channel(r.u8()), direction(r.u8())
	h.sequence, h.keySet = r.u64(), r.u64()
	if r.err == nil && len(b)-r.off < gcmTag {
		r.err = fmt.Errorf("read a record of %d bytes: %w", len(b), ErrTruncated)
	}
	if r.err == nil && (h.channel < ChannelPoll || h.channel > ChannelAnswer || h.dir > fromServer) {
		r.err = fmt.Errorf("read a record of channel %d: %w", h.channel, ErrMalformed)
	}
	return h, b[min(r.off, len(b)):], r.err
}

// sealers caches a session's ciphers, which are made when first used: an idle
// agent uses two of the six.
type sealers struct {
	keys *sessionKeys
	made [channels][2]cipher.AEAD
}

func (s *sealers) get(c Channel, d direction) (cipher.AEAD, error) {
	p := &s.made[c-1][d]
	if *p == nil {
		a, err := newAEAD(s.keys.records[c-1][d])
		if err != nil {
			return nil, err
		}
		*p = a
	}
	return *p, nil
}

// nonce is the sequence: it never comes twice under one key.
func nonce(sequence uint64) []byte {
	n := make([]byte, 12)
	binary.BigEndian.PutUint64(n[4:], sequence)
	return n
}

func sealRecord(a cipher.AEAD, h header, body []byte) ([]byte, error) {
	if len(body)+headerLen+gcmTag > MaxMessage {
		return nil, fmt.Errorf("seal a record of %d bytes: %w", len(body), ErrOversized)
	}
	hb := h.bytes()
	out := make([]byte, headerLen, headerLen+len(body)+gcmTag)
	copy(out, hb)
	return a.Seal(out, nonce(h.sequence), body, hb), nil
}

// openRecord opens what is sealed behind the header of b.
func openRecord(a cipher.AEAD, h header, b []byte) ([]byte, error) {
	p, err := a.Open(nil, nonce(h.sequence), b[headerLen:], b[:headerLen])
	if err != nil {
		return nil, ErrTampered
	}
	return p, nil
}
