package process

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/bpf"
	"github.com/aiedr/edr/tables/procfs"
)

// listed is what an iterator in the kernel tells of all processes at once,
// where one can be loaded. The rows are the same as those read from /proc,
// with a tenth of the system calls.
type listed struct {
	lister  *lister    // nil: /proc alone
	whole   bool       // the list has what it must have
	tasks   []bpf.Task // by their numbers
	exes    map[uint64]executed
	places  map[uint64]string // working and root directories
	cgroups map[uint64]placed
	tick    uint64 // nanoseconds
	page    int64
}

type executed struct {
	path   string
	onDisk int32
}

type placed struct{ path, container string }

// listerName is under what the lister is kept.
const listerName = "tables/process: list of tasks"

// unlist ends the use of the list.
func (s *snapshot) unlist() {
	if s.lister != nil {
		s.lister.end()
	}
}

// list asks the kernel for its list. Without one, /proc is read.
func (s *snapshot) list() {
	if !s.r.Live() || !s.q.Host.Root.Live() {
		return
	}
	kept, err := s.q.Host.Kept.Get(listerName, func() (io.Closer, error) { return newLister() })
	if err != nil {
		return
	}
	var want uint32
	if s.want.exe || s.want.parentPath {
		want |= bpf.TaskExe
	}
	if s.want.cwd {
		want |= bpf.TaskCwd
	}
	if s.want.root {
		want |= bpf.TaskRoot
	}
	all, err := kept.(*lister).begin(want)
	if err != nil {
		return
	}
	s.lister = kept.(*lister)
	byPID := func(a, b bpf.Task) int { return cmp.Compare(a.PID(), b.PID()) }
	if s.tasks = all; !slices.IsSortedFunc(all, byPID) { // as it nearly always is
		slices.SortFunc(all, byPID)
	}
	s.whole = s.has(1) && s.has(int64(os.Getpid()))
	s.exes, s.places, s.cgroups = map[uint64]executed{}, map[uint64]string{}, map[uint64]placed{}
	s.tick, s.page = 1e9/s.r.Ticks(), int64(os.Getpagesize())
}

// has says whether a process is in the list.
func (s *snapshot) has(pid int64) bool {
	_, ok := slices.BinarySearchFunc(s.tasks, pid, func(t bpf.Task, pid int64) int { return cmp.Compare(t.PID(), pid) })
	return ok
}

// pids are the processes of the list. Iterators have been seen that left the
// first process out: without that, or without ourselves, /proc is asked.
func (s *snapshot) pids() ([]int64, error) {
	if !s.whole {
		return s.r.PIDs(nil)
	}
	pids := make([]int64, len(s.tasks))
	for i := range s.tasks {
		pids[i] = s.tasks[i].PID()
	}
	return pids, nil
}

// task is a process of the list, or nil. It is asked for in rising order.
func (s *snapshot) task(pid int64) *bpf.Task {
	for len(s.tasks) > 0 && s.tasks[0].PID() < pid {
		s.tasks = s.tasks[1:]
	}
	if len(s.tasks) > 0 && s.tasks[0].PID() == pid {
		return &s.tasks[0]
	}
	return nil
}

// one fills the row of a process: from the kernel's list, or from /proc where
// it is not in there, is about to end, or something of it cannot be told.
func (s *snapshot) one(pid int64, row *Process) error {
	t := s.task(pid)
	if t == nil || t.Ending() || s.want.status && !t.KnowsRSS() {
		return s.read(pid, row)
	}
	done, err := s.fromList(t, row)
	if err != nil {
		return err
	}
	if !done {
		return s.read(pid, row)
	}
	return nil
}

func (s *snapshot) fromList(t *bpf.Task, row *Process) (done bool, err error) {
	start := t.Start() / s.tick
	*row = Process{
		PID: t.PID(), State: stateText(t.State()), Parent: t.Parent(), PGroup: t.PGroup(),
		Threads: t.Threads(), Nice: t.Nice(), OnDisk: -1, StartNS: procfs.StartNS(start, s.r.Ticks()),
	}
	if t.Kernel() && t.NameCut() { // /proc knows more of its name
		if row.Name, err = s.lister.name(s.r, t); err != nil {
			return false, err
		}
	} else {
		row.Name = s.r.Text(t.Comm())
	}
	user, system := t.CPUTimes()
	row.UserTime, row.SysTime = s.millis(user/s.tick), s.millis(system/s.tick)
	if s.want.start {
		row.StartTime = s.boot + int64(start/s.r.Ticks())
	}
	if s.want.status {
		uid, euid, suid := t.Users()
		gid, egid, sgid := t.Groups()
		row.UID, row.EUID, row.SUID = int64(uid), int64(euid), int64(suid)
		row.GID, row.EGID, row.SGID = int64(gid), int64(egid), int64(sgid)
		if !t.Kernel() {
			row.Wired, row.Resident, row.Total = t.LockedVM()*s.page, t.RSS()*s.page, t.TotalVM()*s.page
		}
		if name, ok := s.users[uid]; ok {
			row.Username = tables.Some(name)
		}
	}
	if s.want.io {
		read, written, cancelled := t.IO()
		row.DiskRead, row.DiskWrite = tables.Some(int64(read)), tables.Some(int64(written-min(cancelled, written)))
	}
	if s.want.cgroup {
		if err := s.cgroupOf(t, row); err != nil {
			return false, err
		}
	}
	if t.HasMemory() && !t.Kernel() {
		if done, err = s.memory(t, row); !done || err != nil {
			return false, err
		}
	}
	s.parent(row)
	return true, nil
}

func (s *snapshot) cgroupOf(t *bpf.Task, row *Process) error {
	at, ok := s.cgroups[t.CgroupKey()]
	if !ok {
		var err error
		if at.path, at.container, err = s.r.Cgroup(row.PID); err != nil {
			return s.deny("cgroup", err)
		}
		s.cgroups[t.CgroupKey()] = at
	}
	row.CgroupPath, row.ContainerID = at.path, at.container
	return nil
}

// memory fills in what a process has that has memory. It is not done where
// something is empty or was refused: /proc is then read as without a list.
func (s *snapshot) memory(t *bpf.Task, row *Process) (done bool, err error) {
	if s.want.cmdline {
		if row.Cmdline, err = s.lister.cmdline(s.r, t); err != nil || row.Cmdline == "" {
			return false, unlessDenied(err)
		}
	}
	if s.want.exe {
		e, ok := s.exes[t.ExeKey()]
		if !ok || t.ExeKey() == 0 {
			var read Process
			err := s.with(row.PID, func(p *procfs.Process) error { return s.exe(p, &read) })
			if err != nil || read.Path == "" {
				return false, unlessDenied(err)
			}
			e = executed{read.Path, read.OnDisk}
			s.exes[t.ExeKey()] = e
		}
		row.Path, row.OnDisk = e.path, e.onDisk
	}
	for _, link := range []struct {
		want bool
		key  uint64
		read func(*procfs.Process) (string, error)
		to   *string
	}{{s.want.cwd, t.CwdKey(), (*procfs.Process).Cwd, &row.Cwd}, {s.want.root, t.RootKey(), (*procfs.Process).Root, &row.Root}} {
		if !link.want {
			continue
		}
		path, ok := s.places[link.key]
		if !ok || link.key == 0 {
			err := s.with(row.PID, func(p *procfs.Process) (err error) { path, err = link.read(p); return err })
			if err != nil || path == "" {
				return false, unlessDenied(err)
			}
			s.places[link.key] = path
		}
		*link.to = path
	}
	return true, nil
}

func (s *snapshot) with(pid int64, f func(*procfs.Process) error) error {
	p, err := s.r.Process(pid)
	if err != nil {
		return err
	}
	defer p.Close()
	return f(&p)
}

// unlessDenied keeps that a process has ended; all else is met again, and
// told, when /proc is read for the row.
func unlessDenied(err error) error {
	if errors.Is(err, procfs.ErrGone) {
		return err
	}
	return nil
}
