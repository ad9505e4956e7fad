package procfs

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// Process is a process held by its folder: all that is read through it is of
// the one process, even if its ID is used again meanwhile.
type Process struct {
	r   *Reader
	fd  int
	PID int64
}

// Process opens the folder of a process. Close it.
func (r *Reader) Process(pid int64) (Process, error) {
	r.path = strconv.AppendInt(r.path[:0], pid, 10)
	fd, err := openat(r.dir, append(r.path, 0), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return Process{}, gone(err)
	}
	return Process{r: r, fd: fd, PID: pid}, nil
}

// Close closes the folder.
func (p *Process) Close() { unix.Close(p.fd) }

// The names of the files of a process, ended by the NUL that the kernel wants.
var (
	nameStat    = []byte("stat\x00")
	nameStatus  = []byte("status\x00")
	nameCmdline = []byte("cmdline\x00")
	nameCgroup  = []byte("cgroup\x00")
	nameComm    = []byte("comm\x00")
	nameIO      = []byte("io\x00")
	nameExe     = []byte("exe\x00")
	nameCwd     = []byte("cwd\x00")
	nameRoot    = []byte("root\x00")
)

// Stat reads /proc/PID/stat.
func (p *Process) Stat(s *Stat) error {
	b, err := p.r.read(p.fd, nameStat)
	if err != nil {
		return err
	}
	return ParseStat(b, s, p.r.text.keep)
}

// Status reads /proc/PID/status.
func (p *Process) Status(s *Status) error {
	b, err := p.r.read(p.fd, nameStatus)
	if err != nil {
		return err
	}
	return ParseStatus(b, s)
}

// Cmdline reads /proc/PID/cmdline, the arguments joined by spaces; empty for a
// kernel thread or a zombie.
func (p *Process) Cmdline() (string, error) {
	b, err := p.r.read(p.fd, nameCmdline)
	if err != nil {
		return "", err
	}
	return p.r.text.keep(AppendCmdline(b[:0], b)), nil
}

// Cgroup reads the path of /proc/PID/cgroup and the container ID in it.
func (p *Process) Cgroup() (path, container string, err error) {
	b, err := p.r.read(p.fd, nameCgroup)
	if err != nil {
		return "", "", err
	}
	c := CgroupPath(b)
	return p.r.text.keep(c), p.r.text.keep(ContainerID(c)), nil
}

// IO reads /proc/PID/io, which only root may of every process.
func (p *Process) IO(io *IO) error {
	b, err := p.r.read(p.fd, nameIO)
	if err != nil {
		return err
	}
	return ParseIO(b, io)
}

// Exe is the text of the link /proc/PID/exe: the executed file, with
// " (deleted)" behind it where the file is no longer there. A kernel thread
// and a zombie have none, which is an empty text.
func (p *Process) Exe() (string, error) { return p.link(nameExe) }

// Cwd is the working directory.
func (p *Process) Cwd() (string, error) { return p.link(nameCwd) }

// Root is the root directory.
func (p *Process) Root() (string, error) { return p.link(nameRoot) }

func (p *Process) link(name []byte) (string, error) {
	n, err := readlinkat(p.fd, name, p.r.buf)
	if err == unix.ENOENT {
		return "", nil
	}
	if err != nil {
		return "", gone(err)
	}
	return p.r.text.keep(p.r.buf[:n]), nil
}
