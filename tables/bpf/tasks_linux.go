package bpf

import (
	"bytes"
	_ "embed" // the object
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

//go:embed obj/tasks.bpfel.o
var tasksObject []byte

// What Tasks.Read finds out of a task's paths.
const (
	TaskExe  uint32 = 1
	TaskCwd  uint32 = 2
	TaskRoot uint32 = 4
)

// Of TaskRecord.Known.
const (
	taskLeader = 1
	taskMM     = 2
	taskRSS    = 4
)

// Flags of a task (include/linux/sched.h).
const (
	taskExiting = 0x4
	taskKernel  = 0x200000
)

// threadRecord is struct thread_rec of tasks.bpf.c.
type threadRecord struct {
	Process                uint64
	Known, pad             uint32
	UTime, STime, RTime    uint64
	Read, Write, Cancelled uint64
}

// taskRecord is struct rec of tasks.bpf.c.
type taskRecord struct {
	threadRecord
	Start                              uint64
	DeadUTime, DeadSTime, DeadRTime    uint64
	DeadRead, DeadWrite, DeadCancelled uint64
	PrevUTime, PrevSTime               uint64
	Cgroups                            uint64
	Exe, Cwd, Root                     uint64
	RSS                                int64
	TotalVM, LockedVM                  uint64
	PID, PPID, PGroup                  uint32
	State, ExitState, Flags            uint32
	Threads, Nice                      int32
	UID, EUID, SUID, GID, EGID, SGID   uint32
	Comm                               [16]byte
}

// Task is one process with all its threads. Sizes are in pages, times in
// nanoseconds, numbers those of the reader's namespace of processes.
type Task struct{ r taskRecord }

// PID is the number of the process.
func (t *Task) PID() int64 { return int64(t.r.PID) }

// Parent is the number of the parent, 0 if it is out of sight.
func (t *Task) Parent() int64 { return int64(t.r.PPID) }

// PGroup is the number of the process group.
func (t *Task) PGroup() int64 { return int64(t.r.PGroup) }

// Start is when it was started, in nanoseconds since boot.
func (t *Task) Start() uint64 { return t.r.Start }

// Kernel says that it is a thread of the kernel.
func (t *Task) Kernel() bool { return t.r.Flags&taskKernel != 0 }

// HasMemory says that it has memory of its own.
func (t *Task) HasMemory() bool { return t.r.Known&taskMM != 0 }

// Ending says that its first thread has ended or is about to.
func (t *Task) Ending() bool { return t.r.ExitState != 0 || t.r.Flags&taskExiting != 0 }

// KnowsRSS says whether RSS is known.
func (t *Task) KnowsRSS() bool { return t.r.Known&taskRSS != 0 || !t.HasMemory() }

// RSS, TotalVM and LockedVM are pages of memory.
func (t *Task) RSS() int64 { return t.r.RSS }

// TotalVM is the pages of its address space.
func (t *Task) TotalVM() int64 { return int64(t.r.TotalVM) }

// LockedVM is the pages that cannot be paged out.
func (t *Task) LockedVM() int64 { return int64(t.r.LockedVM) }

// Threads is how many threads it has.
func (t *Task) Threads() int32 { return t.r.Threads }

// Nice is the nice level of its first thread.
func (t *Task) Nice() int32 { return t.r.Nice }

// Users are the real, effective and saved user, Groups the same of the group.
func (t *Task) Users() (real, effective, saved uint32) { return t.r.UID, t.r.EUID, t.r.SUID }

// Groups are the real, effective and saved group.
func (t *Task) Groups() (real, effective, saved uint32) { return t.r.GID, t.r.EGID, t.r.SGID }

// IO is the bytes read from storage, written to it, and of those cancelled.
func (t *Task) IO() (read, written, cancelled uint64) {
	return t.r.Read + t.r.DeadRead, t.r.Write + t.r.DeadWrite, t.r.Cancelled + t.r.DeadCancelled
}

// ExeKey, CwdKey and RootKey are numbers that are the same for the same path
// of the same file as long as no name in it changes; 0 where that cannot be
// told. They mean something within one reading only.
func (t *Task) ExeKey() uint64 { return t.r.Exe }

// CwdKey is ExeKey for the working directory.
func (t *Task) CwdKey() uint64 { return t.r.Cwd }

// RootKey is ExeKey for the root directory.
func (t *Task) RootKey() uint64 { return t.r.Root }

// CgroupKey is the same for processes of the same groups in all hierarchies.
// It means something within one reading only.
func (t *Task) CgroupKey() uint64 { return t.r.Cgroups }

// NameCut says that a kernel thread's name is longer, or is made anew by what
// it works on.
func (t *Task) NameCut() bool {
	const worker = 0x20 // PF_WQ_WORKER
	return t.r.Flags&worker != 0 || len(t.Comm()) == len(t.r.Comm)-1
}

// Comm is the name of its first thread; of a kernel's thread only its
// beginning.
func (t *Task) Comm() []byte {
	if i := bytes.IndexByte(t.r.Comm[:], 0); i >= 0 {
		return t.r.Comm[:i]
	}
	return t.r.Comm[:]
}

// State is the letter of its state as /proc shows it.
func (t *Task) State() byte {
	const (
		reported = 0x7f   // up to parked
		idle     = 0x402  // uninterruptible, and no load
		lockWait = 0x1000 // of real-time locks
		frozen   = 0x8000
	)
	s := (t.r.State | t.r.ExitState) & reported
	switch {
	case t.r.State&idle == idle:
		s = 0x80
	case t.r.State&(lockWait|frozen) != 0:
		s = 2
	}
	return "RSDTtXZPI"[bits.Len32(s)]
}

// CPUTimes are what it used in user space and in the kernel. The kernel counts
// those by ticks and the sum exactly; /proc shows the sum divided as the ticks
// are, and never less than it did before, and so does this.
func (t *Task) CPUTimes() (user, system uint64) {
	r := &t.r
	total := r.RTime + r.DeadRTime
	if r.PrevUTime+r.PrevSTime >= total {
		return r.PrevUTime, r.PrevSTime
	}
	user, system = r.UTime+r.DeadUTime, r.STime+r.DeadSTime
	switch {
	case system == 0:
	case user == 0:
		system = total
	default:
		hi, lo := bits.Mul64(system, total)
		if sum := user + system; hi < sum {
			system, _ = bits.Div64(hi, lo, sum)
		}
		system = min(system, total)
	}
	system = max(system, r.PrevSTime)
	user = total - system
	if user < r.PrevUTime {
		user = r.PrevUTime
		system = total - user
	}
	return user, system
}

// Tasks is the loaded iterator.
type Tasks struct {
	mu      sync.Mutex
	program tasksProgram
	iter    *link.Iter
	buf     []byte
	last    int // how many there were
}

type tasksProgram struct {
	Tasks   *ebpf.Program  `ebpf:"tasks"`
	Probe   *ebpf.Map      `ebpf:"probe"`
	Want    *ebpf.Variable `ebpf:"want"`
	ProbeFD *ebpf.Variable `ebpf:"probe_fd"`
}

// LoadTasks loads the iterator, which takes some 100 ms. It costs nothing
// until it is read.
func LoadTasks() (*Tasks, error) {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(tasksObject))
	if err != nil {
		return nil, fmt.Errorf("read the embedded eBPF object: %w", err)
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("count the processors: %w", err)
	}
	if err := spec.Variables["cpus"].Set(uint32(cpus)); err != nil {
		return nil, fmt.Errorf("set a constant of the task iterator: %w", err)
	}
	t := &Tasks{buf: make([]byte, 64<<10)}
	if err := spec.LoadAndAssign(&t.program, nil); err != nil {
		return nil, loadError("load the task iterator", err)
	}
	if t.iter, err = link.AttachIter(link.IterOptions{Program: t.program.Tasks}); err != nil {
		return nil, errors.Join(loadError("make the task iterator", err), t.Close())
	}
	if err := t.learn(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// learn has the program find out where each processor keeps its variables.
func (t *Tasks) learn() error {
	if err := t.program.ProbeFD.Set(int32(t.program.Probe.FD())); err != nil {
		return fmt.Errorf("prepare the task iterator: %w", err)
	}
	err := t.each(func(*taskRecord) {}, func(*threadRecord) {})
	return errors.Join(err, t.program.ProbeFD.Set(int32(-1)))
}

// Read lists all processes; want says which keys of paths are looked for.
func (t *Tasks) Read(want uint32) ([]Task, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.iter == nil {
		return nil, errors.New("read the task iterator: it is closed")
	}
	if err := t.program.Want.Set(want); err != nil {
		return nil, fmt.Errorf("read the task iterator: %w", err)
	}
	all := make([]Task, 0, t.last+t.last/8+64)
	threads := map[uint64]*threadRecord{} // of each process, those that are not its first
	err := t.each(func(r *taskRecord) {
		if r.PID > 0 {
			all = append(all, Task{*r})
		}
	}, func(r *threadRecord) {
		if sum := threads[r.Process]; sum != nil {
			sum.add(r)
			return
		}
		first := *r
		threads[r.Process] = &first
	})
	if err != nil {
		return nil, err
	}
	if len(threads) > 0 {
		for i := range all {
			if more := threads[all[i].r.Process]; more != nil {
				all[i].r.add(more)
			}
		}
	}
	t.last = len(all)
	return all, nil
}

func (r *threadRecord) add(thread *threadRecord) {
	r.UTime += thread.UTime
	r.STime += thread.STime
	r.RTime += thread.RTime
	r.Read += thread.Read
	r.Write += thread.Write
	r.Cancelled += thread.Cancelled
}

// each runs the iterator.
func (t *Tasks) each(first func(*taskRecord), other func(*threadRecord)) error {
	const size, small = int(unsafe.Sizeof(taskRecord{})), int(unsafe.Sizeof(threadRecord{}))
	file, err := t.iter.Open()
	if err != nil {
		return fmt.Errorf("run the task iterator: %w", err)
	}
	defer file.Close()
	have := 0
	for {
		n, err := file.Read(t.buf[have:])
		have += n
		at := 0
		for have-at >= small {
			// The kernel wrote it in this machine's order, each record at a
			// place that is aligned: their sizes are multiples of eight.
			r := (*threadRecord)(unsafe.Pointer(&t.buf[at]))
			if r.Known&taskLeader == 0 {
				other(r)
				at += small
				continue
			}
			if have-at < size {
				break
			}
			first((*taskRecord)(unsafe.Pointer(&t.buf[at])))
			at += size
		}
		have = copy(t.buf, t.buf[at:have])
		switch {
		case errors.Is(err, io.EOF) || err == nil && n == 0:
			if have > 0 {
				return fmt.Errorf("read the task iterator: %d bytes after the last record", have)
			}
			return nil
		case err != nil:
			return fmt.Errorf("read the task iterator: %w", err)
		}
	}
}

// Close unloads it.
func (t *Tasks) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	if t.iter != nil {
		errs = append(errs, t.iter.Close())
		t.iter = nil
	}
	if t.program.Tasks != nil {
		errs = append(errs, t.program.Tasks.Close(), t.program.Probe.Close())
		t.program = tasksProgram{}
	}
	return errors.Join(errs...)
}
