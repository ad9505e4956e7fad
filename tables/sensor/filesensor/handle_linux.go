package filesensor

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables/event"
)

func deviceOf(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Dev
	}
	return 0
}

// handle publishes what one event of the kernel says about watched folders.
func (w *watcher) handle(n *notice) {
	alive := n.pidfd >= 0 || !n.hasPidfd
	if n.pidfd >= 0 {
		unix.Close(int(n.pidfd))
	}
	if n.fd >= 0 { // not with handles; but it would be ours to close
		unix.Close(int(n.fd))
	}
	if n.mask&overflowBit != 0 {
		w.out.Lost(0, "fanotify queue overflow; the folders are compared with what they held")
		w.overflow = true
		return
	}
	if n.mask&unix.FAN_RENAME != 0 {
		w.rename(n, alive)
		return
	}
	if n.at.key == nil {
		return
	}
	dir := w.folders.find(n.at.key, &w.roots)
	if dir == nil {
		return
	}
	path := dir.join(n.at.name)
	isFolder := n.mask&unix.FAN_ONDIR != 0
	if isFolder && n.mask&(unix.FAN_CREATE|unix.FAN_MOVED_TO) != 0 && w.roots.leadsTo(path) {
		w.refresh = true
	}
	if !w.roots.has(path) {
		return
	}
	if w.roots.excluded(path) {
		w.leftOut()
		return
	}
	if isFolder && n.target != nil && n.mask&unix.FAN_CREATE != 0 {
		w.folders.put(n.target, path)
	}
	if isFolder && n.target != nil && n.mask&unix.FAN_DELETE != 0 {
		w.folders.remove(n.target)
	}
	w.rows(n, path, isFolder, alive)
}

// rows publishes a row for each thing that happened to the path.
func (w *watcher) rows(n *notice, path string, isFolder, alive bool) {
	var st unix.Stat_t
	there := false
	if n.mask&^uint64(unix.FAN_DELETE|unix.FAN_MOVED_FROM|unix.FAN_ONDIR) != 0 {
		if n.target != nil {
			there = w.folders.stat(n.target, &st)
		} else if name := string(n.at.name); name != "" {
			there = w.folders.statIn(n.at.key, name, &st)
		}
	}
	emit := func(action string, move int64, old string) {
		w.emit(n, alive, path, action, old, "", move, &st, there && action != event.FileDeleted && action != event.FileMovedFrom)
	}
	if n.mask&unix.FAN_MOVED_TO != 0 {
		half := w.pending[int64(n.pid)]
		delete(w.pending, int64(n.pid))
		if half.id == 0 {
			w.moves++
			half.id = w.moves
		}
		emit(event.FileMovedTo, half.id, half.path)
		if isFolder {
			w.folderCame(half.path, path)
		}
	}
	if n.mask&unix.FAN_CREATE != 0 {
		emit(event.FileCreated, 0, "")
	}
	if n.mask&unix.FAN_CLOSE_WRITE != 0 {
		emit(event.FileUpdated, 0, "")
	}
	// The change of the link count that a removal brings comes without a name,
	// so that this is a real one.
	if n.mask&unix.FAN_ATTRIB != 0 {
		emit(event.FileAttributes, 0, "")
	}
	if n.mask&unix.FAN_MOVED_FROM != 0 {
		w.moves++
		w.pending[int64(n.pid)] = halfMove{w.moves, path}
		emit(event.FileMovedFrom, w.moves, "")
	}
	if n.mask&unix.FAN_DELETE != 0 {
		emit(event.FileDeleted, 0, "")
	}
	switch {
	case n.mask&(unix.FAN_DELETE|unix.FAN_MOVED_FROM) != 0 && !there:
		w.snapshot.remove(path)
	case there:
		w.snapshot.put(path, seenOfStat(&st))
	}
}

// rename publishes both halves of a move, as far as they are in watched folders.
func (w *watcher) rename(n *notice, alive bool) {
	half := func(p place) (path string, watched bool) {
		if p.key == nil {
			return "", false
		}
		dir := w.folders.find(p.key, &w.roots)
		if dir == nil {
			return "", false
		}
		path = dir.join(p.name)
		return path, w.roots.has(path) && !w.roots.excluded(path)
	}
	from, fromWatched := half(n.at)
	to, toWatched := half(n.to)
	isFolder := n.mask&unix.FAN_ONDIR != 0
	if isFolder && to != "" && w.roots.leadsTo(to) {
		w.refresh = true
	}
	if !fromWatched && !toWatched {
		return
	}
	var st unix.Stat_t
	there := n.target != nil && w.folders.stat(n.target, &st)
	w.moves++
	// The other end is told too, wherever it is: it is asked for only here.
	if from == "" && n.at.key != nil {
		from = w.folders.elsewhere(n.at, &w.roots)
	}
	if to == "" && n.to.key != nil {
		to = w.folders.elsewhere(n.to, &w.roots)
	}
	if fromWatched {
		w.emit(n, alive, from, event.FileMovedFrom, "", to, w.moves, &st, there)
		w.snapshot.remove(from)
	}
	if toWatched {
		w.emit(n, alive, to, event.FileMovedTo, from, "", w.moves, &st, there)
		if there {
			w.snapshot.put(to, seenOfStat(&st))
		}
	}
	if !isFolder {
		return
	}
	switch {
	case fromWatched && toWatched:
		w.snapshot.moveTree(from, to)
	case toWatched:
		w.folderCame("", to)
	default:
		w.snapshot.removeTree(from)
		w.refresh = w.refresh || w.roots.has(from)
	}
}

// maxMovedIn bounds the work that moving a folder here can cause.
const maxMovedIn = 2000

// folderCame learns a folder that was moved to where it is watched.
func (w *watcher) folderCame(from, to string) {
	w.folders.forgetUnwatched()
	if from != "" {
		w.snapshot.moveTree(from, to)
		return
	}
	w.indexTree(to, true, maxMovedIn)
}

func (w *watcher) leftOut() {
	w.mu.Lock()
	w.stat.own++
	w.mu.Unlock()
}

// emit publishes a row, unless the agent itself made the change.
func (w *watcher) emit(n *notice, alive bool, path, action, old, moved string, move int64, st *unix.Stat_t, there bool) {
	if n.pid == w.self {
		w.leftOut()
		return
	}
	e := w.newFile(path, action)
	e.OldPath, e.NewPath, e.TransactionID, e.PID = old, moved, move, int64(n.pid)
	var t *target
	if there {
		describe(e, st)
		if hasContent(action) {
			t = targetOf(path, n.target, st)
		}
	}
	w.publish(e, alive, t)
}
