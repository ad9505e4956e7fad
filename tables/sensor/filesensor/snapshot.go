package filesensor

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aiedr/edr/tables/event"
)

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
	for _, d := range r.dirs {
		s.addTop(d)
	}
	walk(r, func(path string, info fs.FileInfo) error {
		s.put(path, seenOf(info))
		return nil
	})
}

// compare walks the folders, tells what differs from what is remembered, and
// remembers the new state.
func (s *snapshot) compare(r *roots, tell func(change)) {
	found := make(map[string]struct{}, s.count)
	walk(r, func(path string, info fs.FileInfo) error {
		found[path] = struct{}{}
		now := seenOf(info)
		before, known := s.get(path)
		switch {
		case !known && s.full && s.count >= s.max:
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
	var gone []string
	s.each(func(n *node, name string) {
		path := n.join([]byte(name))
		if _, ok := found[path]; !ok {
			gone = append(gone, path)
		}
	})
	for _, path := range gone {
		s.removeTree(path)
		tell(change{path, event.FileDeleted, nil})
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
