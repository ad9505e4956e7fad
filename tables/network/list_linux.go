package network

import (
	"io"

	"github.com/aiedr/edr/tables/bpf"
)

// listName is under what the iterator over open files is kept.
const listName = "tables/network: list of sockets held"

// list notes the sockets of all processes that have files open, as an iterator
// in the kernel tells where one can be loaded, and answers which processes
// these are. The others, or all, are read from /proc.
func (c *collection) list() map[int64]bool {
	if !c.r.Live() || !c.q.Host.Root.Live() {
		return nil
	}
	kept, err := c.q.Host.Kept.Get(listName, func() (io.Closer, error) { return bpf.LoadHeldSockets() })
	if err != nil {
		return nil
	}
	listed := map[int64]bool{}
	err = kept.(*bpf.HeldSockets).Read(func(s bpf.HeldSocket) {
		pid := int64(s.PID)
		if s.FD < 0 {
			listed[pid] = true
			if _, ok := c.ns[uint64(s.NetNS)]; !ok {
				c.ns[uint64(s.NetNS)] = pid
			}
			return
		}
		c.hold(pid, int64(s.FD), s.Inode)
	})
	if err != nil { // half a list is none
		clear(c.first)
		c.holders = c.holders[:1]
		return nil
	}
	return listed
}

// maxThreads is how many holders of one socket are looked at for the process:
// its threads can have files of their own, which come later.
const maxThreads = 8

// hold notes that a process holds a socket, by its lowest descriptor.
func (c *collection) hold(pid, fd int64, inode uint64) {
	first := c.first[inode]
	for at, n := first, 0; at != 0 && n < maxThreads; at, n = c.holders[at].next, n+1 {
		if h := &c.holders[at]; h.pid == pid {
			h.fd = min(h.fd, fd)
			return
		}
	}
	c.first[inode] = int32(len(c.holders))
	c.holders = append(c.holders, holder{pid: pid, fd: fd, next: first})
}
