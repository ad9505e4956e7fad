package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/procfs"
)

// wants is which sources of facts a query needs: each costs system calls for
// every process.
type wants struct {
	status, exe, cmdline, cwd, root, onDisk, io, cgroup, user, start bool
	parentName, parentPath, parentCmd                                bool
}

// snapshot is one reading of the processes.
type snapshot struct {
	q      *tables.Query
	r      *procfs.Reader
	want   wants
	boot   int64 // seconds since the Unix epoch
	users  map[uint32]string
	known  map[int64]*parent // what was read of processes that may be parents
	listed                   // what the kernel's own list tells
	// denied counts what the operating system did not let us read.
	denied map[string]int
	why    map[string]error
}

func scanProcesses(ctx context.Context, q *tables.Query) iter.Seq2[Process, error] {
	return func(yield func(Process, error) bool) {
		if q.Host.Root.Dir() == "" {
			yield(Process{}, fmt.Errorf("%w: processes are read from a root on disk only", tables.ErrNotSupported))
			return
		}
		r, err := procfs.Open(filepath.Join(q.Host.Root.Dir(), "proc"))
		if err != nil {
			yield(Process{}, err)
			return
		}
		defer r.Close()
		s := &snapshot{q: q, r: r, denied: map[string]int{}, why: map[string]error{}, known: map[int64]*parent{}}
		defer s.report()
		if err := s.prepare(); err != nil {
			yield(Process{}, err)
			return
		}
		pids, some := q.Ints("pid")
		if some {
			// A thread's number opens a folder too, though it is not listed.
			// Only its status tells it from a process.
			s.want.status = true
			slices.Sort(pids)
			pids = slices.Compact(pids)
		} else {
			s.list()
			defer s.unlist()
			if pids, err = s.pids(); err != nil {
				yield(Process{}, err)
				return
			}
		}
		for _, pid := range pids {
			if pid <= 0 || pid > 1<<31-1 {
				continue
			}
			if ctx.Err() != nil {
				yield(Process{}, ctx.Err())
				return
			}
			var p Process
			err := s.one(pid, &p)
			switch {
			case errors.Is(err, procfs.ErrGone):
				continue
			case err != nil:
				q.Warn(fmt.Errorf("process %d left out: %w", pid, err))
				continue
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (s *snapshot) prepare() error {
	q := s.q
	w := &s.want
	w.status = q.Wants("uid", "gid", "euid", "egid", "suid", "sgid", "username", "wired_size", "resident_size", "total_size")
	w.onDisk = q.Wants("on_disk")
	w.exe = q.Wants("path") || w.onDisk
	w.cmdline, w.cwd, w.root = q.Wants("cmdline"), q.Wants("cwd"), q.Wants("root")
	w.io = q.Wants("disk_bytes_read", "disk_bytes_written")
	w.cgroup = q.Wants("cgroup_path", "container_id")
	w.user, w.start = q.Wants("username"), q.Wants("start_time")
	w.parentName, w.parentPath, w.parentCmd = q.Wants("parent_name"), q.Wants("parent_path"), q.Wants("parent_cmdline")
	if w.start {
		boot, err := s.r.BootTime()
		if err != nil {
			return err
		}
		s.boot = boot
	}
	if w.user {
		s.users = userNames(q)
	}
	return nil
}

// userNames maps IDs to names by /etc/passwd; the first line of an ID wins, as
// it does for the C library.
func userNames(q *tables.Query) map[uint32]string {
	users := map[uint32]string{}
	data, err := q.Host.Root.ReadFile("/etc/passwd", 64<<20)
	if err != nil {
		q.Warn(fmt.Errorf("user names are unknown: %w", err))
		return users
	}
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(line, ":", 4)
		if len(f) < 4 {
			continue
		}
		if id, err := strconv.ParseUint(f[2], 10, 32); err == nil {
			if _, ok := users[uint32(id)]; !ok {
				users[uint32(id)] = f[0]
			}
		}
	}
	return users
}

// read fills a row with what is wanted. It answers ErrGone for a process that
// ended meanwhile: half a row would mix what it was with what is left of it.
func (s *snapshot) read(pid int64, row *Process) error {
	p, err := s.r.Process(pid)
	if err != nil {
		return err
	}
	defer p.Close()
	var st procfs.Stat
	if err := p.Stat(&st); err != nil {
		return err
	}
	if st.PID != pid {
		return fmt.Errorf("its stat says that it is process %d", st.PID)
	}
	*row = Process{
		PID: pid, Name: st.Comm, State: stateText(st.State), Parent: st.PPID, PGroup: st.PGroup,
		Threads: int32(st.Threads), Nice: int32(st.Nice), OnDisk: -1,
		UserTime: s.millis(st.UTime), SysTime: s.millis(st.STime),
		StartNS: procfs.StartNS(st.Start, s.r.Ticks()),
	}
	if s.want.start {
		row.StartTime = s.boot + int64(st.Start/s.r.Ticks())
	}
	if s.want.status {
		var x procfs.Status
		if err := p.Status(&x); err != nil {
			return err
		}
		row.UID, row.EUID, row.SUID = int64(x.UID), int64(x.EUID), int64(x.SUID)
		row.GID, row.EGID, row.SGID = int64(x.GID), int64(x.EGID), int64(x.SGID)
		row.Wired, row.Resident, row.Total = x.VmLck, x.VmRSS, x.VmSize
		if x.TGID != 0 && x.TGID != pid {
			return procfs.ErrGone // a thread, asked for by its number
		}
		if name, ok := s.users[x.UID]; ok {
			row.Username = tables.Some(name)
		}
	}
	// body is where the files and memory are: a living thread's folder, should
	// the first thread have ended.
	body, mem := p.Body(&st)
	if !body.Is(&p) {
		defer body.Close()
	}
	mem = mem && !st.Kernel()
	if s.want.exe && mem {
		if err := s.exe(&body, row); err != nil {
			return err
		}
	}
	if s.want.cmdline && mem {
		if row.Cmdline, err = body.Cmdline(); err != nil {
			if err = s.deny("cmdline", err); err != nil {
				return err
			}
		}
	}
	if s.want.cwd && mem {
		if row.Cwd, err = body.Cwd(); err != nil {
			if err = s.deny("cwd", err); err != nil {
				return err
			}
		}
	}
	if s.want.root && mem {
		if row.Root, err = body.Root(); err != nil {
			if err = s.deny("root", err); err != nil {
				return err
			}
		}
	}
	if s.want.io {
		var io procfs.IO
		if err := p.IO(&io); err == nil {
			row.DiskRead = tables.Some(int64(io.ReadBytes))
			row.DiskWrite = tables.Some(int64(io.WriteBytes - min(io.CancelledBytes, io.WriteBytes)))
		} else if err = s.deny("io", err); err != nil {
			return err
		}
	}
	if s.want.cgroup {
		if row.CgroupPath, row.ContainerID, err = p.Cgroup(); err != nil {
			if err = s.deny("cgroup", err); err != nil {
				return err
			}
		}
	}
	if mem && (s.want.exe && row.Path == "" || s.want.cmdline && row.Cmdline == "" ||
		s.want.cwd && row.Cwd == "" || s.want.root && row.Root == "") {
		// What is empty may mean that the process ended after its stat.
		if err := p.Stat(&st); err != nil {
			return err
		}
		if (st.Zombie() || st.Exiting()) && body.Is(&p) {
			return procfs.ErrGone
		}
	}
	s.parent(row)
	return nil
}

func stateText(c byte) string {
	const states = "RSDZTtXxKWPI"
	if i := strings.IndexByte(states, c); i >= 0 {
		return states[i : i+1]
	}
	return string(rune(c))
}

func (s *snapshot) millis(ticks uint64) int64 { return int64(ticks * 1000 / s.r.Ticks()) }

func (s *snapshot) exe(p *procfs.Process, row *Process) error {
	path, deleted, err := p.ExeState()
	if err != nil {
		return s.deny("exe", err)
	}
	row.Path = path
	switch {
	case path == "":
	case deleted:
		row.OnDisk = 0
	case s.r.Live() || !s.want.onDisk:
		row.OnDisk = 1
	default: // a copied tree: look whether the file was copied, too
		if _, err := s.q.Host.Root.Lstat(path); err == nil {
			row.OnDisk = 1
		} else if errors.Is(err, fs.ErrNotExist) {
			row.OnDisk = 0
		}
	}
	return nil
}

// deny counts what may not be read and lets the row go on without it; any other
// error is returned.
func (s *snapshot) deny(what string, err error) error {
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || !s.r.Live() {
		s.denied[what]++
		s.why[what] = err
		return nil
	}
	return err
}

// report says what could not be read: once for each source, not each process.
func (s *snapshot) report() {
	for what, n := range s.denied {
		s.q.Warn(fmt.Errorf("/proc/PID/%s of %d processes could not be read: %w (%s)", what, n, s.why[what], advice()))
	}
}

// advice says what would let more be read.
func advice() string {
	if os.Geteuid() == 0 {
		return "the system keeps them from root, too: a security module or a missing capability"
	}
	return "run as root to read all"
}
