package filesensor

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables/event"
)

// refreshEvery is how often the roots are resolved anew: links may be turned
// elsewhere, and a folder above a watched one may be moved.
const refreshEvery = 10 * time.Second

// loop reads the group until Close.
func (w *watcher) loop() {
	defer close(w.done)
	defer w.closeFDs()
	next := time.Now().Add(refreshEvery)
	for {
		fds := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}, {Fd: int32(w.wake), Events: unix.POLLIN}}
		if w.mountinfo >= 0 {
			fds = append(fds, unix.PollFd{Fd: int32(w.mountinfo), Events: unix.POLLPRI})
		}
		_, err := unix.Poll(fds, int(max(time.Until(next), 0)/time.Millisecond)+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			w.err = fmt.Errorf("poll fanotify: %w", err)
			return
		}
		closing := w.closing()
		events := fds[0].Revents != 0 || closing
		if events {
			if err := w.readAll(); err != nil {
				w.err = err
				return
			}
		}
		if closing {
			return
		}
		if len(fds) > 2 && fds[2].Revents&(unix.POLLPRI|unix.POLLERR) != 0 {
			w.refresh = true
		}
		if w.refresh || time.Now().After(next) {
			w.resolveAgain()
			w.release()
			next = time.Now().Add(refreshEvery)
		}
		if events {
			w.publishStatus()
			w.nap()
		}
	}
}

func (w *watcher) closing() bool {
	select {
	case <-w.quit:
		return true
	default:
		return false
	}
}

// nap lets events gather: waking up costs more than reading them.
func (w *watcher) nap() {
	d := w.o.Drain
	if set := time.Duration(w.drain.Load()); set > 0 {
		d = min(d, set)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.quit:
	}
}

// readAll reads until nothing is queued, or has been for a while.
func (w *watcher) readAll() error {
	defer w.release()
	for range 64 {
		n, err := unix.Read(w.fd, w.buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			w.settle()
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("read fanotify: %w", err)
		}
		err = parseNotices(w.buf[:n], w.handle)
		if err != nil {
			// Nothing after it can be placed: look for what happened instead.
			w.out.Lost(0, "fanotify events that cannot be read: "+err.Error())
			w.overflow = true
		}
		if w.refresh { // a missing folder has appeared: its first events may be next
			w.resolveAgain()
		}
	}
	return nil
}

// settle does what has to wait until no event is queued.
func (w *watcher) settle() {
	w.folders.bury()
	clear(w.pending)
	if w.overflow {
		w.overflow = false
		w.rescan()
	}
}

// rescan tells what changed while the kernel dropped events.
func (w *watcher) rescan() {
	w.index(false)
	w.snapshot.compare(&w.roots, func(c change) {
		e := w.newFile(c.path, c.action)
		e.Source = "rescan"
		var t *target
		if c.info != nil {
			describeInfo(e, c.info)
			if hasContent(c.action) {
				t = targetOfInfo(c.path, c.info)
			}
		}
		w.publish(e, false, t)
	})
}

// resolveAgain looks whether the named folders are still what they were.
func (w *watcher) resolveAgain() {
	w.refresh = false
	now := w.o.watched()
	before := w.roots
	w.roots = now
	w.mark() // also what was mounted since
	w.startRest()
	if now.equal(&before) {
		return
	}
	w.o.Logger.Info("file sensor: the watched folders have changed", "dirs", now.dirs, "missing", now.missing)
	w.index(false)
	for _, dir := range now.dirs {
		if !before.inDirs(dir) {
			w.appeared(dir)
		}
	}
	for _, dir := range before.dirs {
		if !now.inDirs(dir) {
			w.snapshot.removeTree(dir)
		}
	}
	w.publishStatus()
}

// appeared tells of everything in a folder that has come to be watched. Its
// own event, if it was seen, comes besides; who did it is not known.
func (w *watcher) appeared(dir string) {
	one := roots{dirs: []string{dir}, exclude: w.roots.exclude}
	walk(&one, func(path string, info os.FileInfo) error {
		if _, known := w.snapshot.get(path); !known && path != dir {
			e := w.newFile(path, event.FileCreated)
			e.Source = "rescan"
			describeInfo(e, info)
			w.publish(e, false, targetOfInfo(path, info))
		}
		w.snapshot.put(path, seenOf(info))
		return nil
	})
}
