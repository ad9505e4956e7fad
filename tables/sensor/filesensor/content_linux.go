package filesensor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openFlags open a file so that nothing waits for it and nothing of it
// changes: not for a FIFO's writer, not for a lease's holder.
const openFlags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC

// content is a regular file opened for hashing.
type content struct{ fd int }

func (c *content) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(c.fd, p)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func (c *content) Close() error { return unix.Close(c.fd) }

func (c *content) state() (state, error) {
	var st unix.Stat_t
	if err := unix.Fstat(c.fd, &st); err != nil {
		return state{}, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return state{}, &hashError{failChanged, -1}
	}
	return stateOf(&st), nil
}

func stateOf(st *unix.Stat_t) state {
	return state{dev: st.Dev, inode: st.Ino, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), size: st.Size}
}

// targetOf is what is to be hashed at a path, or nil.
func targetOf(path string, key []byte, st *unix.Stat_t) *target {
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil
	}
	return &target{key: string(key), path: path, state: stateOf(st)}
}

// openByPath opens what a path names now, if it is still the file that the
// event was about: found first, and opened by what was found.
func openByPath(t *target) (contentFile, error) {
	at, err := unix.Open(t.path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(at)
	found := content{at}
	is, err := found.state()
	if err != nil {
		return nil, err
	}
	if !is.same(t.state) {
		return nil, &hashError{failChanged, -1}
	}
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(at), openFlags, 0)
	if err != nil {
		return nil, err
	}
	return &content{fd}, nil
}

// openFile opens a file by its handle, whatever it is called by now.
func (w *watcher) openFile(t *target) (contentFile, error) {
	if t.key == "" {
		return openByPath(t)
	}
	w.folders.mu.RLock()
	defer w.folders.mu.RUnlock()
	sys := w.folders.systems[t.key[:8]]
	if sys == nil {
		return nil, fmt.Errorf("the file system is no longer watched: %w", unix.ENOENT)
	}
	var last error = unix.ENOENT
	key := []byte(t.key) // the call may write to it
	for _, m := range sys.mounts {
		fd, _, errno := unix.Syscall(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(m.fd),
			uintptr(unsafe.Pointer(&key[8])), openFlags|unix.O_NOATIME)
		if errno == 0 {
			return &content{int(fd)}, nil
		}
		last = errno
	}
	return nil, last
}

func isStale(err error) bool { return errors.Is(err, unix.ESTALE) }

// enter keeps the goroutine on one thread, whose clock tells what hashing costs.
func (h *hasher) enter() func() {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

func threadTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

func targetOfInfo(path string, info fs.FileInfo) *target {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() {
		return nil
	}
	return &target{path: path, state: state{dev: st.Dev, inode: st.Ino, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), size: st.Size}}
}
