package procfs

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"
)

var (
	nameFD    = []byte("fd\x00")
	nameNetNS = []byte("ns/net\x00")
)

// Sockets calls f for each file descriptor of the process that is a socket.
func (p *Process) Sockets(f func(fd int64, inode uint64)) error {
	dir, err := openat(p.fd, nameFD, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return gone(err)
	}
	defer unix.Close(dir)
	var link [64]byte // a socket's text is shorter; what is cut off is none
	var name [24]byte
	return p.r.list(dir, func(b []byte) {
		if b[0] == '.' || len(b) >= len(name) {
			return
		}
		fd, err := uintOf(b)
		if err != nil || fd > 1<<31 {
			return
		}
		name[copy(name[:], b)] = 0
		n, err := readlinkat(dir, name[:], link[:])
		if err != nil {
			return // closed meanwhile
		}
		if inode, ok := SocketInode(link[:n]); ok {
			f(int64(fd), inode)
		}
	})
}

// NetNS is the inode number of the network namespace of the process; 0 where
// the tree does not tell.
func (p *Process) NetNS() (uint64, error) {
	var link [64]byte
	n, err := readlinkat(p.fd, nameNetNS, link[:])
	if err == unix.ENOENT {
		return 0, nil
	}
	if err != nil {
		return 0, gone(err)
	}
	ns, _ := bracketed(link[:n], "net:[")
	return ns, nil
}

// Lines calls f for each line of a file of the process, such as "net/tcp",
// however long the file is. The line is valid in the call.
func (p *Process) Lines(name string, f func(line []byte)) error { return p.r.lines(p.fd, name, f) }

// Lines calls f for each line of a file of the folder, such as "net/tcp".
func (r *Reader) Lines(name string, f func(line []byte)) error { return r.lines(r.dir, name, f) }

// maxLine bounds a line; none that the kernel writes comes near it.
const maxLine = 64 << 10

func (r *Reader) lines(dir int, name string, f func(line []byte)) error {
	at, last := dir, name
	for { // in a copied tree no link may lead on, so go folder by folder
		part, rest, more := cut(last)
		if !more {
			break
		}
		sub, err := openat(at, append([]byte(part), 0), unix.O_PATH|unix.O_DIRECTORY|r.noFollow()|unix.O_CLOEXEC)
		if at != dir {
			unix.Close(at)
		}
		if err != nil {
			return gone(err)
		}
		at, last = sub, rest
	}
	if at != dir {
		defer unix.Close(at)
	}
	fd, err := r.open(at, append([]byte(last), 0))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	buf := make([]byte, 2*maxLine)
	have := 0
	for {
		n, err := unix.Read(fd, buf[have:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return gone(err)
		}
		b := buf[:have+n]
		for {
			i := bytes.IndexByte(b, '\n')
			if i < 0 {
				break
			}
			f(b[:i])
			b = b[i+1:]
		}
		if n == 0 {
			if len(b) > 0 {
				f(b)
			}
			return nil
		}
		if len(b) > maxLine {
			return fmt.Errorf("read %s: a line is longer than %d bytes", name, maxLine)
		}
		have = copy(buf, b)
	}
}

func cut(name string) (first, rest string, found bool) {
	for i := range len(name) {
		if name[i] == '/' {
			return name[:i], name[i+1:], true
		}
	}
	return name, "", false
}

// noFollow is O_NOFOLLOW in a copied tree. The kernel's own /proc has links
// that must be followed: net is one.
func (r *Reader) noFollow() int {
	if r.live {
		return 0
	}
	return unix.O_NOFOLLOW
}
