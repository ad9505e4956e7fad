package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrGone says that the process has ended, before or while it was read.
var ErrGone = errors.New("the process has ended")

// Reader reads the processes of one /proc. It reuses its buffers, so it serves
// one goroutine at a time; strings that it returns stay valid.
type Reader struct {
	dir  int
	live bool // the kernel's own procfs: no name in it can lead elsewhere
	buf  []byte
	path []byte
	text arena
	tick uint64
}

// maxProcFile bounds what is read of one file. Command lines may be longer and
// are then cut.
const maxProcFile = 1 << 20

// Open opens a /proc by its folder: the machine's, or one in a copied tree,
// where links are not followed and only regular files are read.
func Open(dir string) (*Reader, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open the process folder", Path: dir, Err: err}
	}
	var sf unix.Statfs_t
	if err := unix.Fstatfs(fd, &sf); err != nil {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "stat the process folder", Path: dir, Err: err}
	}
	return &Reader{
		dir: fd, live: sf.Type == unix.PROC_SUPER_MAGIC, buf: make([]byte, 16<<10), tick: ClockTicks(),
	}, nil
}

// Live says that this is the kernel's own /proc and no copy of one.
func (r *Reader) Live() bool { return r.live }

// Close closes the folder.
func (r *Reader) Close() error { return unix.Close(r.dir) }

// ClockTicks is how many ticks a second the times in /proc count: AT_CLKTCK of
// the auxiliary vector, 100 on every common architecture.
func ClockTicks() uint64 {
	const atClkTck = 17
	if aux, err := unix.Auxv(); err == nil {
		for _, kv := range aux {
			if kv[0] == atClkTck && kv[1] > 0 {
				return uint64(kv[1])
			}
		}
	}
	return 100
}

// PIDs appends the process IDs that are there now, in ascending order.
func (r *Reader) PIDs(dst []int64) ([]int64, error) {
	if _, err := unix.Seek(r.dir, 0, 0); err != nil {
		return dst, fmt.Errorf("list processes: %w", err)
	}
	err := r.list(r.dir, func(name []byte) {
		if pid, err := uintOf(name); err == nil && pid > 0 && pid < 1<<31 && name[0] != '0' {
			dst = append(dst, int64(pid))
		}
	})
	if err != nil {
		return dst, fmt.Errorf("list processes: %w", err)
	}
	slices.Sort(dst)
	return dst, nil
}

// list calls f for each name in an open folder. The name is valid in the call.
func (r *Reader) list(fd int, f func(name []byte)) error {
	const nameAt = 19 // struct linux_dirent64: ino 8, off 8, reclen 2, type 1
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n <= 0 {
			return nil
		}
		for b := buf[:n]; len(b) > nameAt; {
			size := int(*(*uint16)(unsafe.Pointer(&b[16])))
			if size <= nameAt || size > len(b) {
				return errors.New("the kernel's list of names is malformed")
			}
			name := b[nameAt:size]
			if i := bytes.IndexByte(name, 0); i >= 0 {
				name = name[:i]
			}
			f(name)
			b = b[size:]
		}
	}
}

// Stat reads one process's stat by its ID.
func (r *Reader) Stat(pid int64) (s Stat, err error) {
	err = r.with(pid, func(p *Process) error { return p.Stat(&s) })
	return s, err
}

// Status reads one process's status by its ID.
func (r *Reader) Status(pid int64) (s Status, err error) {
	err = r.with(pid, func(p *Process) error { return p.Status(&s) })
	return s, err
}

// Cmdline reads one process's command line by its ID.
func (r *Reader) Cmdline(pid int64) (s string, err error) {
	err = r.with(pid, func(p *Process) error { s, err = p.Cmdline(); return err })
	return s, err
}

// OpenCmdline opens /proc/PID/cmdline of a process for CmdlineFrom. The file
// stays that of the one process, whatever it executes, even if its ID is used
// again. The caller closes it.
func (r *Reader) OpenCmdline(pid int64) (fd int, err error) { return r.openOf(pid, nameCmdline) }

// OpenName opens /proc/PID/comm for NameFrom, as OpenCmdline does.
func (r *Reader) OpenName(pid int64) (fd int, err error) { return r.openOf(pid, nameComm) }

func (r *Reader) openOf(pid int64, name []byte) (fd int, err error) {
	r.path = append(strconv.AppendInt(r.path[:0], pid, 10), '/')
	r.path = append(r.path, name...)
	return r.open(r.dir, r.path)
}

// CmdlineFrom is Cmdline by an open file, which may be read again and again.
func (r *Reader) CmdlineFrom(fd int) (string, error) {
	b, err := r.again(fd)
	return r.text.keep(AppendCmdline(b[:0], b)), err
}

// NameFrom is the name of a process as its stat has it, by an open file.
func (r *Reader) NameFrom(fd int) (string, error) {
	b, err := r.again(fd)
	return r.text.keep(bytes.TrimSuffix(b, []byte("\n"))), err
}

// again reads an open file from its beginning.
func (r *Reader) again(fd int) ([]byte, error) {
	n := 0
	for {
		m, err := unix.Pread(fd, r.buf[n:], int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, gone(err)
		}
		n += m
		if m == 0 || n < len(r.buf) || n >= maxProcFile {
			return r.buf[:n], nil
		}
		r.buf = append(r.buf, make([]byte, n)...)
	}
}

// Exe reads one process's executed file by its ID.
func (r *Reader) Exe(pid int64) (s string, err error) {
	err = r.with(pid, func(p *Process) error { s, err = p.Exe(); return err })
	return s, err
}

// Cgroup reads one process's control group and container by its ID.
func (r *Reader) Cgroup(pid int64) (path, container string, err error) {
	err = r.with(pid, func(p *Process) error { path, container, err = p.Cgroup(); return err })
	return path, container, err
}

func (r *Reader) with(pid int64, f func(*Process) error) error {
	p, err := r.Process(pid)
	if err != nil {
		return err
	}
	defer p.Close()
	return f(&p)
}

// Text keeps bytes as a string in the reader's shared memory.
func (r *Reader) Text(b []byte) string { return r.text.keep(b) }

// File reads a file of the folder itself, such as "stat" or "uptime". The bytes
// are valid until the next call.
func (r *Reader) File(name string) ([]byte, error) {
	b, err := r.read(r.dir, append([]byte(name), 0))
	if err != nil {
		return nil, fmt.Errorf("read %s of the process folder: %w", name, err)
	}
	return b, nil
}

// BootTime is when the machine booted, in seconds since the Unix epoch.
func (r *Reader) BootTime() (int64, error) {
	b, err := r.File("stat")
	if err != nil {
		return 0, err
	}
	return ParseBootTime(b)
}

// Ticks is how many ticks a second the times count.
func (r *Reader) Ticks() uint64 { return r.tick }

// open opens a file of an open folder for reading.
func (r *Reader) open(dir int, name []byte) (int, error) {
	if !r.live {
		// In a copied tree the name may be anything: look before it is opened.
		var st unix.Stat_t
		if err := unix.Fstatat(dir, string(name[:len(name)-1]), &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return -1, gone(err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			return -1, fmt.Errorf("%s is not a regular file", name[:len(name)-1])
		}
	}
	fd, err := openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC)
	if err != nil {
		return -1, gone(err)
	}
	return fd, nil
}

// read reads a file of an open folder into the reader's buffer.
func (r *Reader) read(dir int, name []byte) ([]byte, error) {
	fd, err := r.open(dir, name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n := 0
	for {
		m, err := unix.Read(fd, r.buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, gone(err)
		}
		n += m
		// A file of /proc gives all that fits in one read; a short one ends it.
		if m == 0 || n < len(r.buf) && r.live && len(r.buf)-n > 4096 {
			return r.buf[:n], nil
		}
		if n == len(r.buf) {
			if n >= maxProcFile {
				return r.buf[:n], nil
			}
			r.buf = append(r.buf, make([]byte, n)...)
		}
	}
}

// gone tells the errors that mean an ended process from the others.
func gone(err error) error {
	if err == unix.ENOENT || err == unix.ESRCH {
		return ErrGone
	}
	return err
}

func openat(dir int, name []byte, flags int) (int, error) {
	for {
		fd, _, e := unix.Syscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(&name[0])), uintptr(flags), 0, 0, 0)
		if e == 0 {
			return int(fd), nil
		}
		if e != unix.EINTR {
			return -1, e
		}
	}
}

func readlinkat(dir int, name, buf []byte) (int, error) {
	n, _, e := unix.Syscall6(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(&name[0])),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}
