package network

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

func diagErrno(n int32) error { return fmt.Errorf("sock_diag: %w", syscall.Errno(n)) }

// diag asks the kernel for the sockets of the namespace that we run in.
type diag struct {
	fd  int
	seq uint32
	buf []byte
}

func openDiag() (*diag, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	// The kernel answers at once; the timeout only guards against waiting
	// for ever should it not.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	return &diag{fd: fd, buf: make([]byte, 64<<10)}, nil
}

func (d *diag) close() { unix.Close(d.fd) }

// dump appends all sockets of a family and protocol.
func (d *diag) dump(dst []socket, family, protocol uint8) ([]socket, error) {
	start := len(dst)
	var err error
	for range 3 {
		dst, err = d.once(dst[:start], family, protocol)
		if !errors.Is(err, errInterrupted) {
			break
		}
	}
	return dst, err
}

func (d *diag) once(dst []socket, family, protocol uint8) ([]socket, error) {
	d.seq++
	err := unix.Sendto(d.fd, diagRequest(d.seq, family, protocol), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err != nil {
		return dst, fmt.Errorf("ask sock_diag: %w", err)
	}
	interrupted := false
	for {
		n, from, err := unix.Recvfrom(d.fd, d.buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return dst, fmt.Errorf("read sock_diag: %w", err)
		}
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue // not the kernel's
		}
		done, err := diagParse(d.buf[:n], d.seq, protocol, func(s socket) { dst = append(dst, s) })
		if errors.Is(err, errInterrupted) {
			interrupted, err = true, nil
		}
		if err != nil {
			return dst, err
		}
		if done {
			break
		}
	}
	if interrupted {
		return dst, errInterrupted
	}
	return dst, nil
}
