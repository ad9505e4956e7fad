package netsensor

import (
	"net/netip"
	"time"

	"github.com/aiedr/edr/tables/bpf"
	"github.com/aiedr/edr/tables/procfs"
)

// incoming keeps connections that came in and whose accept was not seen, because
// the program that accepted did not ask who connected, or because nobody has
// accepted yet. They are looked for among the file descriptors, later and later.
type incoming struct {
	wait    map[uint64]*waiting // by cookie
	adopted map[uint64]bpf.Identity
}

type waiting struct {
	rec  bpf.Socket
	seen time.Time
	next time.Time
	step time.Duration
}

const (
	// maxIncoming bounds those that wait and those that were found.
	maxIncoming = 4096
	// firstLook is when a connection is looked for the first time; lastStep is
	// the longest time between two looks.
	firstLook = time.Second
	lastStep  = time.Minute
)

func newIncoming() incoming {
	return incoming{wait: map[uint64]*waiting{}, adopted: map[uint64]bpf.Identity{}}
}

// came notes a connection. It says false if there are too many.
func (in *incoming) came(rec *bpf.Socket, now time.Time) bool {
	if len(in.wait) >= maxIncoming {
		return false
	}
	in.wait[rec.Cookie] = &waiting{rec: *rec, seen: now, next: now.Add(firstLook), step: firstLook}
	return true
}

// due returns those to be looked for now and puts off their next look.
func (in *incoming) due(now time.Time) map[flowEnds]uint64 {
	var out map[flowEnds]uint64
	for cookie, w := range in.wait {
		if now.Before(w.next) {
			continue
		}
		if out == nil {
			out = map[flowEnds]uint64{}
		}
		out[flowEnds{w.rec.Local, w.rec.Remote}] = cookie
		w.step = min(2*w.step, lastStep)
		w.next = now.Add(w.step)
	}
	return out
}

// found notes who has a connection and returns it as it was accepted.
func (in *incoming) found(cookie uint64, who bpf.Identity) (bpf.Socket, bool) {
	w := in.wait[cookie]
	if w == nil {
		return bpf.Socket{}, false
	}
	delete(in.wait, cookie)
	if len(in.adopted) < maxIncoming {
		in.adopted[cookie] = who
	}
	w.rec.Identity = who
	return w.rec, true
}

type flowEnds struct{ local, remote netip.AddrPort }

// search looks for the processes of connections among the file descriptors. It
// sees the network namespace of the agent only.
func (r *ebpfRun) search(due map[flowEnds]uint64) map[uint64]bpf.Identity {
	proc, err := procfs.Open(r.procDir)
	if err != nil {
		r.log.Warn("accepted connections without process", "err", err)
		return nil
	}
	defer proc.Close()
	look := pollRun{proc: proc, tree: r.tree, log: r.log}
	all, err := look.snapshot()
	if err != nil {
		r.log.Warn("accepted connections without process", "err", err)
		return nil
	}
	ours := map[flow]sight{}
	for k, s := range all {
		if _, ok := due[flowEnds{k.local, k.remote}]; ok {
			ours[k] = s
		}
	}
	look.owners(ours, nil)
	out := map[uint64]bpf.Identity{}
	for k, s := range ours {
		if s.pid == 0 {
			continue
		}
		who := bpf.Identity{PID: uint32(s.pid), Start: uint64(s.start), UID: s.uid, AUID: noAUID}
		if p, ok := r.tree.Lookup(s.pid, s.start); ok {
			who.Comm, who.UID, who.Start = p.Name, uint32(p.UID), uint64(p.Start)
			who.PPID, who.ParentStart, who.Cgroup = uint32(p.Parent), uint64(p.ParentStart), p.Cgroup
		}
		out[due[flowEnds{k.local, k.remote}]] = who
	}
	return out
}
