package bpf

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Types of record in the socket ring.
const (
	TypeAttempt    = 16 + iota // a TCP connect began; the local port may be 0
	TypeConnected              // it succeeded
	TypeFailed                 // it did not
	TypeAccept                 // a connection was accepted
	TypeClose                  // a connection ended
	TypeListen                 // a TCP socket listens
	TypeBind                   // a TCP or UDP socket got its address by bind
	TypeUDPConnect             // a UDP socket got its peer by connect
	TypeIncoming               // a peer connected; nobody has accepted it yet
)

// Socket is something that happened to a socket.
type Socket struct {
	Header
	// Identity is who opened or accepted the connection, or asked for the
	// rest; PID 0 in a close whose opening was not seen.
	Identity
	Cookie uint64 // the kernel's number of the socket, as in sock_diag
	Opened uint64 // nanoseconds since boot, 0 where not seen
	// Family is 2 or 10. An IPv4 address in an IPv6 socket is given as what it
	// is, with family 2, so that no rule is evaded by it.
	Family   uint16
	Protocol uint16 // 6 TCP, 17 UDP
	Local    netip.AddrPort
	Remote   netip.AddrPort
}

const socketSize = headerSize + identitySize + 2*8 + 2*16 + 4*2

// DecodeSocket reads a record of the socket ring.
func DecodeSocket(raw []byte, into *Socket) (err error) {
	if len(raw) < socketSize {
		return fmt.Errorf("decode socket record: %d bytes, want %d", len(raw), socketSize)
	}
	if into.Header, err = DecodeHeader(raw); err != nil {
		return err
	}
	if into.Type < TypeAttempt || into.Type > TypeIncoming {
		return fmt.Errorf("decode socket record: unknown type %d", into.Type)
	}
	into.Identity = decodeIdentity(raw[headerSize:])
	p := raw[headerSize+identitySize:]
	into.Cookie = binary.LittleEndian.Uint64(p)
	into.Opened = binary.LittleEndian.Uint64(p[8:])
	into.Family = binary.LittleEndian.Uint16(p[52:])
	into.Protocol = binary.LittleEndian.Uint16(p[54:])
	address := func(at, port int) (netip.AddrPort, error) {
		n := binary.LittleEndian.Uint16(p[port:])
		switch into.Family {
		case 2:
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(p[at:at+4])), n), nil
		case 10:
			return netip.AddrPortFrom(netip.AddrFrom16([16]byte(p[at:at+16])), n), nil
		}
		return netip.AddrPort{}, fmt.Errorf("decode socket record: unknown family %d", into.Family)
	}
	if into.Local, err = address(16, 48); err != nil {
		return err
	}
	if into.Remote, err = address(32, 50); err != nil {
		return err
	}
	// The local end of a socket that is not yet bound is unspecified.
	if into.Remote.Addr().Is4In6() || into.Local.Addr().Is4In6() {
		into.Family = 2
		into.Local = unmap(into.Local)
		into.Remote = unmap(into.Remote)
	}
	return nil
}

func unmap(a netip.AddrPort) netip.AddrPort {
	ip := a.Addr().Unmap()
	if ip == netip.IPv6Unspecified() {
		ip = netip.IPv4Unspecified()
	}
	return netip.AddrPortFrom(ip, a.Port())
}
