package netsensor

import (
	"context"
	"log/slog"
	"time"

	"github.com/aiedr/edr/tables/bpf"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
	"github.com/aiedr/edr/tables/sensor/ringrun"
)

func mechanisms(opts Options) []sensor.Mechanism {
	return []sensor.Mechanism{NewEBPF(opts), NewPoll(opts)}
}

// EBPF sees sockets where the kernel changes their state.
type EBPF struct{ opts Options }

// NewEBPF makes the mechanism; Start loads it.
func NewEBPF(opts Options) *EBPF { return &EBPF{opts} }

// Name is "ebpf".
func (*EBPF) Name() string { return "ebpf" }

// Start loads and attaches the programs.
func (m *EBPF) Start(ctx context.Context, out sensor.Publisher) (sensor.Running, error) {
	programs, err := bpf.LoadSocket(bpf.SocketOptions{
		Options: bpf.Options{RingBytes: m.opts.RingBytes, Interval: m.opts.Interval}, Accept: m.opts.Accept,
	})
	if err != nil {
		return nil, err
	}
	if m.opts.Proc == "" {
		m.opts.Proc = "/proc"
	}
	r := &ebpfRun{
		Run:  ringrun.New(programs, m.opts.Interval, out),
		tree: m.opts.Tree, out: out, log: m.opts.log(), programs: programs,
		attempts: map[uint64]attempt{}, incoming: newIncoming(), procDir: m.opts.Proc,
	}
	r.Run.Start(ctx, r.record, r.drained, r.flush)
	return r, nil
}

// patience is how long an attempt to connect waits for its outcome before it
// is published as under way. The outcome is then published as well.
const patience = time.Second

// maxAttempts bounds those that wait; a scan can make many.
const maxAttempts = 8192

type attempt struct {
	rec  bpf.Socket
	seen time.Time
}

type ebpfRun struct {
	*ringrun.Run
	programs *bpf.SocketPrograms
	tree     *proctree.Tree
	out      sensor.Publisher
	log      *slog.Logger

	rec      bpf.Socket
	attempts map[uint64]attempt // by cookie; only those of the last second
	caughtUp bool               // with the process tree, in this batch
	incoming incoming
	procDir  string
}

// Describe says what the machine does not let us see.
func (r *ebpfRun) Describe() (detail string, degraded bool) {
	detail = "accept by " + r.programs.Accept
	if r.programs.NoCgroup != nil {
		return detail + "; bind and UDP connect are not seen: " + r.programs.NoCgroup.Error(), true
	}
	return detail, false
}

func (r *ebpfRun) record(raw []byte) {
	if err := bpf.DecodeSocket(raw, &r.rec); err != nil {
		r.out.Lost(1, "record not understood")
		r.log.Error("socket event lost: the program and its reader disagree", "err", err)
		return
	}
	if !r.caughtUp {
		r.tree.CatchUp()
		r.caughtUp = true
	}
	rec := &r.rec
	switch rec.Type {
	case bpf.TypeAttempt:
		if len(r.attempts) >= maxAttempts {
			r.publish(rec, "connect", "in_progress")
			break
		}
		r.attempts[rec.Cookie] = attempt{*rec, time.Now()}
	case bpf.TypeConnected:
		delete(r.attempts, rec.Cookie)
		r.publish(rec, "connect", "succeeded")
	case bpf.TypeFailed:
		delete(r.attempts, rec.Cookie)
		r.publish(rec, "connect", "failed")
	case bpf.TypeIncoming:
		if !r.incoming.came(rec, time.Now()) {
			r.publish(rec, "accept", "succeeded")
		}
	case bpf.TypeAccept:
		if _, told := r.incoming.adopted[rec.Cookie]; !told {
			delete(r.incoming.wait, rec.Cookie)
			r.publish(rec, "accept", "succeeded")
		}
	case bpf.TypeClose:
		r.closed(rec)
	case bpf.TypeListen:
		r.publish(rec, "listen", "succeeded")
	case bpf.TypeBind:
		r.publish(rec, "bind", "succeeded")
	case bpf.TypeUDPConnect:
		r.publish(rec, "connect", "succeeded")
	}
}

// closed publishes the end of a connection, and before it the accept of one of
// which nobody ever asked or told who has it.
func (r *ebpfRun) closed(rec *bpf.Socket) {
	if w := r.incoming.wait[rec.Cookie]; w != nil {
		delete(r.incoming.wait, rec.Cookie)
		r.publish(&w.rec, "accept", "no_client")
	}
	if who, ok := r.incoming.adopted[rec.Cookie]; ok {
		delete(r.incoming.adopted, rec.Cookie)
		if rec.PID == 0 {
			rec.Identity = who
		}
	}
	r.publish(rec, "close", "succeeded")
}

// drained publishes attempts that have been under way for long.
func (r *ebpfRun) drained(bool) {
	r.caughtUp = false
	for cookie, a := range r.attempts {
		if time.Since(a.seen) >= patience {
			delete(r.attempts, cookie)
			r.publish(&a.rec, "connect", "in_progress")
		}
	}
	if due := r.incoming.due(time.Now()); len(due) > 0 {
		for cookie, who := range r.search(due) {
			if rec, ok := r.incoming.found(cookie, who); ok {
				r.publish(&rec, "accept", "succeeded")
			}
		}
	}
}

// flush publishes what waits for an outcome: the sensor ends.
func (r *ebpfRun) flush() {
	for _, a := range r.attempts {
		r.publish(&a.rec, "connect", "in_progress")
	}
	clear(r.attempts)
	for _, w := range r.incoming.wait {
		r.publish(&w.rec, "accept", "in_progress")
	}
	clear(r.incoming.wait)
}

func (r *ebpfRun) publish(rec *bpf.Socket, action, status string) {
	at := rec.Time
	ev := &event.Socket{
		Actor:  event.Actor{PID: int64(rec.PID), StartTime: int64(rec.Start), CgroupID: rec.Cgroup},
		Action: action, Status: status, Success: 1,
		Name: rec.Comm, Parent: int64(rec.PPID), UID: int64(rec.UID), AUID: int64(rec.AUID),
		Family: int32(rec.Family), Protocol: int32(rec.Protocol), Cookie: rec.Cookie,
	}
	if status == "failed" {
		ev.Success = 0
	}
	if rec.Local.Addr().IsValid() && (rec.Local.Port() != 0 || !rec.Local.Addr().IsUnspecified()) {
		ev.LocalAddress, ev.LocalPort = rec.Local.Addr().String(), int32(rec.Local.Port())
	}
	if rec.Remote.Addr().IsValid() && (rec.Remote.Port() != 0 || !rec.Remote.Addr().IsUnspecified()) {
		ev.RemoteAddress, ev.RemotePort = rec.Remote.Addr().String(), int32(rec.Remote.Port())
	}
	switch {
	case action == "close" && rec.Opened > 0 && rec.Time > rec.Opened:
		ev.Duration = int64(rec.Time - rec.Opened)
	case action == "connect" && rec.Opened > 0:
		at = rec.Opened // when it was asked for
	}
	ev.Source = "ebpf"
	ev.At(r.Clock.Wall(at))
	ev.Uptime = int64(at / 1e9)
	complete(ev, r.tree, int64(rec.ParentStart))
	r.out.Publish(ev)
}

// complete adds what the tree knows of the process.
func complete(ev *event.Socket, tree *proctree.Tree, parentStart int64) {
	if ev.PID == 0 {
		return
	}
	if p, ok := tree.Lookup(ev.PID, ev.StartTime); ok {
		ev.Path, ev.Cmdline = p.Path, p.Cmdline
		if ev.Name == "" {
			ev.Name = p.Name
		}
		if ev.Parent == 0 {
			ev.Parent = p.Parent
		}
	}
	tree.Fill(&ev.Actor, ev.Parent, parentStart)
}
