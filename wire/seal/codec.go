package seal

import (
	"encoding/binary"
	"fmt"
	"math"
)

// msgType is the fifth byte of every message.
type msgType byte

const (
	typeKeySet       msgType = 1
	typeEnrolRequest msgType = 2
	typeEnrolReply   msgType = 3
	typeOpenRequest  msgType = 4
	typeOpenReply    msgType = 5
	typeRecord       msgType = 6
	typeRefusal      msgType = 7
	typeCommand      msgType = 8
	typeCertificate  msgType = 9
)

const (
	version   = 1
	prefixLen = 5
)

// writer appends the protocol's fields to b: integers are big-endian, a text
// of varying length is preceded by its length.
type writer struct{ b []byte }

func start(t msgType) *writer { return &writer{[]byte{'E', 'D', 'R', version, byte(t)}} }

func (w *writer) u8(v byte)      { w.b = append(w.b, v) }
func (w *writer) u16(v uint16)   { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v uint32)   { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64)   { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *writer) raw(p []byte)   { w.b = append(w.b, p...) }
func (w *writer) var16(p []byte) { w.u16(uint16(len(p))); w.raw(p) }
func (w *writer) var32(p []byte) { w.u32(uint32(len(p))); w.raw(p) }

// reader takes fields from the front of b. The first failure stays, and what
// is read after it is zero.
type reader struct {
	b   []byte
	off int
	err error
}

// read begins to read a message of type t. A refusal where another type was
// expected is returned as the refusal itself.
func read(b []byte, t msgType) *reader {
	r := &reader{b: b}
	if len(b) < prefixLen {
		r.err = fmt.Errorf("read a message of %d bytes: %w", len(b), ErrTruncated)
		return r
	}
	switch {
	case string(b[:3]) != "EDR":
		r.err = fmt.Errorf("read a message: it does not begin with EDR: %w", ErrMalformed)
	case b[3] != version:
		r.err = fmt.Errorf("read a message of version %d: %w", b[3], ErrVersion)
	case msgType(b[4]) == typeRefusal && t != typeRefusal:
		r.err = readRefusal(b)
	case msgType(b[4]) != t:
		r.err = fmt.Errorf("read a message of type %d where %d is due: %w", b[4], t, ErrMalformed)
	}
	r.off = prefixLen
	return r
}

func (r *reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.b)-r.off {
		r.err = fmt.Errorf("read a message: %d more bytes are due and %d are there: %w", n, len(r.b)-r.off, ErrTruncated)
		return nil
	}
	p := r.b[r.off : r.off+n : r.off+n]
	r.off += n
	return p
}

func (r *reader) u8() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if p := r.take(2); p != nil {
		return binary.BigEndian.Uint16(p)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if p := r.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if p := r.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

func (r *reader) var16() []byte { return r.take(int(r.u16())) }

// var32 reads a text whose length must not be above limit.
func (r *reader) var32(limit int) []byte {
	n := r.u32()
	if r.err == nil && (n > math.MaxInt32 || int(n) > limit) {
		r.err = fmt.Errorf("read a message: a field of %d bytes where %d are allowed: %w", n, limit, ErrOversized)
	}
	return r.take(int(n))
}

// end fails if bytes are left over.
func (r *reader) end() error {
	if r.err == nil && r.off != len(r.b) {
		r.err = fmt.Errorf("read a message: %d bytes are left over: %w", len(r.b)-r.off, ErrMalformed)
	}
	return r.err
}

// makeRefusal is the unauthenticated answer to what cannot be opened. A peer
// must not act on it beyond opening a session anew.
func makeRefusal(err error) []byte {
	name := RefusalName(err)
	if name == "" {
		name = ErrUnavailable.Name
	}
	w := start(typeRefusal)
	w.var16([]byte(name))
	return w.b
}

// readRefusal reads a refusal into the error of its name.
func readRefusal(b []byte) error {
	r := read(b, typeRefusal)
	name := string(r.var16())
	if err := r.end(); err != nil {
		return err
	}
	for _, known := range Refusals() {
		if known.Name == name {
			return &peerRefusal{known}
		}
	}
	return fmt.Errorf("the peer refused for a reason not known here, %.40q: %w", name, ErrMalformed)
}

// peerRefusal is a refusal that the other side sent.
type peerRefusal struct{ r *Refusal }

func (p *peerRefusal) Error() string { return "the peer refused the message: " + p.r.Error() }
func (p *peerRefusal) Unwrap() error { return p.r }
