package tables

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"path"
)

// Bounds of a walk through a folder of evidence.
const (
	maxWalkDepth = 64
	maxWalkFiles = 200_000
)

// WalkFiles yields the regular files that a name stands for: itself, or all
// below it where it is a folder. The name's own links are followed, those
// inside a folder are not, so that a walk ends and stays where it was sent.
// A name that cannot be read is an error; what cannot be read below it, and
// what a bound leaves out, goes to warn.
func WalkFiles(ctx context.Context, root Root, name string, warn func(error)) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		fi, err := root.Stat(name)
		if err != nil {
			yield("", err)
			return
		}
		if !fi.IsDir() {
			if !fi.Mode().IsRegular() {
				yield("", &fs.PathError{Op: "read", Path: name, Err: ErrNotRegular})
				return
			}
			yield(path.Clean(name), nil)
			return
		}
		entries, err := root.ReadDir(name)
		if err != nil {
			yield("", err)
			return
		}
		w := &fileWalk{ctx: ctx, root: root, warn: warn, yield: yield}
		w.each(path.Clean(name), entries, 1)
	}
}

type fileWalk struct {
	ctx   context.Context
	root  Root
	warn  func(error)
	yield func(string, error) bool
	files int
}

func (w *fileWalk) each(dir string, entries []fs.DirEntry, depth int) bool {
	for _, e := range entries {
		at := path.Join(dir, e.Name())
		if err := w.ctx.Err(); err != nil {
			w.yield("", err)
			return false
		}
		switch {
		case e.IsDir():
			if depth >= maxWalkDepth {
				w.warn(fmt.Errorf("%s is left out: deeper than %d folders", at, maxWalkDepth))
				continue
			}
			below, err := w.root.ReadDir(at)
			if err != nil {
				w.warn(err)
				continue
			}
			if !w.each(at, below, depth+1) {
				return false
			}
		case e.Type().IsRegular():
			if w.files++; w.files > maxWalkFiles {
				w.warn(fmt.Errorf("%s and what follows is left out: more than %d files; name a smaller folder", at, maxWalkFiles))
				return false
			}
			if !w.yield(at, nil) {
				return false
			}
		default:
			w.warn(fmt.Errorf("%s is left out: %s, and links and devices in a folder of evidence are not followed", at, kindOf(e.Type())))
		}
	}
	return true
}

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "a link"
	case m&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "no regular file"
}
