package procsensor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aiedr/edr/tables/bpf"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
	"github.com/aiedr/edr/tables/sensor/ringrun"
)

func mechanisms(opts Options) []sensor.Mechanism {
	return []sensor.Mechanism{NewEBPF(opts), NewAudit(opts), NewConnector(opts)}
}

// EBPF sees processes by raw tracepoints.
type EBPF struct{ opts Options }

// NewEBPF makes the mechanism; Start loads it.
func NewEBPF(opts Options) *EBPF { return &EBPF{opts} }

// Name is "ebpf".
func (*EBPF) Name() string { return "ebpf" }

// syncMost bounds how long another sensor waits for the tree to catch up.
const syncMost = 100 * time.Millisecond

// Start loads and attaches the programs and fills the process tree from /proc.
func (m *EBPF) Start(ctx context.Context, out sensor.Publisher) (sensor.Running, error) {
	programs, err := bpf.LoadProcess(bpf.Options{RingBytes: m.opts.RingBytes, Interval: m.opts.Interval})
	if err != nil {
		return nil, err
	}
	tree := m.opts.Tree
	r := &ebpfRun{
		Run:  ringrun.New(programs, m.opts.Interval, out),
		tree: tree, out: out, log: m.opts.log(),
	}
	r.Run.Start(ctx, r.record, r.drained, func() { tree.SetCatchUp(nil) })
	tree.SetCatchUp(func() { programs.Sync(syncMost) })
	if _, err := tree.Seed(); err != nil {
		return nil, errors.Join(fmt.Errorf("read the processes that run already: %w", err), r.Close())
	}
	return r, nil
}

type ebpfRun struct {
	*ringrun.Run
	tree *proctree.Tree
	out  sensor.Publisher
	log  *slog.Logger

	exec bpf.Exec
	exit bpf.Exit
	fork bpf.Fork
}

// drained runs after every look into the ring.
func (r *ebpfRun) drained(lost bool) {
	if !lost {
		return
	}
	if err := r.tree.Resync(); err != nil {
		r.log.Warn("process tree not compared with /proc after a loss; ancestry may miss processes", "err", err)
	}
}

func (r *ebpfRun) record(raw []byte) {
	h, err := bpf.DecodeHeader(raw)
	if err == nil {
		switch h.Type {
		case bpf.TypeFork:
			if err = bpf.DecodeFork(raw, &r.fork); err == nil {
				r.tree.Fork(identified(&r.fork.Identity))
			}
		case bpf.TypeExec:
			if err = bpf.DecodeExec(raw, &r.exec); err == nil {
				r.publishExec(&r.exec)
			}
		case bpf.TypeExit:
			if err = bpf.DecodeExit(raw, &r.exit); err == nil {
				r.publishExit(&r.exit)
			}
		default:
			err = fmt.Errorf("record of unknown type %d", h.Type)
		}
	}
	if err != nil {
		r.out.Lost(1, "record not understood")
		r.log.Error("process event lost: the program and its reader disagree", "err", err)
	}
}

func identified(id *bpf.Identity) proctree.Process {
	return proctree.Process{
		PID: int64(id.PID), Start: int64(id.Start),
		Parent: int64(id.PPID), ParentStart: int64(id.ParentStart),
		Name: id.Comm, UID: int64(id.UID), Cgroup: id.Cgroup, CgroupLegacy: id.CgroupLegacy,
	}
}

func (r *ebpfRun) publishExec(e *bpf.Exec) {
	argv := bpf.SplitArgv(e.Argv)
	truncated := e.Flags&bpf.ArgvCut != 0
	if e.Flags&bpf.ArgvUnread != 0 {
		argv, truncated = r.argvFromProc(e)
	}
	path := e.Exe
	if e.Flags&bpf.ExeCut != 0 {
		path = r.linkFromProc(e, "exe", path)
	}
	cwd := e.CWD
	if e.Flags&bpf.CWDCut != 0 {
		cwd = r.linkFromProc(e, "cwd", cwd)
	}
	p := identified(&e.Identity)
	p.Path, p.Cmdline = path, cmdline(argv)
	ev := &event.Exec{
		Actor:  event.Actor{PID: p.PID, StartTime: p.Start, Path: path, CgroupID: e.Cgroup},
		Parent: p.Parent, ParentStart: p.ParentStart, ParentParent: int64(e.GPPID),
		Filename: e.Filename, Name: e.Comm, Cmdline: p.Cmdline, CmdlineSize: int64(e.ArgvSize), Argv: argvJSON(argv), Truncated: truncated,
		Mode: "0" + strconv.FormatUint(uint64(e.Mode), 8), CWD: cwd, AUID: int64(e.AUID),
		UID: int64(e.UID), EUID: int64(e.EUID), SUID: int64(e.SUID), FSUID: int64(e.FSUID),
		GID: int64(e.GID), EGID: int64(e.EGID), SGID: int64(e.SGID), FSGID: int64(e.FSGID),
		OwnerUID: int64(e.OwnerUID), OwnerGID: int64(e.OwnerGID),
		ATime: e.ATime, MTime: e.MTime, CTime: e.CTime,
		Uptime: int64(e.Time / 1e9), Syscall: "execve",
	}
	ev.Source = "ebpf"
	ev.At(r.Clock.Wall(e.Time))
	if truncated {
		ev.Overflows = "cmdline"
	}
	r.tree.Exec(p)
	r.tree.Fill(&ev.Actor, p.Parent, p.ParentStart)
	r.out.Publish(ev)
}

// argvFromProc reads the arguments of a process that still runs what it did;
// the kernel program could not, because a page of them was not in memory.
func (r *ebpfRun) argvFromProc(e *bpf.Exec) (argv []string, truncated bool) {
	if !r.sameInProc(e) {
		return nil, true
	}
	b, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(e.PID), 10) + "/cmdline")
	if err != nil {
		return nil, true
	}
	return bpf.SplitArgv(b), false
}

// linkFromProc reads a path that was too deep for the kernel program, or else
// gives what the program found of it.
func (r *ebpfRun) linkFromProc(e *bpf.Exec, name, otherwise string) string {
	if !r.sameInProc(e) {
		return otherwise
	}
	path, err := os.Readlink("/proc/" + strconv.FormatUint(uint64(e.PID), 10) + "/" + name)
	if err != nil {
		return otherwise
	}
	return strings.TrimSuffix(path, " (deleted)")
}

// sameInProc says whether the process of that ID in /proc is still the one.
func (r *ebpfRun) sameInProc(e *bpf.Exec) bool {
	start, ok := r.tree.StartInProc(int64(e.PID))
	return ok && r.tree.SameStart(start, int64(e.Start))
}

func (r *ebpfRun) publishExit(e *bpf.Exit) {
	ev := &event.Exit{
		Actor:  event.Actor{PID: int64(e.PID), StartTime: int64(e.Start), CgroupID: e.Cgroup},
		Parent: int64(e.PPID), Name: e.Comm, UID: int64(e.UID), GID: int64(e.GID),
		ExitCode: int64(e.Code >> 8 & 0xff), Signal: int64(e.Code & 0x7f),
		Duration: int64(e.Time - e.Start),
	}
	ev.Source = "ebpf"
	ev.At(r.Clock.Wall(e.Time))
	if p, ok := r.tree.Lookup(ev.PID, ev.StartTime); ok {
		ev.Cmdline = p.Cmdline
	}
	r.tree.Fill(&ev.Actor, ev.Parent, int64(e.ParentStart))
	r.tree.Exit(ev.PID, ev.StartTime)
	r.out.Publish(ev)
}
