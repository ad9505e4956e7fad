package netsensor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/procfs"
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
)

// Poll compares /proc/net/tcp and tcp6 with what they were before. It sees
// only the network namespace of the agent, misses a connection that begins and
// ends between two looks, and finds the process by its file descriptors, which
// may by then belong to another than the one that opened it.
type Poll struct{ opts Options }

// NewPoll makes the mechanism.
func NewPoll(opts Options) *Poll {
	if opts.Poll == 0 {
		opts.Poll = 2 * time.Second
	}
	if opts.Proc == "" {
		opts.Proc = "/proc"
	}
	return &Poll{opts}
}

// Name is "poll".
func (*Poll) Name() string { return "poll" }

// Start takes the first look, of which nothing is published.
func (m *Poll) Start(ctx context.Context, out sensor.Publisher) (sensor.Running, error) {
	r, err := procfs.Open(m.opts.Proc)
	if err != nil {
		return nil, fmt.Errorf("watch connections by polling: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &pollRun{
		every: m.opts.Poll, proc: r, tree: m.opts.Tree, out: out, log: m.opts.log(),
		cancel: cancel, done: make(chan struct{}),
	}
	now, err := p.snapshot()
	if err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("watch connections by polling: %w", err), r.Close())
	}
	p.before = now
	p.owners(now, nil)
	go func() {
		defer sensor.Metered(ctx)()
		p.run(ctx)
	}()
	return p, nil
}

// flow names a socket: by its inode, since both ends of a connection over
// loopback are in the table.
type flow struct {
	inode         uint64
	local, remote netip.AddrPort
}

type sight struct {
	state uint8
	uid   uint32
	pid   int64
	start int64
	seen  time.Time
}

// States of TCP as /proc/net/tcp numbers them.
const (
	stateEstablished = 1
	stateSynSent     = 2
	stateListen      = 10
)

type pollRun struct {
	every  time.Duration
	proc   *procfs.Reader
	tree   *proctree.Tree
	out    sensor.Publisher
	log    *slog.Logger
	before map[flow]sight

	cancel context.CancelFunc
	done   chan struct{}
	closer sync.Once
	mu     sync.Mutex
	err    error
}

// Describe says what polling cannot see.
func (p *pollRun) Describe() (string, bool) {
	return fmt.Sprintf("compares /proc/net every %v: shorter connections, other network namespaces and UDP are not seen, the process is found by its file descriptors", p.every), true
}

func (p *pollRun) Done() <-chan struct{} { return p.done }

func (p *pollRun) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *pollRun) Close() error {
	p.cancel()
	<-p.done
	var err error
	p.closer.Do(func() { err = p.proc.Close() })
	return err
}

func (p *pollRun) run(ctx context.Context) {
	defer close(p.done)
	tick := time.NewTicker(p.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := p.snapshot()
		if err != nil {
			p.mu.Lock()
			p.err = fmt.Errorf("look at the connections: %w", err)
			p.mu.Unlock()
			return
		}
		p.compare(now)
	}
}

// snapshot reads all TCP sockets that a process holds.
func (p *pollRun) snapshot() (map[flow]sight, error) {
	now := time.Now()
	out := make(map[flow]sight, len(p.before))
	for i, name := range []string{"net/tcp", "net/tcp6"} {
		var broken error
		err := p.proc.Lines(name, func(line []byte) {
			if procfs.NetHeader(line) {
				return
			}
			var s procfs.NetSocket
			if err := procfs.ParseNet(line, &s); err != nil {
				broken = err
				return
			}
			if s.Inode == 0 {
				return // TIME_WAIT, or not yet accepted
			}
			k := flow{s.Inode, netip.AddrPortFrom(s.Local.Unmap(), s.LocalPort), netip.AddrPortFrom(s.Remote.Unmap(), s.RemotePort)}
			out[k] = sight{state: s.State, uid: s.UID, seen: now}
		})
		if err != nil && i == 1 && (errors.Is(err, unix.ENOENT) || errors.Is(err, procfs.ErrGone)) {
			continue // no IPv6 here
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if broken != nil {
			return nil, fmt.Errorf("read %s: %w", name, broken)
		}
	}
	return out, nil
}

// owners finds the processes of the sockets that are not in known.
func (p *pollRun) owners(now, known map[flow]sight) {
	wanted := map[uint64]flow{}
	for k, s := range now {
		if old, ok := known[k]; ok {
			s.pid, s.start, s.seen = old.pid, old.start, old.seen
			now[k] = s
		}
		if s.pid == 0 {
			wanted[k.inode] = k
		}
	}
	if len(wanted) == 0 {
		return
	}
	pids, err := p.proc.PIDs(nil)
	if err != nil {
		p.log.Warn("connections without process: the process list cannot be read", "err", err)
		return
	}
	for _, pid := range pids {
		h, err := p.proc.Process(pid)
		if err != nil {
			continue // ended meanwhile
		}
		_ = h.Sockets(func(_ int64, inode uint64) {
			if k, ok := wanted[inode]; ok {
				s := now[k]
				s.pid = pid
				now[k] = s
				delete(wanted, inode)
			}
		})
		h.Close()
		if len(wanted) == 0 {
			break
		}
	}
	for k, s := range now {
		if s.pid != 0 && s.start == 0 {
			if start, ok := p.tree.StartInProc(s.pid); ok {
				s.start = start
				now[k] = s
			}
		}
	}
}

func (p *pollRun) compare(now map[flow]sight) {
	p.owners(now, p.before)
	listening := map[uint16]bool{}
	for k, s := range now {
		if s.state == stateListen {
			listening[k.local.Port()] = true
		}
	}
	for k, s := range now {
		old, had := p.before[k]
		switch {
		case s.state == stateListen && !had:
			p.publish(k, s, "listen", "succeeded", 0)
		case s.state == stateSynSent && !had:
			p.publish(k, s, "connect", "in_progress", 0)
		case s.state == stateListen, s.state == stateSynSent:
		case !had && listening[k.local.Port()]:
			p.publish(k, s, "accept", "succeeded", 0)
		case !had || old.state == stateSynSent:
			p.publish(k, s, "connect", "succeeded", 0)
		}
	}
	at := time.Now()
	for k, s := range p.before {
		if _, still := now[k]; still || s.state == stateListen {
			continue
		}
		if s.state == stateSynSent {
			p.publish(k, s, "connect", "failed", 0)
			continue
		}
		p.publish(k, s, "close", "succeeded", at.Sub(s.seen))
	}
	p.before = now
}

func (p *pollRun) publish(k flow, s sight, action, status string, life time.Duration) {
	ev := &event.Socket{
		Actor:  event.Actor{PID: s.pid, StartTime: s.start},
		Action: action, Status: status, Success: 1, UID: int64(s.uid), AUID: noAUID,
		Family: unix.AF_INET, Protocol: unix.IPPROTO_TCP,
		LocalAddress: k.local.Addr().String(), LocalPort: int32(k.local.Port()),
		Duration: int64(life),
	}
	if status == "failed" {
		ev.Success = 0
	}
	if k.local.Addr().Is6() {
		ev.Family = unix.AF_INET6
	}
	if k.remote.Port() != 0 {
		ev.RemoteAddress, ev.RemotePort = k.remote.Addr().String(), int32(k.remote.Port())
	}
	ev.Source = "poll"
	ev.At(time.Now())
	var boot unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) == nil {
		ev.Uptime = boot.Sec
	}
	complete(ev, p.tree, 0)
	p.out.Publish(ev)
}

// noAUID is what the kernel shows as the audit user ID of nobody.
const noAUID = 1<<32 - 1
