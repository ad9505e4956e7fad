package filesensor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

// fanotify watches whole file systems and keeps the events of watched folders.
type fanotify struct{ o Options }

// Name implements sensor.Mechanism.
func (f *fanotify) Name() string { return "fanotify" }

const (
	maskBase = unix.FAN_CREATE | unix.FAN_DELETE | unix.FAN_CLOSE_WRITE | unix.FAN_ATTRIB | unix.FAN_ONDIR
	maskMove = unix.FAN_MOVED_FROM | unix.FAN_MOVED_TO

	// reportTarget is FAN_REPORT_TARGET_FID, of Linux 5.17: what a name stands
	// for is reported too, so that a new folder is known by its handle at once.
	reportTarget = 0x1000
)

// variants are what kernels can do, best first.
var variants = []struct {
	flags uint
	moves uint64
	lacks string
}{
	{unix.FAN_REPORT_DFID_NAME | unix.FAN_REPORT_FID | reportTarget | unix.FAN_REPORT_PIDFD, unix.FAN_RENAME, ""},
	{unix.FAN_REPORT_DFID_NAME | unix.FAN_REPORT_FID | unix.FAN_REPORT_PIDFD, maskMove,
		"this kernel (before 5.17) does not report what a name stands for: events in folders that are made and removed at once may be missed"},
	{unix.FAN_REPORT_DFID_NAME | unix.FAN_REPORT_FID, maskMove,
		"this kernel (before 5.15) does not report what a name stands for: events in folders that are made and removed at once may be missed"},
}

// watcher is a fanotify group at work.
type watcher struct {
	o     Options
	out   filePublisher
	fd    int
	wake  int // eventfd: Close
	mask  uint64
	lacks string
	self  int32
	done  chan struct{}
	quit  chan struct{}
	once  sync.Once
	drain atomic.Int64
	err   error

	// Of the loop alone.
	ctx       context.Context // for starting rest
	roots     roots
	folders   *folders
	snapshot  *snapshot
	moves     int64
	procs     map[int64]ProcInfo // of one round
	batch     []waiting
	pending   map[int64]halfMove // by pid, for kernels without FAN_RENAME
	overflow  bool
	refresh   bool
	mountinfo int
	unmarked  map[string]string // roots that fanotify cannot watch: why
	restDirs  []string          // those of them that rest was started for
	restWhy   string            // why it was not
	buf       []byte

	mu   sync.Mutex
	stat counters
	rest sensor.Running // inotify, for what could not be marked
}

// counters are what Describe tells.
type counters struct {
	own, gone uint64
	missing   []string
	notes     []string
	folders   int
	files     int
	full      bool
}

// halfMove is a MOVED_FROM that waits for its MOVED_TO.
type halfMove struct {
	id   int64
	path string
}

// Start implements sensor.Mechanism.
func (f *fanotify) Start(ctx context.Context, out sensor.Publisher) (sensor.Running, error) {
	return f.startTo(ctx, plain{out})
}

func (f *fanotify) startTo(ctx context.Context, out filePublisher) (sensor.Running, error) {
	w := &watcher{
		o: f.o, out: out, self: int32(os.Getpid()), done: make(chan struct{}), quit: make(chan struct{}),
		snapshot: newSnapshot(f.o.MaxFiles), procs: map[int64]ProcInfo{},
		pending: map[int64]halfMove{}, unmarked: map[string]string{}, buf: make([]byte, 256<<10), mountinfo: -1,
	}
	w.folders = newFolders(w.snapshot)
	if err := w.open(); err != nil {
		return nil, err
	}
	w.roots = w.o.watched()
	w.mark()
	if len(w.folders.systems) == 0 {
		w.closeFDs()
		return nil, fmt.Errorf("no folder can be watched by fanotify: %s", strings.Join(w.reasons(), "; "))
	}
	w.ctx = ctx
	w.startRest()
	w.index(true)
	w.publishStatus()
	go func() {
		defer sensor.Metered(ctx)()
		w.loop()
	}()
	context.AfterFunc(ctx, w.stop)
	return w, nil
}

func (w *watcher) open() error {
	var err error
	w.wake = -1
	for _, v := range variants {
		// An unlimited queue is charged to our own memory group; a bounded one
		// would let a flood elsewhere hide what happens here.
		flags := uint(unix.FAN_CLASS_NOTIF | unix.FAN_CLOEXEC | unix.FAN_NONBLOCK | unix.FAN_UNLIMITED_QUEUE)
		w.fd, err = unix.FanotifyInit(flags|v.flags, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_LARGEFILE)
		if err == nil {
			w.mask, w.lacks = maskBase|v.moves, v.lacks
			break
		}
		if !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("fanotify needs root (CAP_SYS_ADMIN): %w", err)
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("this kernel has no fanotify with names (Linux 5.9 and newer): %w", err)
	case err != nil:
		return fmt.Errorf("fanotify_init: %w", err)
	}
	w.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(w.fd)
		return fmt.Errorf("eventfd: %w", err)
	}
	// Its POLLPRI says that something was mounted.
	if w.mountinfo, err = unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		w.mountinfo = -1
	}
	return nil
}

// Done implements sensor.Running.
func (w *watcher) Done() <-chan struct{} { return w.done }

// Err implements sensor.Running.
func (w *watcher) Err() error {
	select {
	case <-w.done:
		return w.err
	default:
		return nil
	}
}

// SetDrain implements sensor.Drainer.
func (w *watcher) SetDrain(d time.Duration) { w.drain.Store(int64(d)) }

func (w *watcher) stop() {
	w.once.Do(func() {
		close(w.quit)
		one := [8]byte{1}
		unix.Write(w.wake, one[:])
	})
}

// Close implements sensor.Running: what the kernel has queued is published,
// and closing the group removes its marks.
func (w *watcher) Close() error {
	w.stop()
	<-w.done
	if rest := w.currentRest(); rest != nil {
		return rest.Close()
	}
	return nil
}

func (w *watcher) currentRest() sensor.Running {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rest
}

func (w *watcher) closeFDs() {
	unix.Close(w.fd)
	unix.Close(w.wake)
	if w.mountinfo >= 0 {
		unix.Close(w.mountinfo)
	}
	w.folders.close()
}

// Describe implements sensor.Describer.
func (w *watcher) Describe() (string, bool) {
	w.mu.Lock()
	s := w.stat
	w.mu.Unlock()
	parts := slices.Clone(s.notes)
	degraded := len(parts) > 0
	if s.full {
		parts = append(parts, fmt.Sprintf("the folders hold more than %d files: after an overflow not every change can be found again", w.o.MaxFiles))
	}
	if len(s.missing) > 0 {
		parts = append(parts, "not there yet: "+strings.Join(s.missing, ", "))
	}
	parts = append(parts, fmt.Sprintf("watches %d folders with %d files", s.folders, s.files))
	if s.gone > 0 {
		parts = append(parts, fmt.Sprintf("%d events came from folders, watched or not, that were gone before they could be placed", s.gone))
	}
	if s.own > 0 {
		parts = append(parts, fmt.Sprintf("%d changes by the agent itself or in its own folders left out", s.own))
	}
	if rest := w.currentRest(); rest != nil {
		if text, _ := rest.(sensor.Describer).Describe(); text != "" {
			parts = append(parts, "inotify: "+text)
		}
	}
	return strings.Join(parts, "; "), degraded
}

func (w *watcher) publishStatus() {
	notes := slices.Clone(w.roots.notes)
	if w.lacks != "" {
		notes = append(notes, w.lacks)
	}
	if len(w.unmarked) > 0 {
		how := "watched by inotify, without process: "
		if w.restWhy != "" {
			how = "not watched, also not by inotify (" + w.restWhy + "): "
		}
		notes = append(notes, how+strings.Join(w.reasons(), "; "))
	}
	w.mu.Lock()
	w.stat.notes, w.stat.missing = notes, w.roots.lacking()
	w.stat.folders, w.stat.files, w.stat.full = len(w.folders.known), w.snapshot.count, w.snapshot.full
	w.stat.gone = w.folders.gone
	w.mu.Unlock()
}

// newFile is a row for a change at a path.
func (w *watcher) newFile(path, action string) *event.File {
	e := &event.File{TargetPath: path, Action: action, Category: w.o.Category, UserID: -1}
	e.Source = "fanotify"
	e.At(time.Now())
	return e
}
