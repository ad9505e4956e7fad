package network

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strconv"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/procfs"
)

func scanConnections(ctx context.Context, q *tables.Query) iter.Seq2[Connection, error] {
	return func(yield func(Connection, error) bool) {
		c, err := collect(ctx, q, false)
		if err != nil {
			yield(Connection{}, err)
			return
		}
		defer c.close()
		procs := map[int64]*owner{}
		txt := texts{r: c.r, ns: map[uint64]string{}}
		addresses := q.Wants("local_address", "remote_address")
		row := Connection{}
		err = c.each(ctx, func(s *socket, pid, fd int64) bool {
			row = Connection{
				Socket: int64(s.inode), Family: int32(s.family), Protocol: int32(s.protocol),
				LocalPort: int32(s.localPort), RemotePort: int32(s.remotePort),
				State: s.stateName(), NetNamespace: txt.number(s.ns),
			}
			if addresses {
				row.LocalAddress, row.RemoteAddress = txt.address(s.local), txt.address(s.remote)
			}
			if s.ownerKnown() {
				row.UID = tables.Some(int64(s.uid))
			}
			if pid > 0 {
				row.PID, row.FD = tables.Some(pid), tables.Some(fd)
				o, ok := procs[pid]
				if !ok {
					o = readOwner(c, pid)
					procs[pid] = o
				}
				o.fill(&row)
			}
			return yield(row, nil)
		})
		if err != nil {
			yield(Connection{}, err)
		}
	}
}

// owner is what connections shows of a process.
type owner struct {
	known              bool
	name, path         string
	cmdline, container string
	parent, start      int64
}

func (o *owner) fill(row *Connection) {
	if !o.known {
		return
	}
	row.Name, row.Path, row.Cmdline = tables.Some(o.name), tables.Some(o.path), tables.Some(o.cmdline)
	row.Parent, row.StartNS, row.ContainerID = tables.Some(o.parent), tables.Some(o.start), tables.Some(o.container)
}

// readOwner reads a process once for all its sockets. One that ended meanwhile
// leaves its columns NULL.
func readOwner(c *collection, pid int64) *owner {
	q := c.q
	o := &owner{}
	if !q.Wants("name", "path", "cmdline", "parent", "start_time_ns", "container_id") {
		return o
	}
	err := func() error {
		p, err := c.r.Process(pid)
		if err != nil {
			return err
		}
		defer p.Close()
		var st procfs.Stat
		if err := p.Stat(&st); err != nil {
			return err
		}
		o.name, o.parent, o.start = st.Comm, st.PPID, procfs.StartNS(st.Start, c.r.Ticks())
		if q.Wants("path") {
			if o.path, err = p.ExePath(); err != nil {
				return err
			}
		}
		if q.Wants("cmdline") {
			if o.cmdline, err = p.Cmdline(); err != nil {
				return err
			}
		}
		if q.Wants("container_id") {
			if _, o.container, err = p.Cgroup(); err != nil {
				return err
			}
		}
		return nil
	}()
	o.known = err == nil
	if err != nil && !errors.Is(err, procfs.ErrGone) {
		q.Warn(fmt.Errorf("process %d, which holds sockets, could not be read: %w", pid, err))
	}
	return o
}

// texts makes the strings of rows in the reader's shared memory.
type texts struct {
	r   *procfs.Reader
	buf [64]byte
	ns  map[uint64]string
}

func (t *texts) address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return t.r.Text(a.AppendTo(t.buf[:0]))
}

func (t *texts) number(n uint64) string {
	if n == 0 {
		return ""
	}
	s, ok := t.ns[n]
	if !ok {
		s = strconv.FormatUint(n, 10)
		t.ns[n] = s
	}
	return s
}

func scanOpenSockets(ctx context.Context, q *tables.Query) iter.Seq2[OpenSocket, error] {
	return func(yield func(OpenSocket, error) bool) {
		c, err := collect(ctx, q, true)
		if err != nil {
			yield(OpenSocket{}, err)
			return
		}
		defer c.close()
		txt := texts{r: c.r, ns: map[uint64]string{}}
		err = c.each(ctx, func(s *socket, pid, fd int64) bool {
			return yield(OpenSocket{
				PID: pid, FD: fd, Socket: int64(s.inode), Family: int32(s.family), Protocol: int32(s.protocol),
				LocalAddress: txt.address(s.local), RemoteAddress: txt.address(s.remote),
				LocalPort: int32(s.localPort), RemotePort: int32(s.remotePort),
				Path: s.path, State: s.stateName(), NetNamespace: txt.number(s.ns),
			}, nil)
		})
		if err != nil {
			yield(OpenSocket{}, err)
		}
	}
}

func scanListeners(ctx context.Context, q *tables.Query) iter.Seq2[Listener, error] {
	return func(yield func(Listener, error) bool) {
		c, err := collect(ctx, q, true)
		if err != nil {
			yield(Listener{}, err)
			return
		}
		defer c.close()
		txt := texts{r: c.r, ns: map[uint64]string{}}
		err = c.each(ctx, func(s *socket, pid, fd int64) bool {
			if !s.listens() {
				return true
			}
			return yield(Listener{
				PID: pid, FD: fd, Socket: int64(s.inode), Family: int32(s.family), Protocol: int32(s.protocol),
				Address: txt.address(s.local), Port: int32(s.localPort), Path: s.path, NetNamespace: txt.number(s.ns),
			}, nil)
		})
		if err != nil {
			yield(Listener{}, err)
		}
	}
}

// listens says whether others can reach the socket first.
func (s *socket) listens() bool {
	switch {
	case s.family == familyUnix:
		return s.path != ""
	case s.protocol == protocolTCP:
		return s.state == stateListen
	}
	return s.remotePort == 0
}
