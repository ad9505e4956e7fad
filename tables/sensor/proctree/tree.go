// Package proctree remembers what each process is, also for a while after its
// end: name, path, command line, user, container and where it came from. The
// sensors feed it from the kernel's births, executions and ends; /proc gives
// what was there before and what a sensor missed.
//
// A process is named by its ID and its start. The kernel's events give the
// start in nanoseconds, /proc only in ticks (10 ms), so that the tree compares
// ticks, rounded down: two processes of one ID cannot start in one tick,
// because the ID comes back only after all others were used. Time namespaces
// shift the start that a process sees of itself; the tree reads /proc from
// outside and takes the host's.
package proctree

import (
	"container/list"
	"io"
	"strings"
	"sync"
	"time"
)

// Process is what is known of one process.
type Process struct {
	PID   int64
	Start int64 // nanoseconds since boot; to the tick where only /proc told
	// Parent is who made it, also after that one's end; the kernel by then
	// names another.
	Parent      int64
	ParentStart int64
	Name        string // comm
	Path        string // executed file; of the parent until the first exec
	Cmdline     string // arguments joined by spaces, at most 4 KiB
	UID         int64
	// Inode numbers of the process's cgroup v2 folder and of the one that
	// counts processes, perhaps of version 1; 0 where unknown.
	Cgroup       uint64
	CgroupLegacy uint64
	Container    string
	Exited       bool
}

// Options of a tree. The zero value gives the defaults.
type Options struct {
	Proc      string        // folder of the proc file system; /proc if empty
	MaxExited int           // processes kept after their end; 16384 if 0
	MaxBytes  int           // bytes of their texts; 6 MiB if 0
	TickNS    int64         // nanoseconds a tick; from the kernel if 0
	Sweep     time.Duration // least time between two comparisons with /proc; 10 s if 0
}

type key struct {
	pid, tick int64
}

type entry struct {
	p    Process
	elem *list.Element // place among the exited; nil while it lives
	// absent marks a process of which nothing could be found, so that it is
	// not looked for with every event.
	absent bool
}

// Tree is safe for concurrent use.
type Tree struct {
	opts Options

	mu      sync.Mutex
	procs   map[key]*entry
	latest  map[int64]key // per ID the process that started last
	exited  *list.List    // of key; the one to forget next in front
	bytes   int
	src     source
	catchUp func()
	groups  map[group]string // container ID by cgroup
	swept   time.Time
}

// source reads processes of the live system.
type source interface {
	// read finds a process by its ID.
	read(pid int64) (Process, bool)
	// start finds only the start, which costs less.
	start(pid int64) (int64, bool)
	// container finds only the container's ID.
	container(pid, start int64, g group) (string, bool)
	pids() ([]int64, error)
	io.Closer
}

const maxCmdline = 4096

// New makes a tree that reads the proc file system given. It is empty until
// Seed.
func New(opts Options) (*Tree, error) {
	if opts.Proc == "" {
		opts.Proc = "/proc"
	}
	if opts.MaxExited == 0 {
		opts.MaxExited = 16384
	}
	if opts.MaxBytes == 0 {
		opts.MaxBytes = 6 << 20
	}
	if opts.Sweep == 0 {
		opts.Sweep = 10 * time.Second
	}
	if opts.TickNS == 0 {
		opts.TickNS = tickNS()
	}
	src, err := openSource(opts.Proc)
	if err != nil {
		return nil, err
	}
	return &Tree{
		opts: opts, src: src,
		procs: map[key]*entry{}, latest: map[int64]key{}, exited: list.New(), groups: map[group]string{},
	}, nil
}

// Close closes the proc file system.
func (t *Tree) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.src.Close()
}

func (t *Tree) key(pid, start int64) key { return key{pid, start / t.opts.TickNS} }

// Fork notes that a process was born. Until it executes something it is what
// its parent is.
func (t *Tree) Fork(p Process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if parent := t.known(p.Parent, p.ParentStart); parent != nil {
		p.Path, p.Cmdline = parent.p.Path, parent.p.Cmdline
		if p.Container == "" {
			p.Container = parent.p.Container
		}
	}
	if c, ok := t.groups[group{p.Cgroup, p.CgroupLegacy}]; ok {
		p.Container = c
	}
	t.put(p)
}

// Exec notes what a process is from now on.
func (t *Tree) Exec(p Process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(p.Cmdline) > maxCmdline {
		p.Cmdline = p.Cmdline[:maxCmdline]
	}
	if e := t.procs[t.key(p.PID, p.Start)]; e != nil && !e.absent && e.p.Parent != 0 {
		// Who made it is known from its birth; who is its parent now may be
		// another, who only adopted it.
		p.Parent, p.ParentStart = e.p.Parent, e.p.ParentStart
		if p.Container == "" {
			p.Container = e.p.Container
		}
	}
	t.contain(&p)
	t.put(p)
}

// group names the cgroups of a process. Their inode numbers are not used again.
type group struct{ cgroup, legacy uint64 }

// maxGroups bounds the memory of cgroups; beyond it all are learned anew.
const maxGroups = 4096

// contain finds the container of a process that has just executed something,
// by its cgroup. Where the cgroup cannot be found, what the parent gave it has
// to do, and the next process is asked.
func (t *Tree) contain(p *Process) {
	g := group{p.Cgroup, p.CgroupLegacy}
	if g == (group{}) {
		return
	}
	if c, ok := t.groups[g]; ok {
		p.Container = c
		return
	}
	c, ok := t.src.container(p.PID, p.Start, g)
	if !ok {
		return
	}
	if len(t.groups) >= maxGroups {
		clear(t.groups)
	}
	t.groups[g] = c
	p.Container = c
}

// Exit notes that a process has ended. What is known of it stays for a while.
func (t *Tree) Exit(pid, start int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.exit(t.key(pid, start))
}

func (t *Tree) exit(k key) {
	e := t.procs[k]
	if e == nil || e.elem != nil {
		return
	}
	e.p.Exited = true
	e.elem = t.exited.PushBack(k)
	t.bytes += e.size()
	for t.exited.Len() > t.opts.MaxExited || t.bytes > t.opts.MaxBytes {
		t.forget(t.exited.Front().Value.(key))
	}
}

func (e *entry) size() int {
	return len(e.p.Name) + len(e.p.Path) + len(e.p.Cmdline) + len(e.p.Container)
}

func (t *Tree) forget(k key) {
	e := t.procs[k]
	if e.elem != nil {
		t.exited.Remove(e.elem)
		t.bytes -= e.size()
	}
	delete(t.procs, k)
	if t.latest[k.pid] == k {
		delete(t.latest, k.pid)
	}
}

// put stores p. A process that was taken for ended and shows up again lives.
func (t *Tree) put(p Process) *entry {
	k := t.key(p.PID, p.Start)
	if t.procs[k] != nil {
		t.forget(k)
	}
	if before, ok := t.latest[p.PID]; !ok || before.tick <= k.tick {
		if ok && before != k {
			// The ID was used again: the end of its former holder was missed.
			t.exit(before)
		}
		t.latest[p.PID] = k
	}
	e := &entry{p: p}
	t.procs[k] = e
	return e
}

// known finds a process, reading /proc once if it must. start 0 means the one
// that has the ID now, or had it last.
func (t *Tree) known(pid, start int64) *entry {
	if pid <= 0 {
		return nil
	}
	if start == 0 {
		if k, ok := t.latest[pid]; ok {
			if e := t.procs[k]; e != nil && !e.absent {
				return e
			}
			return nil
		}
	} else if e := t.procs[t.key(pid, start)]; e != nil {
		if e.absent {
			return nil
		}
		return e
	}
	p, ok := t.src.read(pid)
	if ok && (start == 0 || t.key(pid, p.Start) == t.key(pid, start)) {
		if start != 0 {
			p.Start = start // it is the more exact
		}
		return t.put(p)
	}
	if start != 0 {
		e := t.put(Process{PID: pid, Start: start})
		e.absent = true
		t.exit(t.key(pid, start))
	}
	return nil
}

// clone makes a process's texts independent of what they were cut from.
func (p *Process) clone() {
	p.Name, p.Path, p.Container = strings.Clone(p.Name), strings.Clone(p.Path), strings.Clone(p.Container)
	if len(p.Cmdline) > maxCmdline {
		p.Cmdline = p.Cmdline[:maxCmdline]
	}
	p.Cmdline = strings.Clone(p.Cmdline)
}
