package response

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Sizes of struct inet_diag_sockid, inet_diag_req_v2 and inet_diag_msg in
// include/uapi/linux/inet_diag.h.
const (
	diagIDSize  = 48
	diagReqSize = 8 + diagIDSize
	diagMsgSize = 72
)

// openStates are the TCP states in which a socket has another end; a connected
// UDP socket is in the first of them.
const openStates = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<8 | 1<<9 | 1<<11 | 1<<12

// socket is one socket as the kernel names it.
type socket struct {
	family, proto uint8
	state         uint8
	remote        netip.AddrPort
	id            [diagIDSize]byte
}

// sockets lists and ends the sockets of a network namespace.
type sockets struct{ conn *netlink.Conn }

// diagTime bounds one question to the kernel.
const diagTime = 5 * time.Second

func openSockets(netns int) (*sockets, error) {
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, &netlink.Config{NetNS: netns})
	if err != nil {
		return nil, fmt.Errorf("ask the kernel for its sockets: %w", err)
	}
	return &sockets{conn}, nil
}

func (s *sockets) close() { _ = s.conn.Close() }

func request(family, proto uint8, states uint32, id []byte) []byte {
	b := make([]byte, diagReqSize)
	b[0], b[1] = family, proto
	binary.NativeEndian.PutUint32(b[4:], states)
	copy(b[8:], id)
	return b
}

// matching lists the open sockets whose other end is r.
func (s *sockets) matching(r remote) ([]socket, error) {
	families := []uint8{unix.AF_INET6}
	if r.addr.Is4() {
		families = append(families, unix.AF_INET) // also as ::ffff:a.b.c.d
	}
	var out []socket
	for _, proto := range r.protocols() {
		for _, family := range families {
			all, err := s.list(family, proto)
			if err != nil {
				return nil, err
			}
			for _, one := range all {
				if one.remote.Addr().Unmap() == r.addr && (r.port == 0 || one.remote.Port() == r.port) {
					out = append(out, one)
				}
			}
		}
	}
	return out, nil
}

func (s *sockets) list(family, proto uint8) ([]socket, error) {
	_ = s.conn.SetDeadline(time.Now().Add(diagTime))
	msgs, err := s.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.SOCK_DIAG_BY_FAMILY, Flags: netlink.Request | netlink.Dump},
		Data:   request(family, proto, openStates, nil),
	})
	if errors.Is(err, unix.ENOENT) {
		return nil, nil // the kernel has no such sockets at all
	}
	if err != nil {
		return nil, fmt.Errorf("list the %s sockets: %w", protoName(proto), err)
	}
	out := make([]socket, 0, len(msgs))
	for _, m := range msgs {
		one, err := parseSocket(m.Data, proto)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// parseSocket reads a struct inet_diag_msg.
func parseSocket(b []byte, proto uint8) (socket, error) {
	if len(b) < diagMsgSize {
		return socket{}, fmt.Errorf("the kernel tells of a socket in %d bytes, not %d", len(b), diagMsgSize)
	}
	s := socket{family: b[0], state: b[1], proto: proto}
	copy(s.id[:], b[4:])
	port := binary.BigEndian.Uint16(b[6:])
	if s.family == unix.AF_INET {
		s.remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[24:28])), port)
	} else {
		s.remote = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[24:40])), port)
	}
	return s, nil
}

// errNoDestroy is what a kernel without CONFIG_INET_DIAG_DESTROY answers.
var errNoDestroy = errors.New("this kernel cannot end other programs' connections (CONFIG_INET_DIAG_DESTROY is off)")

// end ends one socket; one that is gone already is none to end.
func (s *sockets) end(one socket) error {
	_ = s.conn.SetDeadline(time.Now().Add(diagTime))
	_, err := s.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.SOCK_DESTROY, Flags: netlink.Request | netlink.Acknowledge},
		Data:   request(one.family, one.proto, 1<<one.state, one.id[:]),
	})
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EOPNOTSUPP):
		return errNoDestroy
	}
	return fmt.Errorf("end the connection with %s: %w", one.remote, err)
}

// seen are the sockets that were met, by the kernel's names with cookies.
type seen map[[diagIDSize]byte]bool

// note adds the sockets whose other end is r.
func (s *sockets) note(r remote, met seen) ([]socket, error) {
	found, err := s.matching(r)
	for _, one := range found {
		met[one.id] = true
	}
	return found, err
}

// endAll ends every open socket whose other end is r, and those that appear
// meanwhile. It says how many it saw left.
func (s *sockets) endAll(r remote, met seen) (left int, err error) {
	const rounds = 5
	for range rounds {
		found, err := s.note(r, met)
		if err != nil || len(found) == 0 {
			return len(found), err
		}
		for _, one := range found {
			if err := s.end(one); err != nil {
				return len(found), err
			}
		}
	}
	found, err := s.note(r, met)
	return len(found), err
}
