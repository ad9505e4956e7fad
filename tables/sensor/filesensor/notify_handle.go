package filesensor

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/aiedr/edr/tables/event"
)

// flush publishes files that were written to, once for many writes.
func (w *notifyWatcher) flush() {
	for _, path := range w.order {
		if _, still := w.dirty[path]; still {
			delete(w.dirty, path)
			w.changed(path, event.FileUpdated)
		}
	}
	w.order = w.order[:0]
}

func (w *notifyWatcher) handle(ev fsnotify.Event) {
	path := ev.Name
	if w.roots.excluded(path) || !w.roots.has(path) {
		return
	}
	if ev.Has(fsnotify.Create) {
		info := w.changed(path, event.FileCreated)
		if info != nil && info.IsDir() {
			w.addTree(&roots{dirs: []string{path}, exclude: w.roots.exclude}, true)
			w.publishStatus()
		}
	}
	if ev.Has(fsnotify.Write) {
		if len(w.dirty) >= 4096 {
			w.flush()
		}
		if _, known := w.dirty[path]; !known {
			w.dirty[path] = struct{}{}
			w.order = append(w.order, path)
		}
	}
	if ev.Has(fsnotify.Chmod) {
		if _, err := os.Lstat(path); err == nil { // else it tells of the removal that follows
			w.changed(path, event.FileAttributes)
		}
	}
	for op, action := range map[fsnotify.Op]string{fsnotify.Remove: event.FileDeleted, fsnotify.Rename: event.FileMovedFrom} {
		if !ev.Has(op) {
			continue
		}
		if _, written := w.dirty[path]; written {
			delete(w.dirty, path)
			w.publish(path, event.FileUpdated, nil, "")
		}
		// A watched folder tells of its own end as its parent does: once is enough.
		if _, known := w.snapshot.get(path); known || !w.snapshot.full {
			if known {
				w.publish(path, action, nil, "")
			}
			w.snapshot.removeTree(path)
		}
	}
}

// changed publishes a change of something that is there.
func (w *notifyWatcher) changed(path, action string) fs.FileInfo {
	info, err := os.Lstat(path)
	if err != nil {
		w.publish(path, action, nil, "") // it is gone again
		w.snapshot.put(path, seen{})
		return nil
	}
	if action == event.FileCreated {
		if _, known := w.snapshot.get(path); known && info.IsDir() {
			return nil // found already when its parent began to be watched
		}
	}
	w.publish(path, action, info, "")
	w.snapshot.put(path, seenOf(info))
	return info
}

func (w *notifyWatcher) publish(path, action string, info fs.FileInfo, source string) {
	e := &event.File{TargetPath: path, Action: action, Category: w.o.Category, UserID: -1}
	e.Source = w.name
	if source != "" {
		e.Source = source
	}
	e.At(time.Now())
	var t *target
	if info != nil {
		describeInfo(e, info)
		if hasContent(action) {
			t = targetOfInfo(path, info)
		}
	}
	if w.o.Saw != nil {
		w.o.Saw(e)
	}
	if !w.roots.tells(path) {
		return
	}
	w.out.publishFile(e, t)
}

func (w *notifyWatcher) compare() {
	w.snapshot.compare(&w.roots, func(c change) { w.publish(c.path, c.action, c.info, "rescan") })
	w.addTree(&w.roots, false)
}

func (w *notifyWatcher) resolveAgain() {
	now := w.o.watched()
	if now.equal(&w.roots) {
		return
	}
	before := w.roots
	w.roots = now
	var fresh roots
	fresh.exclude = now.exclude
	for _, d := range now.dirs {
		if !before.inDirs(d) {
			fresh.dirs = append(fresh.dirs, d)
		}
	}
	w.addTree(&fresh, true)
	w.publishStatus()
}

func (w *notifyWatcher) publishStatus() {
	parts := append([]string(nil), w.roots.notes...)
	if n := len(w.refused); n > 0 {
		parts = append(parts, fmt.Sprintf("%d folders cannot be watched, such as %s", n, w.refused[w.firstBad]))
	}
	if len(w.roots.lacking()) > 0 {
		parts = append(parts, "not there yet: "+strings.Join(w.roots.lacking(), ", "))
	}
	parts = append(parts, "changes come without their process")
	w.mu.Lock()
	w.text = strings.Join(parts, "; ")
	w.mu.Unlock()
}
