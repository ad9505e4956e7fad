package procsensor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// nlsock is a netlink socket that waits in the runtime's poller, so that a
// deadline ends a read.
type nlsock struct {
	f   *os.File
	fd  int
	seq uint32
}

const nlHeader = 16

// openNetlink opens a socket of the protocol, bound to the multicast groups,
// with a receive buffer of the size given as far as the kernel allows.
func openNetlink(protocol int, groups uint32, buffer int) (*nlsock, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer); err != nil {
		// Without CAP_NET_ADMIN the common bound applies; less room, more loss,
		// and the loss is counted.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("bind a netlink socket: %w", err)
	}
	return &nlsock{f: os.NewFile(uintptr(fd), "netlink"), fd: fd}, nil
}

func (s *nlsock) close() error { return s.f.Close() }

// stop makes a read under way, and every later one, return.
func (s *nlsock) stop() { _ = s.f.SetReadDeadline(time.Unix(1, 0)) }

// port is the address that the kernel gave the socket.
func (s *nlsock) port() (uint32, error) {
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return 0, fmt.Errorf("ask for the netlink address: %w", err)
	}
	nl, ok := sa.(*unix.SockaddrNetlink)
	if !ok {
		return 0, errors.New("ask for the netlink address: it is of another family")
	}
	return nl.Pid, nil
}

// send sends one message to the kernel.
func (s *nlsock) send(kind, flags uint16, payload []byte) (seq uint32, err error) {
	s.seq++
	b := make([]byte, 0, nlHeader+len(payload))
	b = binary.NativeEndian.AppendUint32(b, uint32(nlHeader+len(payload)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, s.seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = append(b, payload...)
	return s.seq, unix.Sendto(s.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// receive waits for a datagram from the kernel. Others may send to the socket
// as well; what they send is passed over.
func (s *nlsock) receive(buf []byte) (int, error) {
	raw, err := s.f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var (
		n    int
		from unix.Sockaddr
		got  error
	)
	for {
		err = raw.Read(func(fd uintptr) bool {
			n, from, got = unix.Recvfrom(int(fd), buf, 0)
			return !errors.Is(got, unix.EAGAIN)
		})
		if err != nil {
			return 0, err
		}
		if errors.Is(got, unix.EINTR) {
			continue
		}
		if got != nil {
			return 0, got
		}
		if nl, ok := from.(*unix.SockaddrNetlink); ok && nl.Pid == 0 {
			return n, nil
		}
	}
}

// nlMessage is one message of a datagram.
type nlMessage struct {
	Kind, Flags uint16
	Seq         uint32
	Data        []byte
}

// nextMessage cuts the first message off b. The audit's records give a length
// that leaves out the header in some kernels, so that for them the whole
// datagram is one message; see auditRecord.
func nextMessage(b []byte) (m nlMessage, rest []byte, err error) {
	if len(b) < nlHeader {
		return m, nil, fmt.Errorf("netlink message of %d bytes is shorter than its header", len(b))
	}
	n := int(binary.NativeEndian.Uint32(b))
	if n < nlHeader || n > len(b) {
		return m, nil, fmt.Errorf("netlink message says %d bytes, the datagram has %d", n, len(b))
	}
	m = nlMessage{
		Kind: binary.NativeEndian.Uint16(b[4:]), Flags: binary.NativeEndian.Uint16(b[6:]),
		Seq: binary.NativeEndian.Uint32(b[8:]), Data: b[nlHeader:n],
	}
	n = (n + 3) &^ 3
	if n >= len(b) {
		return m, nil, nil
	}
	return m, b[n:], nil
}

// nlError reads the answer NLMSG_ERROR: nil for an acknowledgement.
func nlError(data []byte) error {
	if len(data) < 4 {
		return errors.New("netlink answer is too short")
	}
	if code := int32(binary.NativeEndian.Uint32(data)); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}
