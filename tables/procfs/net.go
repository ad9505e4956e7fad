package procfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
)

// NetSocket is a line of /proc/net/tcp, tcp6, udp, udp6, raw or raw6.
type NetSocket struct {
	Local, Remote         netip.Addr
	LocalPort, RemotePort uint16
	State                 uint8 // of TCP as the kernel numbers it; 7 for an unconnected UDP socket
	UID                   uint32
	Inode                 uint64 // 0: no process has it any more, or not yet
}

// NetHeader says that a line is the heading of such a file.
func NetHeader(line []byte) bool {
	w, _ := field(line)
	return string(w) == "sl"
}

// ParseNet reads a line. Addresses are words of 32 bits in the byte order of
// the machine that wrote them, which is taken to be this one's.
func ParseNet(line []byte, s *NetSocket) error {
	*s = NetSocket{}
	f, rest := field(line)
	if len(f) < 2 || f[len(f)-1] != ':' {
		return fmt.Errorf("parse socket: the line has no number in front")
	}
	var err error
	if f, rest = field(rest); true {
		if s.Local, s.LocalPort, err = endpoint(f); err != nil {
			return fmt.Errorf("parse socket: local address: %w", err)
		}
	}
	if f, rest = field(rest); true {
		if s.Remote, s.RemotePort, err = endpoint(f); err != nil {
			return fmt.Errorf("parse socket: remote address: %w", err)
		}
	}
	f, rest = field(rest)
	st, err := hexOf(f)
	if err != nil || st > 255 {
		return fmt.Errorf("parse socket: state: %w", errNumber)
	}
	s.State = uint8(st)
	for range 3 { // queues, timer, retransmits
		if f, rest = field(rest); len(f) == 0 {
			return fmt.Errorf("parse socket: the line ends early")
		}
	}
	f, rest = field(rest)
	uid, err := uintOf(f)
	if err != nil || uid > 1<<32-1 {
		return fmt.Errorf("parse socket: uid: %w", errNumber)
	}
	s.UID = uint32(uid)
	_, rest = field(rest) // timeout
	f, _ = field(rest)
	if s.Inode, err = uintOf(f); err != nil {
		return fmt.Errorf("parse socket: inode: %w", err)
	}
	return nil
}

// endpoint reads ADDRESS:PORT, both in hexadecimal digits.
func endpoint(b []byte) (netip.Addr, uint16, error) {
	i := bytes.IndexByte(b, ':')
	if i != 8 && i != 32 || len(b) != i+5 {
		return netip.Addr{}, 0, fmt.Errorf("%q is no address and port", b)
	}
	port, err := hexOf(b[i+1:])
	if err != nil {
		return netip.Addr{}, 0, err
	}
	var raw [16]byte
	for w := 0; w < i/8; w++ {
		v, err := hexOf(b[w*8 : w*8+8])
		if err != nil {
			return netip.Addr{}, 0, err
		}
		binary.NativeEndian.PutUint32(raw[w*4:], uint32(v))
	}
	if i == 8 {
		return netip.AddrFrom4([4]byte(raw[:4])), uint16(port), nil
	}
	return netip.AddrFrom16(raw), uint16(port), nil
}

// UnixSocket is a line of /proc/net/unix.
type UnixSocket struct {
	Type  uint8 // 1 stream, 2 datagram, 5 sequenced packets
	State uint8 // of struct socket: 1 unconnected, 2 connecting, 3 connected
	Inode uint64
	Path  []byte // a name in the abstract space starts with @; valid as long as the line
}

// ParseUnix reads a line.
func ParseUnix(line []byte, s *UnixSocket) error {
	*s = UnixSocket{}
	f, rest := field(line)
	if len(f) < 2 || f[len(f)-1] != ':' {
		return fmt.Errorf("parse unix socket: the line has no number in front")
	}
	for range 3 { // references, protocol, flags
		_, rest = field(rest)
	}
	f, rest = field(rest)
	typ, err := hexOf(f)
	if err != nil || typ > 255 {
		return fmt.Errorf("parse unix socket: type: %w", errNumber)
	}
	f, rest = field(rest)
	state, err := hexOf(f)
	if err != nil || state > 255 {
		return fmt.Errorf("parse unix socket: state: %w", errNumber)
	}
	f, rest = field(rest)
	if s.Inode, err = uintOf(f); err != nil {
		return fmt.Errorf("parse unix socket: inode: %w", err)
	}
	s.Type, s.State = uint8(typ), uint8(state)
	if len(rest) > 0 {
		s.Path = rest[1:]
	}
	return nil
}

// PacketSocket is a line of /proc/net/packet: a socket that sees or sends
// frames past the machine's own network layers.
type PacketSocket struct {
	Type      uint8  // 3 raw, 2 datagram
	Protocol  uint16 // of the link layer, such as 3 for all
	Interface uint32 // its number; 0 for any
	UID       uint32
	Inode     uint64
}

// ParsePacket reads a line. The heading is an error.
func ParsePacket(line []byte, s *PacketSocket) error {
	*s = PacketSocket{}
	_, rest := field(line)
	_, rest = field(rest) // references
	for _, f := range []struct {
		name  string
		hex   bool
		limit uint64
		put   func(uint64)
	}{
		{"type", false, 1<<8 - 1, func(v uint64) { s.Type = uint8(v) }},
		{"protocol", true, 1<<16 - 1, func(v uint64) { s.Protocol = uint16(v) }},
		{"interface", false, 1<<32 - 1, func(v uint64) { s.Interface = uint32(v) }},
		{"", false, 0, nil}, {"", false, 0, nil}, // running, memory
		{"uid", false, 1<<32 - 1, func(v uint64) { s.UID = uint32(v) }},
		{"inode", false, 1<<64 - 1, func(v uint64) { s.Inode = v }},
	} {
		var w []byte
		if w, rest = field(rest); f.put == nil {
			continue
		}
		parse := uintOf
		if f.hex {
			parse = hexOf
		}
		v, err := parse(w)
		if err != nil || v > f.limit {
			return fmt.Errorf("parse packet socket: %s: %w", f.name, errNumber)
		}
		f.put(v)
	}
	return nil
}

// SocketInode reads the text of a link in /proc/PID/fd that is a socket's:
// "socket:[NUMBER]".
func SocketInode(link []byte) (uint64, bool) { return bracketed(link, "socket:[") }

func bracketed(link []byte, prefix string) (uint64, bool) {
	if len(link) <= len(prefix) || string(link[:len(prefix)]) != prefix || link[len(link)-1] != ']' {
		return 0, false
	}
	n, err := uintOf(link[len(prefix) : len(link)-1])
	return n, err == nil
}
