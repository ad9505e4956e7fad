package tables

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// dirRoot reads a folder of this machine as the root of a file system.
type dirRoot struct {
	dir  string
	fd   int
	dev  uint64 // of the root folder itself
	live bool
	// walk resolves without openat2, for kernels before 5.6 and filters that
	// forbid the call. It is set by the first call that finds that out.
	walk atomic.Bool
}

// DirRoot opens a folder as a root. "/" is the live machine; any other folder
// is a made or mounted one, inside which all links resolve.
func DirRoot(dir string) (Root, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the root folder %s: %w", dir, err)
	}
	fd, err := unix.Open(abs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open the root folder", Path: abs, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "stat the root folder", Path: abs, Err: err}
	}
	r := &dirRoot{dir: abs, fd: fd, dev: st.Dev, live: abs == "/"}
	runtime.AddCleanup(r, func(fd int) { unix.Close(fd) }, fd)
	return r, nil
}

func (r *dirRoot) Live() bool  { return r.live }
func (r *dirRoot) Dir() string { return r.dir }

// find opens a name as a mere location (O_PATH): nothing is read, no device is
// woken, no FIFO waits.
func (r *dirRoot) find(name string, follow bool) (int, error) {
	defer runtime.KeepAlive(r)
	if strings.IndexByte(name, 0) >= 0 {
		return -1, unix.EINVAL
	}
	rel := "." + path.Clean("/"+name)
	flags := uint64(unix.O_PATH | unix.O_CLOEXEC)
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	if !r.walk.Load() {
		how := &unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
		for range 8 { // EAGAIN: a rename or mount raced with the resolution
			fd, err := unix.Openat2(r.fd, rel, how)
			switch {
			case err == nil:
				return fd, nil
			case err == unix.EAGAIN || err == unix.EINTR:
				continue
			case err == unix.ENOSYS || err == unix.EPERM:
				r.walk.Store(true)
			default:
				return -1, err
			}
			break
		}
	}
	return walkIn(r.fd, rel, follow)
}

// open finds a regular file, refuses anything else, and only then opens it for
// reading. Opening goes through the found location, so that the name cannot
// come to mean something else in between.
func (r *dirRoot) open(op, name string) (*rootFile, error) {
	at, err := r.find(name, true)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	if err := r.readable(at, &st); err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, &fs.PathError{Op: op, Path: name, Err: ErrNotRegular}
	}
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", at), flags, 0)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return &rootFile{fd: fd, name: name}, nil
}

// readable refuses what lies on a mount that may hang, on the live machine.
// The root's own file system is read whatever it is.
func (r *dirRoot) readable(fd int, st *unix.Stat_t) error {
	if !r.live || st.Dev == r.dev {
		return nil
	}
	var sf unix.Statfs_t
	if err := unix.Fstatfs(fd, &sf); err != nil {
		return err
	}
	if kind, ok := remoteMagic[uint32(sf.Type)]; ok {
		return fmt.Errorf("%w (%s)", ErrNetworkMount, kind)
	}
	return nil
}

// remoteMagic names the file systems that another machine or process serves.
var remoteMagic = map[uint32]string{
	0x6969: "nfs", 0x517b: "smb", 0xff534d42: "cifs", 0xfe534d42: "smb2",
	0x65735546: "fuse", 0x01021997: "9p", 0x00c36400: "ceph", 0x5346414f: "afs",
	0x6b414653: "kafs", 0x73757245: "coda", 0x564c: "ncp", 0x0bd00bd0: "lustre",
	0x47504653: "gpfs", 0x0187: "autofs",
}

func (r *dirRoot) Open(name string) (fs.File, error) { return r.open("open", name) }

func (r *dirRoot) ReadFile(name string, max int64) ([]byte, error) {
	f, err := r.open("read", name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// Files of /proc say size 0, and a file may grow: only reading tells.
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
	fail := func(err error) ([]fs.DirEntry, error) {
		return nil, &fs.PathError{Op: "list", Path: name, Err: err}
	}
	at, err := r.find(name, true)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return fail(err)
	}
	if err := r.readable(at, &st); err != nil {
		return fail(err)
	}
	fd, err := unix.Openat(at, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	var entries []fs.DirEntry
	for {
		part, err := f.ReadDir(1024)
		for _, e := range part {
			entries = append(entries, &rootEntry{root: r, dir: name, name: e.Name(), typ: e.Type()})
		}
		if errors.Is(err, io.EOF) || err == nil && len(part) == 0 {
			break
		}
		if err != nil {
			return fail(err)
		}
		if len(entries) > maxDirEntries {
			return fail(fmt.Errorf("%w (limit %d entries)", ErrTooLarge, maxDirEntries))
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

func (r *dirRoot) Readlink(name string) (string, error) {
	at, err := r.find(name, false)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	defer unix.Close(at)
	s, err := readlinkFD(at)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return s, nil
}

func readlinkFD(fd int) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err == unix.ENOENT {
		err = unix.EINVAL // not a link at all
	}
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

func (r *dirRoot) Lstat(name string) (fs.FileInfo, error) { return r.stat("lstat", name, false) }
func (r *dirRoot) Stat(name string) (fs.FileInfo, error)  { return r.stat("stat", name, true) }

func (r *dirRoot) stat(op, name string, follow bool) (fs.FileInfo, error) {
	fd, err := r.find(name, follow)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), path.Base(name))
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	info := &rootInfo{FileInfo: fi}
	var x unix.Statx_t
	const cheap = unix.AT_EMPTY_PATH | unix.AT_STATX_DONT_SYNC
	if unix.Statx(fd, "", cheap, unix.STATX_BTIME, &x) == nil && x.Mask&unix.STATX_BTIME != 0 {
		info.born = time.Unix(x.Btime.Sec, int64(x.Btime.Nsec))
	}
	return info, nil
}

// rootInfo adds what stat does not tell and statx does.
type rootInfo struct {
	fs.FileInfo
	born time.Time
}

// BirthTime is when the file was made; the zero time where the file system does
// not keep it.
func (i *rootInfo) BirthTime() time.Time { return i.born }

// rootEntry is a folder's entry that is described through the root, not by a
// name that the machine would resolve.
type rootEntry struct {
	root *dirRoot
	dir  string
	name string
	typ  fs.FileMode
}

func (e *rootEntry) Name() string      { return e.name }
func (e *rootEntry) IsDir() bool       { return e.typ.IsDir() }
func (e *rootEntry) Type() fs.FileMode { return e.typ }
func (e *rootEntry) Info() (fs.FileInfo, error) {
	return e.root.Lstat(path.Join(e.dir, e.name))
}
