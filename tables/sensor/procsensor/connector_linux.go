package procsensor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables/bpf"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/procfs"
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
)

// Connector listens to the kernel's process connector, which tells only IDs,
// and reads the rest from /proc. What ends before it is read is counted.
type Connector struct{ opts Options }

// NewConnector makes the mechanism.
func NewConnector(opts Options) *Connector { return &Connector{opts} }

// Name is "connector".
func (*Connector) Name() string { return "connector" }

// connectorBuffer is room for bursts, in bytes.
const connectorBuffer = 8 << 20

// Start begins to listen and fills the process tree from /proc.
func (m *Connector) Start(ctx context.Context, out sensor.Publisher) (sensor.Running, error) {
	s, err := openNetlink(unix.NETLINK_CONNECTOR, connectorIndex, connectorBuffer)
	if err != nil {
		reason := "the kernel is built without it (CONFIG_CONNECTOR, CONFIG_PROC_EVENTS)"
		if errors.Is(err, unix.EPERM) {
			reason = "needs root, or the capability CAP_NET_ADMIN"
		}
		return nil, &Unavailable{Mechanism: m.Name(), Reason: reason, Err: err}
	}
	r := &connectorRun{sock: s, tree: m.opts.Tree, out: out, log: m.opts.log(), done: make(chan struct{}), next: map[uint32]uint32{}}
	if err := r.listen(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if r.proc, err = procfs.Open("/proc"); err != nil {
		return nil, errors.Join(err, s.close())
	}
	go func() {
		defer sensor.Metered(ctx)()
		r.run()
	}()
	r.unwatch = context.AfterFunc(ctx, s.stop)
	if _, err := r.tree.Seed(); err != nil {
		return nil, errors.Join(fmt.Errorf("read the processes that run already: %w", err), r.Close())
	}
	return r, nil
}

type connectorRun struct {
	sock *nlsock
	proc *procfs.Reader
	tree *proctree.Tree
	out  sensor.Publisher
	log  *slog.Logger

	next   map[uint32]uint32 // number expected next, by CPU
	offset int64             // of the wall clock to CLOCK_MONOTONIC
	boot   int64             // of the boot clock to CLOCK_MONOTONIC
	asked  time.Time

	unwatch func() bool
	closing sync.Once
	done    chan struct{}
	err     error
}

// listen asks for events and waits for the kernel's word that they come.
func (r *connectorRun) listen() error {
	if _, err := r.sock.send(unix.NLMSG_DONE, 0, connectorRequest(connectorListen)); err != nil {
		return &Unavailable{Mechanism: "connector", Reason: "the kernel did not take the request to listen", Err: err}
	}
	if err := r.sock.f.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return fmt.Errorf("listen to the process connector: %w", err)
	}
	buf := make([]byte, 4096)
	for {
		n, err := r.sock.receive(buf)
		if err != nil {
			return &Unavailable{
				Mechanism: "connector",
				Reason:    "no answer to the request to listen: the kernel lacks CONFIG_PROC_EVENTS, or this is not the first user and network namespace",
				Err:       err,
			}
		}
		m, _, err := nextMessage(buf[:n])
		if err != nil {
			return fmt.Errorf("listen to the process connector: %w", err)
		}
		e, ok, err := parseConnector(m.Data)
		if err != nil {
			return fmt.Errorf("listen to the process connector: %w", err)
		}
		if ok && e.Kind == connectorNone {
			if e.Err != 0 {
				return &Unavailable{Mechanism: "connector", Reason: "the kernel refused the request to listen", Err: unix.Errno(e.Err)}
			}
			return r.sock.f.SetReadDeadline(time.Time{})
		}
	}
}

// Describe says what the connector cannot do.
func (*connectorRun) Describe() (string, bool) {
	return "the connector tells only process IDs: what ends before /proc is read has no command line", true
}

func (r *connectorRun) Done() <-chan struct{} { return r.done }

func (r *connectorRun) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

func (r *connectorRun) Close() error {
	if r.unwatch != nil {
		r.unwatch()
	}
	r.sock.stop()
	<-r.done
	var err error
	r.closing.Do(func() { err = errors.Join(r.sock.close(), r.proc.Close()) })
	return err
}

func (r *connectorRun) run() {
	defer close(r.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := r.sock.receive(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			_, err := r.sock.send(unix.NLMSG_DONE, 0, connectorRequest(connectorIgnore))
			if err != nil {
				r.err = fmt.Errorf("stop listening to the process connector: %w", err)
			}
			return
		case errors.Is(err, unix.ENOBUFS):
			// How many shows in the numbers of the messages that follow.
			r.resync()
			continue
		case err != nil:
			r.err = fmt.Errorf("read the process connector: %w", err)
			return
		}
		for b := buf[:n]; len(b) > 0; {
			var m nlMessage
			if m, b, err = nextMessage(b); err != nil {
				r.out.Lost(1, "message not understood")
				break
			}
			e, ok, err := parseConnector(m.Data)
			if err != nil {
				r.out.Lost(1, "message not understood")
				continue
			}
			if ok {
				r.event(&e)
			}
		}
	}
}

func (r *connectorRun) resync() {
	if err := r.tree.Resync(); err != nil {
		r.log.Warn("process tree not compared with /proc after a loss; ancestry may miss processes", "err", err)
	}
}

func (r *connectorRun) event(e *connectorEvent) {
	if e.Kind == connectorNone {
		return
	}
	if want, seen := r.next[e.CPU]; seen && e.Seq != want {
		if n := e.Seq - want; n < 1<<31 {
			r.out.Lost(uint64(n), fmt.Sprintf("sequence gap on cpu %d", e.CPU))
			r.resync()
		}
	}
	r.next[e.CPU] = e.Seq + 1
	r.measure()
	switch e.Kind {
	case connectorFork:
		if e.PID != e.TGID {
			return
		}
		parent, _ := r.tree.Lookup(int64(e.ParentTGID), 0)
		r.tree.Fork(proctree.Process{
			PID: int64(e.TGID), Start: int64(e.Time) + r.boot, Parent: int64(e.ParentTGID), ParentStart: parent.Start,
			Name: parent.Name, UID: parent.UID, Cgroup: parent.Cgroup, Container: parent.Container,
		})
	case connectorExec:
		r.exec(e)
	case connectorExit:
		if e.PID == e.TGID {
			r.exit(e)
		}
	}
}

// measure takes the distance between the clocks now and then.
func (r *connectorRun) measure() {
	if time.Since(r.asked) < bpf.Remeasure {
		return
	}
	r.asked = time.Now()
	var mono, boot, wall unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono)
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
	r.offset, r.boot = wall.Nano()-mono.Nano(), boot.Nano()-mono.Nano()
}

func (r *connectorRun) exec(e *connectorEvent) {
	pid := int64(e.TGID)
	ev := &event.Exec{Actor: event.Actor{PID: pid}, Syscall: "execve", AUID: noID, Uptime: (int64(e.Time) + r.boot) / 1e9}
	ev.Source = "connector"
	ev.At(time.Unix(0, int64(e.Time)+r.offset))
	p, whole := readExec(r.proc, pid, ev)
	if !whole {
		r.out.Lost(1, "ended before /proc was read")
		ev.Truncated, ev.Overflows = true, "cmdline"
		if known, ok := r.tree.Lookup(pid, 0); ok && p.Start == 0 {
			p.Start, p.Parent, p.ParentStart, p.UID = known.Start, known.Parent, known.ParentStart, known.UID
			ev.StartTime, ev.Parent, ev.UID = p.Start, p.Parent, p.UID
			p.Container = known.Container
		}
	}
	if parent, ok := r.tree.Lookup(p.Parent, 0); ok && p.ParentStart == 0 {
		p.ParentStart, ev.ParentParent = parent.Start, parent.Parent
	}
	ev.ParentStart = p.ParentStart
	if p.Start != 0 {
		r.tree.Exec(p)
	}
	r.tree.Fill(&ev.Actor, p.Parent, p.ParentStart)
	if !whole {
		ev.Path = p.Path // not what it was before it executed
	}
	r.out.Publish(ev)
}

func (r *connectorRun) exit(e *connectorEvent) {
	p, ok := r.tree.Lookup(int64(e.TGID), 0)
	ev := &event.Exit{
		Actor:    event.Actor{PID: int64(e.TGID), StartTime: p.Start, CgroupID: p.Cgroup},
		Parent:   p.Parent,
		ExitCode: int64(e.Code >> 8 & 0xff), Signal: int64(e.Code & 0x7f),
		Name: p.Name, Cmdline: p.Cmdline, UID: p.UID,
	}
	if e.ParentTGID != 0 {
		ev.Parent = int64(e.ParentTGID)
	}
	ev.Source = "connector"
	ev.At(time.Unix(0, int64(e.Time)+r.offset))
	if ok {
		ev.Duration = int64(e.Time) + r.boot - p.Start
		r.tree.Fill(&ev.Actor, p.Parent, p.ParentStart)
		r.tree.Exit(p.PID, p.Start)
	}
	r.out.Publish(ev)
}
