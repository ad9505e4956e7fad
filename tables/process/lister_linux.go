package process

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables/bpf"
	"github.com/aiedr/edr/tables/procfs"
)

const (
	// maxFiles bounds the files of command lines that are kept open; it is
	// less where the agent may open few files.
	maxFiles = 4096
	// idleFiles is after how long without a scan they are closed.
	idleFiles = 5 * time.Minute
)

// lister is what is kept between scans: the iterator, and the open files of
// command lines, or of the names of the kernel's threads. To open one takes longer than to read it.
type lister struct {
	tasks *bpf.Tasks
	most  int

	// scan is held for reading by each scan, and for writing to close files.
	scan  sync.RWMutex
	mu    sync.Mutex
	files map[identity]int // file descriptors
	idle  *time.Timer
}

// identity names a process for good.
type identity struct {
	pid   int64
	start uint64
}

func newLister() (*lister, error) {
	tasks, err := bpf.LoadTasks()
	if err != nil {
		return nil, err
	}
	l := &lister{tasks: tasks, most: maxFiles, files: map[identity]int{}}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		l.most = int(min(uint64(maxFiles), limit.Cur/4))
	}
	l.idle = time.AfterFunc(idleFiles, func() { l.closeFiles(nil) })
	return l, nil
}

// begin lists the processes and closes the files of those that ended. The
// caller calls end when it is done.
func (l *lister) begin(want uint32) ([]bpf.Task, error) {
	all, err := l.tasks.Read(want)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	many := len(l.files) > len(all) || len(l.files) >= l.most
	l.mu.Unlock()
	if many {
		alive := make(map[identity]bool, len(all))
		for i := range all {
			alive[identity{all[i].PID(), all[i].Start()}] = true
		}
		l.closeFiles(alive)
	}
	l.idle.Reset(idleFiles)
	l.scan.RLock()
	return all, nil
}

func (l *lister) end() { l.scan.RUnlock() }

// closeFiles closes the files of all processes but those alive, unless a scan
// reads them.
func (l *lister) closeFiles(alive map[identity]bool) {
	if !l.scan.TryLock() {
		return
	}
	defer l.scan.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, fd := range l.files {
		if !alive[id] {
			unix.Close(fd)
			delete(l.files, id)
		}
	}
}

// cmdline reads a command line, by the file that is kept if there is one.
func (l *lister) cmdline(r *procfs.Reader, t *bpf.Task) (string, error) {
	return l.read(t, r.OpenCmdline, r.CmdlineFrom)
}

// name reads the name of a kernel's thread, which has no command line.
func (l *lister) name(r *procfs.Reader, t *bpf.Task) (string, error) {
	return l.read(t, r.OpenName, r.NameFrom)
}

func (l *lister) read(t *bpf.Task, open func(int64) (int, error), from func(int) (string, error)) (string, error) {
	id := identity{t.PID(), t.Start()}
	l.mu.Lock()
	fd, ok := l.files[id]
	room := len(l.files) < l.most
	l.mu.Unlock()
	if ok {
		return from(fd)
	}
	fd, err := open(t.PID())
	if err != nil {
		return "", err
	}
	text, err := from(fd)
	keep := err == nil && room
	if keep {
		l.mu.Lock()
		if _, keep = l.files[id]; !keep {
			l.files[id] = fd
		}
		keep = !keep
		l.mu.Unlock()
	}
	if !keep {
		unix.Close(fd)
	}
	return text, err
}

// Close unloads the iterator and closes the files.
func (l *lister) Close() error {
	l.idle.Stop()
	l.scan.Lock() // until the last scan is done
	defer l.scan.Unlock()
	var errs []error
	for _, fd := range l.files {
		errs = append(errs, unix.Close(fd))
	}
	l.files = nil
	l.most = 0
	return errors.Join(append(errs, l.tasks.Close())...)
}
