package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// The codec of sock_diag(7): requests and answers of NETLINK_SOCK_DIAG.

const (
	diagByFamily  = 20 // SOCK_DIAG_BY_FAMILY
	nlHeader      = 16 // struct nlmsghdr
	diagReqSize   = 56 // struct inet_diag_req_v2
	diagMsgSize   = 72 // struct inet_diag_msg
	nlmDone       = 3
	nlmError      = 2
	nlmNoop       = 1
	flagRequest   = 0x1
	flagDump      = 0x300
	flagInterrupt = 0x10 // NLM_F_DUMP_INTR
)

// diagRequest asks for all sockets of a family and protocol.
func diagRequest(seq uint32, family, protocol uint8) []byte {
	b := make([]byte, nlHeader+diagReqSize)
	binary.NativeEndian.PutUint32(b[0:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], diagByFamily)
	binary.NativeEndian.PutUint16(b[6:], flagRequest|flagDump)
	binary.NativeEndian.PutUint32(b[8:], seq)
	b[nlHeader], b[nlHeader+1] = family, protocol
	binary.NativeEndian.PutUint32(b[nlHeader+4:], 0xffffffff) // every state
	return b
}

// errInterrupted says that sockets came or went while the kernel listed them,
// so that some may be missing.
var errInterrupted = errors.New("the kernel's list of sockets changed while it was read")

// diagParse reads one datagram of answers and hands each socket to add. done
// is true with the last of a dump.
func diagParse(b []byte, seq uint32, protocol uint8, add func(socket)) (done bool, err error) {
	interrupted := false
	for len(b) >= nlHeader {
		size := binary.NativeEndian.Uint32(b[0:])
		kind := binary.NativeEndian.Uint16(b[4:])
		flags := binary.NativeEndian.Uint16(b[6:])
		if size < nlHeader || uint64(size) > uint64(len(b)) {
			return false, fmt.Errorf("read sock_diag: a message of %d bytes in %d", size, len(b))
		}
		body := b[nlHeader:size]
		next := (uint64(size) + 3) &^ 3
		if next > uint64(len(b)) {
			next = uint64(len(b))
		}
		mine := binary.NativeEndian.Uint32(b[8:]) == seq
		b = b[next:]
		if !mine {
			continue // left over from an earlier, abandoned dump
		}
		if flags&flagInterrupt != 0 {
			interrupted = true
		}
		switch kind {
		case nlmNoop:
		case nlmDone:
			done = true
		case nlmError:
			if len(body) < 4 {
				return false, errors.New("read sock_diag: an error without a number")
			}
			return false, diagErrno(-int32(binary.NativeEndian.Uint32(body)))
		case diagByFamily:
			if len(body) < diagMsgSize {
				return false, fmt.Errorf("read sock_diag: a socket of %d bytes", len(body))
			}
			add(diagSocket(body, protocol))
		}
		if done {
			break
		}
	}
	if interrupted {
		err = errInterrupted
	}
	return done, err
}

func diagSocket(b []byte, protocol uint8) socket {
	s := socket{
		family: b[0], protocol: uint16(protocol), state: b[1],
		localPort: binary.BigEndian.Uint16(b[4:]), remotePort: binary.BigEndian.Uint16(b[6:]),
		uid: binary.NativeEndian.Uint32(b[64:]), inode: uint64(binary.NativeEndian.Uint32(b[68:])),
	}
	if s.family == familyIPv4 {
		s.local, s.remote = netip.AddrFrom4([4]byte(b[8:12])), netip.AddrFrom4([4]byte(b[24:28]))
	} else {
		s.local, s.remote = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	}
	return s
}
