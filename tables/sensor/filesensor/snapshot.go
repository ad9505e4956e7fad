package filesensor

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aiedr/edr/tables/event"
)

// seen is what is remembered of a file, enough to tell that it changed.
type seen struct {
	inode uint64
	mtime int64 // nanoseconds
	size  int64
}

// snapshot remembers what the watched folders held, so that what happened
// while the kernel dropped events can be told afterwards.
type snapshot struct {
	max   int
	files map[string]seen
	full  bool // some did not fit
}

func newSnapshot(max int) *snapshot { return &snapshot{max: max, files: map[string]seen{}} }

func (s *snapshot) put(path string, v seen) {
	if _, ok := s.files[path]; !ok && len(s.files) >= s.max {
		s.full = true
		return
	}
	s.files[path] = v
}

func (s *snapshot) remove(path string) { delete(s.files, path) }

// removeTree forgets a folder with all that it held.
func (s *snapshot) removeTree(dir string) {
	for path := range s.files {
		if below(path, dir) {
			delete(s.files, path)
		}
	}
}

// change is one difference between the snapshot and the disk.
type change struct {
	path   string
	action string
	info   fs.FileInfo // nil for what is gone
}

// walk visits everything that the roots watch, folders first. Links are not
// followed. visit's error ends it; what cannot be read is skipped, since it
// may vanish at any time.
func walk(r *roots, visit func(path string, info fs.FileInfo) error) error {
	for _, top := range r.top() {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if r.excluded(path) {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return nil
			}
			return visit(path, info)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fill remembers everything below the roots.
func (s *snapshot) fill(r *roots) {
	walk(r, func(path string, info fs.FileInfo) error {
		s.put(path, seenOf(info))
		return nil
	})
}

// compare walks the folders, tells what differs from what is remembered, and
// remembers the new state.
func (s *snapshot) compare(r *roots, tell func(change)) {
	found := make(map[string]struct{}, len(s.files))
	walk(r, func(path string, info fs.FileInfo) error {
		found[path] = struct{}{}
		now := seenOf(info)
		before, known := s.files[path]
		switch {
		case !known && s.full && len(s.files) >= s.max:
			return nil // cannot be told from one that did not fit
		case !known:
			tell(change{path, event.FileCreated, info})
		case before.inode != now.inode:
			tell(change{path, event.FileDeleted, nil})
			tell(change{path, event.FileCreated, info})
		case !info.IsDir() && (before.mtime != now.mtime || before.size != now.size):
			tell(change{path, event.FileUpdated, info})
		}
		s.put(path, now)
		return nil
	})
	for path := range s.files {
		if _, ok := found[path]; !ok {
			delete(s.files, path)
			tell(change{path, event.FileDeleted, nil})
		}
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// moveTree remembers a moved folder and what it holds under the new path.
func (s *snapshot) moveTree(from, to string) {
	moved := map[string]seen{}
	for path, v := range s.files {
		if below(path, from) {
			moved[to+path[len(from):]] = v
			delete(s.files, path)
		}
	}
	for path, v := range moved {
		s.files[path] = v
	}
}
