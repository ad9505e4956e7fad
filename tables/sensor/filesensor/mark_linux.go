package filesensor

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables/sensor"
)

// mark marks the file systems of all roots and of what is mounted below them.
func (w *watcher) mark() {
	w.unmarked = map[string]string{}
	for _, top := range w.roots.top() {
		w.markOne(nearest(top), top)
	}
	for _, missing := range w.roots.missing {
		w.markOne(nearest(missing), "")
	}
	for _, m := range mountPoints() {
		if w.roots.inDirs(m.path) && !w.roots.excluded(m.path) {
			w.markOne(m.path, m.path)
		}
	}
}

// markOne marks the file system of a folder; root is what is then not watched
// if that fails.
func (w *watcher) markOne(dir, root string) {
	fail := func(err error) {
		if root != "" {
			w.unmarked[root] = err.Error()
		}
	}
	fsid, isNew, err := w.folders.addSystem(dir)
	if err != nil {
		fail(err)
		return
	}
	if !isNew {
		return
	}
	flags := uint(unix.FAN_MARK_ADD | unix.FAN_MARK_FILESYSTEM)
	err = unix.FanotifyMark(w.fd, flags, w.mask, unix.AT_FDCWD, dir)
	if errors.Is(err, unix.EINVAL) && w.mask&unix.FAN_RENAME != 0 {
		w.mask = w.mask&^unix.FAN_RENAME | maskMove
		err = unix.FanotifyMark(w.fd, flags, w.mask, unix.AT_FDCWD, dir)
	}
	if err != nil {
		w.folders.dropSystem(fsid)
		fail(fmt.Errorf("fanotify cannot mark the file system of %s: %w", dir, err))
	}
}

func (w *watcher) reasons() []string {
	var out []string
	for root, why := range w.unmarked {
		out = append(out, root+": "+why)
	}
	slices.Sort(out)
	if len(out) == 0 {
		out = append(out, "none of the folders exists")
	}
	return out
}

// startRest watches by inotify what fanotify cannot.
func (w *watcher) startRest() {
	o := w.o
	o.Dirs, o.Quiet = nil, nil
	for root := range w.unmarked {
		if w.roots.tells(root) {
			o.Dirs = append(o.Dirs, root)
		} else {
			o.Quiet = append(o.Quiet, root)
		}
	}
	slices.Sort(o.Dirs)
	slices.Sort(o.Quiet)
	all := slices.Concat(o.Dirs, o.Quiet)
	if slices.Equal(all, w.restDirs) {
		return
	}
	w.restDirs, w.restWhy = all, ""
	old := w.currentRest()
	var rest sensor.Running
	if len(all) > 0 {
		var err error
		if rest, err = newNotify(o).startTo(w.ctx, w.out); err != nil {
			w.restWhy = err.Error()
			rest = nil
		}
	}
	w.mu.Lock()
	w.rest = rest
	w.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

// index learns the handles of all watched folders and, if asked, what they
// hold.
func (w *watcher) index(fill bool) {
	clear(w.folders.known)
	w.folders.forgetUnwatched()
	for _, root := range w.roots.dirs {
		w.snapshot.addTop(root)
		w.indexTree(root, fill, math.MaxInt)
	}
	for file := range w.roots.files {
		if info, err := os.Lstat(file); err == nil && fill {
			w.snapshot.put(file, seenOf(info))
		}
	}
}

// indexTree does so for one tree, up to limit files and folders in it. Those
// beyond are learned when something happens there.
func (w *watcher) indexTree(root string, fill bool, limit int) {
	fsids := map[uint64]string{}
	one := roots{dirs: []string{root}, exclude: w.roots.exclude}
	walk(&one, func(path string, info os.FileInfo) error {
		if limit--; limit < 0 {
			return fs.SkipAll
		}
		if fill {
			w.snapshot.put(path, seenOf(info))
		}
		if !info.IsDir() {
			return nil
		}
		dev := deviceOf(info)
		fsid, ok := fsids[dev]
		if !ok {
			var sfs unix.Statfs_t
			if unix.Statfs(path, &sfs) != nil {
				return nil
			}
			fsid = fsidOf(&sfs)
			fsids[dev] = fsid
		}
		if key, err := keyOf(fsid, path); err == nil {
			w.folders.put(key, path)
		}
		return nil
	})
}
