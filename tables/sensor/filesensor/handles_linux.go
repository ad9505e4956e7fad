package filesensor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filesystem is a marked file system with the mounts by which it is seen.
type filesystem struct {
	mounts []mount
}

type mount struct {
	id int
	fd int // of a folder in it, opened for reading: O_PATH will not do for handles
}

// maxUnwatched bounds the memory of folders that are not watched; there are
// two such generations.
const maxUnwatched = 8192

// folders finds a folder by the handle that the kernel reports. Watched ones
// are all known beforehand, by walking and by the events that make new ones,
// so that the events of one that is gone by now can still be placed.
type folders struct {
	mu      sync.RWMutex           // guards systems for who is not the loop, which alone changes it
	systems map[string]*filesystem // by fsid
	tree    *snapshot
	known   map[string]*node // by key; only watched ones, and each in tree
	// Two generations of folders that are not watched, so that a busy machine
	// does not have each of its events looked up.
	unwatched, before map[string]struct{}
	dying             []string // keys of removed folders whose events may still come
	gone              uint64   // events in folders that could not be found any more
}

func newFolders(tree *snapshot) *folders {
	f := &folders{systems: map[string]*filesystem{}, tree: tree, known: map[string]*node{},
		unwatched: map[string]struct{}{}, before: map[string]struct{}{}}
	tree.forget = func(n *node) {
		if n.key != "" && f.known[n.key] == n {
			delete(f.known, n.key)
		}
	}
	return f
}

func (f *folders) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fs := range f.systems {
		for _, m := range fs.mounts {
			unix.Close(m.fd)
		}
	}
	f.systems = map[string]*filesystem{}
}

func (f *folders) forgetUnwatched() {
	clear(f.unwatched)
	clear(f.before)
}

func (f *folders) noteUnwatched(key []byte) {
	if len(f.unwatched) >= maxUnwatched {
		f.before, f.unwatched = f.unwatched, make(map[string]struct{}, maxUnwatched)
	}
	f.unwatched[string(key)] = struct{}{}
}

// put learns a folder's handle. Another folder may have had the path before,
// and events in that one may still come: it keeps its own node.
func (f *folders) put(key []byte, path string) *node {
	n := f.tree.node(path, true)
	if n == nil {
		return nil
	}
	if n.key != "" && n.key != string(key) && n.parent != nil {
		old := n
		if n = f.tree.child(old.parent, old.name); n == nil {
			return nil
		}
	}
	n.key = string(key)
	f.known[n.key] = n
	return n
}

// find is the watched folder of a key, or nil.
func (f *folders) find(key []byte, r *roots) *node {
	if d, ok := f.known[string(key)]; ok {
		return d
	}
	if _, ok := f.unwatched[string(key)]; ok {
		return nil
	}
	if _, ok := f.before[string(key)]; ok {
		f.noteUnwatched(key)
		return nil
	}
	path, ok := f.resolve(key, r)
	if !ok {
		f.gone++
		f.noteUnwatched(key) // a handle never comes back to life
		return nil
	}
	if r.of(path) == watchNothing {
		f.noteUnwatched(key)
		return nil
	}
	if n := f.put(key, path); n != nil {
		return n
	}
	return &node{name: path} // no room to remember it
}

// resolve asks the kernel for a folder's path: by that mount of its file
// system under which it is watched, if there is one.
func (f *folders) resolve(key []byte, r *roots) (path string, ok bool) {
	fs := f.systems[string(key[:8])]
	if fs == nil {
		return "", false
	}
	for _, m := range fs.mounts {
		fd, err := openHandle(m.fd, key)
		if err != nil {
			continue
		}
		p, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		unix.Close(fd)
		if err != nil {
			continue
		}
		p = strings.TrimSuffix(p, " (deleted)")
		if path == "" || r.of(p) > r.of(path) {
			path = p
		}
	}
	return path, path != ""
}

// elsewhere is the path of a name in a folder that is not watched, or "".
func (f *folders) elsewhere(p place, r *roots) string {
	dir, ok := f.resolve(p.key, r)
	if !ok {
		return ""
	}
	return filepath.Join(dir, string(p.name))
}

// openHandle opens what a key stands for, without any access to its content.
func openHandle(mountFD int, key []byte) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_OPEN_BY_HANDLE_AT, uintptr(mountFD),
		uintptr(unsafe.Pointer(&key[8])), unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// stat describes what a key stands for; ok is false when it is gone.
func (f *folders) stat(key []byte, st *unix.Stat_t) bool {
	if key == nil {
		return false
	}
	fs := f.systems[string(key[:8])]
	if fs == nil {
		return false
	}
	for _, m := range fs.mounts {
		fd, err := openHandle(m.fd, key)
		if err != nil {
			continue
		}
		err = unix.Fstat(fd, st)
		unix.Close(fd)
		return err == nil && st.Nlink > 0
	}
	return false
}

// statIn describes a name in a folder, for kernels that do not report the
// handle of what a name stands for.
func (f *folders) statIn(dir []byte, name string, st *unix.Stat_t) bool {
	fs := f.systems[string(dir[:8])]
	if fs == nil {
		return false
	}
	for _, m := range fs.mounts {
		fd, err := openHandle(m.fd, dir)
		if err != nil {
			continue
		}
		err = unix.Fstatat(fd, name, st, unix.AT_SYMLINK_NOFOLLOW)
		unix.Close(fd)
		return err == nil
	}
	return false
}

// remove takes a folder out, but not before the events that wait are placed.
func (f *folders) remove(key []byte) {
	if _, ok := f.known[string(key)]; ok {
		f.dying = append(f.dying, string(key))
	}
}

// bury forgets the removed folders; to be called when no event waits.
func (f *folders) bury() {
	for _, key := range f.dying {
		if n := f.known[key]; n != nil {
			delete(f.known, key)
			f.tree.detach(n)
		}
	}
	f.dying = f.dying[:0]
}

// addSystem opens a folder's file system for resolving handles. It returns
// whether the file system is new here.
func (f *folders) addSystem(dir string) (fsid string, isNew bool, err error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", false, fmt.Errorf("open %s: %w", dir, err)
	}
	var sfs unix.Statfs_t
	if err := unix.Fstatfs(fd, &sfs); err != nil {
		unix.Close(fd)
		return "", false, fmt.Errorf("statfs %s: %w", dir, err)
	}
	fsid = fsidOf(&sfs)
	_, id, err := unix.NameToHandleAt(fd, "", unix.AT_EMPTY_PATH)
	if err != nil {
		unix.Close(fd)
		return "", false, fmt.Errorf("%s is on a file system without file handles: %w", dir, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fs := f.systems[fsid]
	if fs == nil {
		fs = &filesystem{}
		f.systems[fsid] = fs
		isNew = true
	}
	for _, m := range fs.mounts {
		if m.id == id {
			unix.Close(fd)
			return fsid, isNew, nil
		}
	}
	fs.mounts = append(fs.mounts, mount{id, fd})
	return fsid, isNew, nil
}

func (f *folders) dropSystem(fsid string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fs := f.systems[fsid]; fs != nil {
		for _, m := range fs.mounts {
			unix.Close(m.fd)
		}
		delete(f.systems, fsid)
	}
}

func fsidOf(s *unix.Statfs_t) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(&s.Fsid)), 8))
}

// keyOf is the key of a folder as the kernel will report it.
func keyOf(fsid, dir string) ([]byte, error) {
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, dir, 0)
	if err != nil {
		return nil, err
	}
	key := make([]byte, 0, 16+h.Size())
	key = append(key, fsid...)
	size, typ := uint32(h.Size()), h.Type()
	key = append(key, unsafe.Slice((*byte)(unsafe.Pointer(&size)), 4)...)
	key = append(key, unsafe.Slice((*byte)(unsafe.Pointer(&typ)), 4)...)
	return append(key, h.Bytes()...), nil
}

// nearest is the path itself or the nearest folder above it that exists.
func nearest(path string) string {
	for path != "/" && !isDir(path) {
		path = filepath.Dir(path)
	}
	return path
}
