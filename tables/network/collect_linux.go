package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/procfs"
)

// holder is a process that has a socket open.
type holder struct {
	pid, fd int64
	next    int32 // of the same socket, as an index; 0: none
}

// collection is one reading of the sockets and of who holds them.
type collection struct {
	q       *tables.Query
	r       *procfs.Reader
	sockets []socket
	holders []holder         // index 0 is unused
	first   map[uint64]int32 // inode of a socket to its first holder
	ns      map[uint64]int64 // network namespaces, each with a process in it
	own     uint64           // the namespace that we run in
	only    map[int64]bool   // processes asked for; nil: all
	denied  int
	why     error
}

// collect reads sockets of the internet's protocols, and besides them Unix
// sockets where unixToo says so, else packet sockets. The
// caller closes the collection.
func collect(ctx context.Context, q *tables.Query, unixToo bool) (*collection, error) {
	if q.Host.Root.Dir() == "" {
		return nil, fmt.Errorf("%w: sockets are read from a root on disk only", tables.ErrNotSupported)
	}
	r, err := procfs.Open(filepath.Join(q.Host.Root.Dir(), "proc"))
	if err != nil {
		return nil, err
	}
	c := &collection{q: q, r: r, holders: make([]holder, 1), first: map[uint64]int32{}, ns: map[uint64]int64{}}
	if err := c.fill(ctx, unixToo); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *collection) close() { c.r.Close() }

func (c *collection) fill(ctx context.Context, unixToo bool) error {
	pids, some := c.q.Ints("pid")
	if some {
		slices.Sort(pids)
		pids = slices.Compact(pids)
		c.only = map[int64]bool{}
		for _, pid := range pids {
			c.only[pid] = true
		}
	}
	if !some || c.only[-1] {
		// Which sockets no process holds is known once all have been asked.
		var err error
		if pids, err = c.r.PIDs(nil); err != nil {
			return err
		}
	}
	if c.r.Live() {
		var st unix.Stat_t
		if err := unix.Stat("/proc/thread-self/ns/net", &st); err == nil {
			c.own = st.Ino
		}
	}
	if c.only == nil || c.only[-1] {
		// Sockets that no process holds are of interest: our own namespace
		// is read even if no process of it was.
		c.ns[c.own] = 0
	}
	var listed map[int64]bool
	if c.only == nil {
		listed = c.list()
	}
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return err
		}
		if pid > 0 && pid < 1<<31 && !listed[pid] {
			c.process(pid)
		}
	}
	if c.denied > 0 {
		c.q.Warn(fmt.Errorf("the sockets of %d processes could not be told: their rows lack the process: %w (%s)", c.denied, c.why, advice()))
	}
	for ns, pid := range c.ns {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.namespace(ns, pid)
		if unixToo {
			c.unix(ns, pid)
		} else {
			c.packet(ns, pid)
		}
	}
	return nil
}

// advice says what would let more be read.
func advice() string {
	if os.Geteuid() == 0 {
		return "the system keeps them from root, too: a security module or a missing capability"
	}
	return "run as root to read all"
}

// process notes the sockets and the network namespace of a process.
func (c *collection) process(pid int64) {
	p, err := c.r.Process(pid)
	if err != nil {
		c.deny(err)
		return
	}
	defer p.Close()
	body := p
	var st procfs.Stat
	if err := p.Stat(&st); err == nil && st.Zombie() {
		// A process whose first thread has ended holds its sockets all the same.
		var alive bool
		if body, alive = p.Body(&st); !alive {
			return
		}
		defer body.Close()
	}
	ns, err := body.NetNS()
	if err != nil {
		c.deny(err)
		ns = c.own
	}
	start := int32(len(c.holders))
	err = body.Sockets(func(fd int64, inode uint64) {
		at := c.first[inode]
		if at >= start {
			// The same socket again, by another descriptor of this process.
			c.holders[at].fd = min(c.holders[at].fd, fd)
			return
		}
		c.first[inode] = int32(len(c.holders))
		c.holders = append(c.holders, holder{pid: pid, fd: fd, next: at})
	})
	if err != nil {
		c.deny(err)
	}
	if _, ok := c.ns[ns]; !ok {
		c.ns[ns] = pid
	}
}

func (c *collection) deny(err error) {
	if !errors.Is(err, procfs.ErrGone) {
		c.denied++
		c.why = err
	}
}

// kinds are the internet sockets, with their files in /proc/net.
var kinds = []struct {
	family   uint8
	protocol uint16
	file     string
	diag     bool // asked for by sock_diag: for the others it might load a module
}{
	{familyIPv4, protocolTCP, "tcp", true}, {familyIPv6, protocolTCP, "tcp6", true},
	{familyIPv4, protocolUDP, "udp", true}, {familyIPv6, protocolUDP, "udp6", true},
	{familyIPv4, protocolUDPLite, "udplite", false}, {familyIPv6, protocolUDPLite, "udplite6", false},
	{familyIPv4, protocolRaw, "raw", false}, {familyIPv6, protocolRaw, "raw6", false},
}

// namespace reads the internet sockets of a namespace: our own by sock_diag,
// any other by the files that a process in it sees.
func (c *collection) namespace(ns uint64, pid int64) {
	var d *diag
	if c.r.Live() && ns == c.own {
		var err error
		if d, err = openDiag(); err != nil {
			c.q.Warn(fmt.Errorf("%w; reading /proc/net instead", err))
		} else {
			defer d.close()
		}
	}
	for _, k := range kinds {
		start := len(c.sockets)
		if d != nil && k.diag {
			var err error
			c.sockets, err = d.dump(c.sockets, k.family, uint8(k.protocol))
			switch {
			case errors.Is(err, errInterrupted):
				c.q.Warn(fmt.Errorf("%s: %w: some may be missing", k.file, err))
				err = nil
			case errors.Is(err, unix.ENOENT):
				// The kernel has no sock_diag for this kind, or not loaded.
			case err != nil:
				c.q.Warn(fmt.Errorf("%s: %w; reading /proc/net instead", k.file, err))
			}
			if err == nil {
				c.mark(start, ns)
				continue
			}
			c.sockets = c.sockets[:start]
		}
		bad := 0
		var why error
		err := c.lines(ns, pid, "net/"+k.file, func(line []byte) {
			var s procfs.NetSocket
			if procfs.NetHeader(line) || len(line) == 0 {
				return
			}
			if err := procfs.ParseNet(line, &s); err != nil {
				bad++
				why = err
				return
			}
			c.sockets = append(c.sockets, socket{
				family: k.family, protocol: k.protocol, state: s.State, localPort: s.LocalPort,
				remotePort: s.RemotePort, uid: s.UID, inode: s.Inode, local: s.Local, remote: s.Remote,
			})
		})
		c.mark(start, ns)
		c.told("net/"+k.file, ns, err, bad, why)
	}
}

func (c *collection) mark(start int, ns uint64) {
	for i := range c.sockets[start:] {
		c.sockets[start+i].ns = ns
	}
}

// packet reads the packet sockets of a namespace.
func (c *collection) packet(ns uint64, pid int64) {
	bad := 0
	var why error
	start := len(c.sockets)
	first := true
	err := c.lines(ns, pid, "net/packet", func(line []byte) {
		if first || len(line) == 0 {
			first = false // the heading
			return
		}
		var s procfs.PacketSocket
		if err := procfs.ParsePacket(line, &s); err != nil {
			bad++
			why = err
			return
		}
		c.sockets = append(c.sockets, socket{family: familyPacket, protocol: s.Protocol, inode: s.Inode, uid: s.UID})
	})
	c.mark(start, ns)
	c.told("net/packet", ns, err, bad, why)
}

// unix reads the Unix sockets of a namespace.
func (c *collection) unix(ns uint64, pid int64) {
	bad := 0
	var why error
	start := len(c.sockets)
	first := true
	err := c.lines(ns, pid, "net/unix", func(line []byte) {
		if first || len(line) == 0 {
			first = false // the heading
			return
		}
		var s procfs.UnixSocket
		if err := procfs.ParseUnix(line, &s); err != nil {
			bad++
			why = err
			return
		}
		c.sockets = append(c.sockets, socket{family: familyUnix, state: s.State, inode: s.Inode, path: c.r.Text(s.Path)})
	})
	c.mark(start, ns)
	c.told("net/unix", ns, err, bad, why)
}

// lines reads a file of net/ as a process in the namespace sees it.
func (c *collection) lines(ns uint64, pid int64, name string, f func([]byte)) error {
	if !c.r.Live() || ns == c.own || pid == 0 {
		return c.r.Lines(name, f)
	}
	p, err := c.r.Process(pid)
	if err != nil {
		return err
	}
	defer p.Close()
	return p.Lines(name, f)
}

// told warns of what a file did not give. A kernel without IPv6 lacks its
// files, which is no lack; a namespace may end with its last process.
func (c *collection) told(name string, ns uint64, err error, bad int, why error) {
	if err != nil && !errors.Is(err, procfs.ErrGone) {
		c.q.Warn(fmt.Errorf("read /proc/%s of network namespace %d: %w", name, ns, err))
	}
	if bad > 0 {
		c.q.Warn(fmt.Errorf("/proc/%s: %d lines could not be read, the last one: %w", name, bad, why))
	}
}

// each calls f for every socket with each process that holds it; pid and fd
// are -1 where none does. It stops when f is false.
func (c *collection) each(ctx context.Context, f func(s *socket, pid, fd int64) bool) error {
	for i := range c.sockets {
		if i%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		s := &c.sockets[i]
		at := int32(0)
		if s.inode != 0 {
			at = c.first[s.inode]
		}
		if at == 0 {
			if (c.only == nil || c.only[-1]) && !f(s, -1, -1) {
				return nil
			}
			continue
		}
		for ; at != 0; at = c.holders[at].next {
			h := &c.holders[at]
			if (c.only == nil || c.only[h.pid]) && !f(s, h.pid, h.fd) {
				return nil
			}
		}
	}
	return nil
}
