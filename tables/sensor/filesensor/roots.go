package filesensor

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// roots are the watched folders as they really are: links followed, none
// inside another.
type roots struct {
	dirs    []string        // real paths, sorted
	files   map[string]bool // named files outside the dirs
	exclude []string        // real paths
	missing []string        // named, and not there
	notes   []string        // what else the status should say
	told    *roots          // those whose changes are published; nil: all
}

// tells says whether changes of a path are published.
func (r *roots) tells(path string) bool { return r.told == nil || r.told.has(path) }

// lacking are the named folders that are not there, of those that are told of.
func (r *roots) lacking() []string {
	if r.told != nil {
		return r.told.missing
	}
	return r.missing
}

// resolveRoots follows the links of the named folders.
func resolveRoots(named, exclude []string) roots {
	r := roots{files: map[string]bool{}}
	var dirs []string
	for _, name := range named {
		if name == "" {
			continue
		}
		path, err := filepath.Abs(name)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.missing = append(r.missing, filepath.Clean(name))
			continue
		case err != nil:
			r.notes = append(r.notes, "cannot watch "+name+": "+err.Error())
			continue
		}
		if isDir(path) {
			dirs = append(dirs, path)
		} else {
			r.files[path] = true
		}
	}
	slices.Sort(dirs)
	for _, d := range dirs { // a parent sorts before what is below it
		if !r.inDirs(d) {
			r.dirs = append(r.dirs, d)
		}
	}
	for f := range r.files {
		if r.inDirs(f) {
			delete(r.files, f)
		}
	}
	for _, name := range exclude {
		if path, err := filepath.Abs(name); err == nil {
			if real, err := filepath.EvalSymlinks(path); err == nil {
				path = real
			}
			r.exclude = append(r.exclude, path)
		}
	}
	for _, m := range remoteMounts() {
		if r.has(m) {
			r.exclude = append(r.exclude, m)
			r.notes = append(r.notes, m+" is a network or FUSE mount and is not watched")
		}
	}
	return r
}

func below(path, dir string) bool {
	return strings.HasPrefix(path, dir) && (len(path) == len(dir) || path[len(dir)] == '/' || dir == "/")
}

func (r *roots) inDirs(path string) bool {
	for _, d := range r.dirs {
		if below(path, d) {
			return true
		}
	}
	return false
}

func (r *roots) excluded(path string) bool {
	for _, d := range r.exclude {
		if below(path, d) {
			return true
		}
	}
	return false
}

// watch is how much of a folder is watched.
type watch uint8

const (
	watchNothing watch = iota
	watchFiles         // only files that are named
	watchAll
)

// of says how much of the folder is watched.
func (r *roots) of(dir string) watch {
	if r.inDirs(dir) {
		return watchAll
	}
	for f := range r.files {
		if filepath.Dir(f) == dir {
			return watchFiles
		}
	}
	// A folder that holds a watched one: its own disappearing matters.
	for _, d := range r.dirs {
		if filepath.Dir(d) == dir {
			return watchFiles
		}
	}
	if r.leadsTo(dir) {
		return watchFiles
	}
	return watchNothing
}

// has says whether the path itself is watched.
func (r *roots) has(path string) bool { return r.inDirs(path) || r.files[path] }

// leadsTo says whether the path is a named folder that was missing, or leads
// to one.
func (r *roots) leadsTo(path string) bool {
	for _, m := range r.missing {
		if below(m, path) {
			return true
		}
	}
	return false
}

func (r *roots) equal(o *roots) bool {
	return slices.Equal(r.dirs, o.dirs) && slices.Equal(r.missing, o.missing) && slices.Equal(r.exclude, o.exclude) &&
		slices.Equal(r.notes, o.notes) && (r.told == nil || o.told == nil || r.told.equal(o.told)) && len(r.files) == len(o.files) && func() bool {
		for f := range r.files {
			if !o.files[f] {
				return false
			}
		}
		return true
	}()
}

// top are the folders to begin walks at: the dirs, and those of named files.
func (r *roots) top() []string {
	top := slices.Clone(r.dirs)
	for f := range r.files {
		top = append(top, f)
	}
	slices.Sort(top)
	return top
}
