//go:build !linux

package tables

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// dirRoot reads a folder as the root of a file system by way of os.Root, which
// never leaves it. A link with an absolute target is refused here, where the
// Linux version resolves it inside the root. The folder is opened for each
// call: Windows would let nobody rename or remove one that stays open.
type dirRoot struct {
	dir  string
	live bool
}

// DirRoot opens a folder as a root. "/" is the live machine (on Windows its
// system drive); any other folder is a made or mounted one.
func DirRoot(dir string) (Root, error) {
	live := dir == "/"
	if live && runtime.GOOS == "windows" {
		dir = os.Getenv("SystemDrive") + `\`
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the root folder %s: %w", dir, err)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fmt.Errorf("open the root folder %s: %w", abs, err)
	}
	if err := root.Close(); err != nil {
		return nil, fmt.Errorf("open the root folder %s: %w", abs, err)
	}
	return &dirRoot{dir: abs, live: live}, nil
}

// in calls f with the opened folder. What f opens stays open.
func in[T any](r *dirRoot, f func(*os.Root) (T, error)) (T, error) {
	root, err := os.OpenRoot(r.dir)
	if err != nil {
		var none T
		return none, err
	}
	defer root.Close()
	return f(root)
}

func (r *dirRoot) Live() bool  { return r.live }
func (r *dirRoot) Dir() string { return r.dir }

func relName(name string) string {
	rel := strings.TrimPrefix(path.Clean("/"+name), "/")
	if rel == "" {
		return "."
	}
	return filepath.FromSlash(rel)
}

func (r *dirRoot) Open(name string) (fs.File, error) {
	return in(r, func(root *os.Root) (fs.File, error) {
		fi, err := root.Stat(relName(name))
		if err != nil {
			return nil, err
		}
		if !fi.Mode().IsRegular() {
			return nil, &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
		}
		return root.Open(relName(name))
	})
}

func (r *dirRoot) ReadFile(name string, max int64) ([]byte, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > max {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("%w (limit %d bytes)", ErrTooLarge, max)}
	}
	return data, nil
}

func (r *dirRoot) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := in(r, func(root *os.Root) (*os.File, error) { return root.Open(relName(name)) })
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(maxDirEntries)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(entries) == maxDirEntries {
		return nil, &fs.PathError{Op: "list", Path: name, Err: fmt.Errorf("%w (limit %d entries)", ErrTooLarge, maxDirEntries)}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

func (r *dirRoot) Readlink(name string) (string, error) {
	return in(r, func(root *os.Root) (string, error) { return root.Readlink(relName(name)) })
}

func (r *dirRoot) Lstat(name string) (fs.FileInfo, error) {
	return in(r, func(root *os.Root) (fs.FileInfo, error) { return root.Lstat(relName(name)) })
}

func (r *dirRoot) Stat(name string) (fs.FileInfo, error) {
	return in(r, func(root *os.Root) (fs.FileInfo, error) { return root.Stat(relName(name)) })
}
