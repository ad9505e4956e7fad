package procsensor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
)

// Audit takes the records of the kernel's audit. It parses them itself: the
// arguments of an execution are what an attacker would hide, and a library
// that drops those of an execution with an empty argument helps him.
type Audit struct{ opts Options }

// NewAudit makes the mechanism.
func NewAudit(opts Options) *Audit { return &Audit{opts} }

// Name is "audit".
func (*Audit) Name() string { return "audit" }

// Start makes this process the audit's receiver, adds our rules and fills the
// process tree from /proc.
func (m *Audit) Start(ctx context.Context, out sensor.Publisher) (sensor.Running, error) {
	control, err := openAuditControl()
	if err != nil {
		return nil, &Unavailable{Mechanism: m.Name(), Reason: "the kernel is built without the audit (CONFIG_AUDIT)", Err: err}
	}
	events, err := openNetlink(unix.NETLINK_AUDIT, 0, auditBuffer)
	if err != nil {
		return nil, errors.Join(&Unavailable{Mechanism: m.Name(), Reason: "no second audit socket", Err: err}, control.close())
	}
	r := &auditRun{
		sock: events, hold: auditHold{control: control}, tree: m.opts.Tree, out: out, log: m.opts.log(),
		done: make(chan struct{}), pending: map[uint64]*auditPending{},
	}
	if err := r.hold.take(events); err != nil {
		return nil, errors.Join(err, r.hold.release(), events.close())
	}
	r.lost = r.hold.before.Lost
	go func() {
		defer sensor.Metered(ctx)()
		r.run()
	}()
	r.unwatch = context.AfterFunc(ctx, r.stop)
	if _, err := r.tree.Seed(); err != nil {
		return nil, errors.Join(fmt.Errorf("read the processes that run already: %w", err), r.Close())
	}
	return r, nil
}

type auditPending struct {
	exec auditExec
	seen time.Time
}

type auditRun struct {
	sock *nlsock
	hold auditHold
	tree *proctree.Tree
	out  sensor.Publisher
	log  *slog.Logger

	pending map[uint64]*auditPending // by serial
	serials serials
	lost    uint32
	checked time.Time

	stopped  atomic.Bool
	closing  sync.Once
	received atomic.Uint64 // records of the kinds that an execution consists of
	unwatch  func() bool
	done     chan struct{}
	err      error
}

// auditBuffer is room for bursts, in bytes of kernel memory that is taken only
// while records wait. A record takes over 2 KiB of it, an execution six records.
const auditBuffer = 32 << 20

const (
	auditCheck   = time.Second // between two looks at the audit's own counter
	auditPatient = 2 * time.Second
	auditWaiting = 4096 // executions whose records may be incomplete at a time
)

// Describe says what the audit cannot do.
func (*auditRun) Describe() (string, bool) {
	return "the audit tells no births and ends of processes; process_exit_events stays empty", true
}

func (r *auditRun) Done() <-chan struct{} { return r.done }

func (r *auditRun) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

// Close takes our rules back and leaves the audit as it was.
func (r *auditRun) Close() error {
	if r.unwatch != nil {
		r.unwatch()
	}
	r.finishUp()
	r.stop()
	<-r.done
	return r.err
}

func (r *auditRun) stop() {
	r.stopped.Store(true)
	r.sock.stop()
}

func (r *auditRun) run() {
	defer close(r.done)
	// From now on a read ends now and then, and the counter is looked at.
	r.sock.stop()
	r.err = r.read()
	r.err = errors.Join(r.err, r.hold.release(), r.sock.close())
}

func (r *auditRun) read() error {
	buf := make([]byte, 16<<10)
	for {
		n, err := r.sock.receive(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			r.check()
			if r.stopped.Load() {
				return nil
			}
			// Also while nothing happens the counter is looked at.
			if err := r.sock.f.SetReadDeadline(time.Now().Add(auditCheck)); err != nil {
				return fmt.Errorf("read the audit: %w", err)
			}
			continue
		case errors.Is(err, unix.ENOBUFS):
			r.out.Lost(0, "socket buffer full")
			continue
		case err != nil:
			return fmt.Errorf("read the audit: %w", err)
		}
		if n < nlHeader {
			r.out.Lost(1, "record not understood")
			continue
		}
		r.record(binary.NativeEndian.Uint16(buf[4:]), buf[nlHeader:n])
		if time.Since(r.checked) > auditCheck {
			r.check()
		}
	}
}

// check compares the kernel's counter of lost records and gives up on
// executions whose records did not all come.
func (r *auditRun) check() {
	r.checked = time.Now()
	s, err := r.hold.control.status()
	if err != nil {
		r.log.Warn("the audit's counter of lost records cannot be read", "err", err)
	} else if n := s.Lost - r.lost; n > 0 {
		r.lost = s.Lost
		r.out.Lost(uint64(n), "audit backlog full")
	}
	if err == nil && int(s.PID) != os.Getpid() && !r.stopped.Load() {
		// The kernel takes a receiver off that it could not reach.
		r.out.Lost(0, "the kernel took us off as receiver")
		// Without waiting for the answer, which would pass over records.
		again := auditStatus{Mask: auditMaskPID, PID: uint32(os.Getpid())}
		if _, err := r.sock.send(auditSet, unix.NLM_F_REQUEST, again.bytes()); err != nil {
			r.log.Warn("audit: not the receiver of records any more", "err", err)
		}
	}
	if n := r.serials.missing(); n > 0 {
		r.out.Lost(n, "sequence gap")
	}
	for serial, p := range r.pending {
		if time.Since(p.seen) > auditPatient {
			delete(r.pending, serial)
			r.finish(&p.exec)
		}
	}
	if err := r.tree.Resync(); err != nil {
		r.log.Warn("process tree not compared with /proc; ancestry may miss processes", "err", err)
	}
}

func (r *auditRun) record(kind uint16, data []byte) {
	if kind < auditFirst {
		return // an answer, not a record
	}
	at, serial, body, err := auditStamp(data)
	if err != nil {
		r.out.Lost(1, "record not understood")
		return
	}
	r.serials.saw(serial)
	switch kind {
	case auditSyscall, auditPath, auditCWD, auditExecve, auditEOE:
	default:
		return
	}
	r.received.Add(1)
	p := r.pending[serial]
	if kind == auditEOE {
		if p != nil {
			delete(r.pending, serial)
			r.finish(&p.exec)
		}
		return
	}
	if p == nil {
		if len(r.pending) >= auditWaiting {
			r.out.Lost(1, "too many executions are incomplete")
			return
		}
		p = &auditPending{seen: time.Now()}
		p.exec.Time = at
		r.pending[serial] = p
	}
	p.exec.add(kind, body)
}

// finish publishes an execution all of whose records came or will not come.
func (r *auditRun) finish(e *auditExec) {
	switch {
	case e.whole() && !e.Success:
		return
	case !e.whole():
		// Only what concerns executions: other rules' records are not ours.
		if e.execve {
			r.out.Lost(1, "record of an execution missing")
		}
		return
	}
	argv := e.strings()
	ev := &event.Exec{
		Actor:  event.Actor{PID: e.PID, Path: e.Exe},
		Parent: e.PPID, Filename: e.Filename, Name: e.Comm, Cmdline: cmdline(argv), CmdlineSize: e.Size,
		Argv: argvJSON(argv), Truncated: e.Cut || len(argv) < e.Argc,
		Mode: e.Mode, CWD: e.CWD, AUID: e.AUID,
		UID: e.UID, EUID: e.EUID, SUID: e.SUID, FSUID: e.FSUID,
		GID: e.GID, EGID: e.EGID, SGID: e.SGID, FSGID: e.FSGID,
		OwnerUID: e.OwnerUID, OwnerGID: e.OwnerGID, Syscall: "execve",
	}
	if ev.Truncated {
		ev.Overflows = "cmdline"
	}
	ev.Source = "audit"
	ev.At(e.Time)
	boot := bootTime(e.Time)
	ev.Uptime = boot / 1e9
	p := proctree.Process{
		PID: e.PID, Start: boot, Parent: e.PPID, Name: e.Comm, Path: e.Exe, Cmdline: ev.Cmdline, UID: e.UID,
	}
	// The start is the process's name for good. Of one that is gone, or whose
	// ID another has by now, it stays unknown.
	if start, ok := r.tree.StartInProc(e.PID); ok && start <= boot+int64(time.Second) {
		p.Start, ev.StartTime = start, start
	}
	if parent, ok := r.tree.Lookup(e.PPID, 0); ok {
		p.ParentStart, ev.ParentStart, ev.ParentParent = parent.Start, parent.Start, parent.Parent
		p.Container = parent.Container
	}
	r.tree.Exec(p)
	ev.Container = p.Container
	r.tree.Fill(&ev.Actor, e.PPID, p.ParentStart)
	r.out.Publish(ev)
}

// bootTime is a wall time as nanoseconds since boot.
func bootTime(at time.Time) int64 {
	var boot, wall unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
	return at.UnixNano() - (wall.Nano() - boot.Nano())
}
