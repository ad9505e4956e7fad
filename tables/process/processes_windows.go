package process

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/shirou/gopsutil/v3/process"
	"golang.org/x/sys/windows"

	"github.com/aiedr/edr/tables"
)

// listed is what the list of processes says of one.
type listed struct {
	pid, parent, threads uint32
	priority             int32
	name                 string
}

// opened is what an open process says of itself. Reading stops at the first
// thing that is refused, and goes on with the next process.
type opened struct {
	path    string
	started time.Time // zero where it is not known
	kernel  time.Duration
	user    time.Duration
}

// snapshot is one reading of the processes.
type snapshot struct {
	q       *tables.Query
	all     map[uint32]listed
	known   map[uint32]*opened // nil where it could not be opened
	cmdline map[uint32]string
	users   map[string]string // by SID
	denied  map[string]int    // what was refused, how often
}

func scanProcesses(ctx context.Context, q *tables.Query) iter.Seq2[Process, error] {
	return func(yield func(Process, error) bool) {
		if err := q.Host.Needs(tables.Windows); err != nil || !q.Host.Root.Live() {
			yield(Process{}, fmt.Errorf("%w: processes are read from the running machine on Windows", tables.ErrNotSupported))
			return
		}
		s := &snapshot{q: q, known: map[uint32]*opened{}, cmdline: map[uint32]string{}, users: map[string]string{}, denied: map[string]int{}}
		defer s.report()
		pids, err := s.list()
		if err != nil {
			yield(Process{}, err)
			return
		}
		only, some := q.Ints("pid")
		for _, pid := range pids {
			if some && !slices.Contains(only, int64(pid)) {
				continue
			}
			if err := ctx.Err(); err != nil {
				yield(Process{}, err)
				return
			}
			if !yield(s.row(s.all[pid]), nil) {
				return
			}
		}
	}
}

// list takes the list of processes.
func (s *snapshot) list() ([]uint32, error) {
	h, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	defer windows.CloseHandle(h)
	s.all = map[uint32]listed{}
	var pids []uint32
	e := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(h, &e); err == nil; err = windows.Process32Next(h, &e) {
		if _, twice := s.all[e.ProcessID]; !twice {
			pids = append(pids, e.ProcessID)
		}
		s.all[e.ProcessID] = listed{pid: e.ProcessID, parent: e.ParentProcessID, threads: e.Threads,
			priority: e.PriClassBase, name: windows.UTF16ToString(e.ExeFile[:])}
	}
	if !errors.Is(err, windows.ERROR_NO_MORE_FILES) {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	slices.Sort(pids)
	return pids, nil
}

// report warns of what was refused.
func (s *snapshot) report() {
	for what, n := range s.denied {
		s.q.Warn(fmt.Errorf("%s of %d processes cannot be read; run as SYSTEM or an administrator to see more", what, n))
	}
}

func (s *snapshot) refuse(what string, err error) {
	// A process that has ended meanwhile refuses nothing.
	if err != nil && !errors.Is(err, windows.ERROR_INVALID_PARAMETER) {
		s.denied[what]++
	}
}

const unknownID = -1

func (s *snapshot) row(l listed) Process {
	p := Process{
		PID: int64(l.pid), Parent: int64(l.parent), Name: l.name, Threads: int32(l.threads), Nice: l.priority,
		State: "STILL_ACTIVE", PGroup: unknownID, UID: unknownID, GID: unknownID, EUID: unknownID, EGID: unknownID,
		SUID: unknownID, SGID: unknownID, OnDisk: unknownID,
	}
	o := s.open(l.pid)
	if o == nil {
		return p
	}
	p.Path = o.path
	p.UserTime, p.SysTime = o.user.Milliseconds(), o.kernel.Milliseconds()
	if !o.started.IsZero() {
		p.StartTime, p.StartNS = o.started.Unix(), o.started.UnixNano()
		p.Elapsed = tables.Some(int64(s.q.Host.Now().Sub(o.started).Seconds()))
	}
	if s.q.Wants("on_disk") {
		p.OnDisk = onDisk(o.path)
	}
	if s.q.Wants("cmdline") {
		p.Cmdline = s.command(l.pid)
	}
	g := &process.Process{Pid: int32(l.pid)}
	if s.q.Wants("cwd", "root") {
		cwd, err := g.Cwd()
		s.refuse("the working folder", err)
		p.Cwd, p.Root = cwd, cwd
	}
	if s.q.Wants("resident_size", "total_size") {
		if m, err := g.MemoryInfo(); err == nil {
			p.Resident, p.Total = int64(m.RSS), int64(m.VMS)
		} else {
			s.refuse("the memory", err)
		}
	}
	if s.q.Wants("disk_bytes_read", "disk_bytes_written") {
		if c, err := g.IOCounters(); err == nil {
			p.DiskRead, p.DiskWrite = tables.Some(int64(c.ReadBytes)), tables.Some(int64(c.WriteBytes))
		} else {
			s.refuse("what was read and written", err)
		}
	}
	if s.q.Wants("uid", "gid", "euid", "egid", "username", "elevated_token") {
		s.refuse("the user", s.token(l.pid, &p))
	}
	if s.q.Wants("parent_name", "parent_path", "parent_cmdline") {
		s.parent(l, o, &p)
	}
	return p
}

// open asks a process for its file and times, once.
func (s *snapshot) open(pid uint32) *opened {
	if o, ok := s.known[pid]; ok {
		return o
	}
	s.known[pid] = nil
	if pid == 0 {
		return nil // the idle process is none
	}
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		s.refuse("the path and times", err)
		return nil
	}
	defer windows.CloseHandle(h)
	o := &opened{}
	s.known[pid] = o
	name := make([]uint16, windows.MAX_LONG_PATH)
	size := uint32(len(name))
	if err := windows.QueryFullProcessImageName(h, 0, &name[0], &size); err == nil {
		o.path = windows.UTF16ToString(name[:size])
	} else if pid > 4 { // the kernel's own processes have no file
		s.refuse("the path", err)
	}
	var created, ended, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &ended, &kernel, &user); err != nil {
		s.refuse("the times", err)
		return o
	}
	if created.HighDateTime != 0 {
		o.started = time.Unix(0, created.Nanoseconds())
	}
	o.kernel, o.user = span(kernel), span(user)
	return o
}

// span reads a count of 100 nanoseconds.
func span(f windows.Filetime) time.Duration {
	return time.Duration(uint64(f.HighDateTime)<<32|uint64(f.LowDateTime)) * 100
}

// onDisk looks whether the file is there. A name on another machine is not
// looked at: that could hang.
func onDisk(path string) int32 {
	if path == "" || strings.HasPrefix(path, `\\`) {
		return -1
	}
	switch _, err := os.Lstat(path); {
	case err == nil:
		return 1
	case errors.Is(err, os.ErrNotExist):
		return 0
	}
	return -1
}

// command is the command line of a process, once.
func (s *snapshot) command(pid uint32) string {
	if c, ok := s.cmdline[pid]; ok {
		return c
	}
	c, err := (&process.Process{Pid: int32(pid)}).Cmdline()
	s.refuse("the command line", err)
	s.cmdline[pid] = c
	return c
}

// token reads whom a process runs as.
func (s *snapshot) token(pid uint32, p *Process) error {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	var t windows.Token
	if err := windows.OpenProcessToken(h, windows.TOKEN_QUERY, &t); err != nil {
		return err
	}
	defer t.Close()
	if t.IsElevated() {
		p.Elevated = tables.Some(int32(1))
	} else {
		p.Elevated = tables.Some(int32(0))
	}
	u, err := t.GetTokenUser()
	if err != nil {
		return err
	}
	p.UID = rid(u.User.Sid)
	p.EUID = p.UID
	if name := s.user(u.User.Sid); name != "" {
		p.Username = tables.Some(name)
	}
	if g, err := t.GetTokenPrimaryGroup(); err == nil {
		p.GID = rid(g.PrimaryGroup)
		p.EGID = p.GID
	}
	return nil
}

// rid is the last part of a SID, which stands for the user ID as in osquery.
func rid(sid *windows.SID) int64 {
	if n := sid.SubAuthorityCount(); n > 0 {
		return int64(sid.SubAuthority(uint32(n) - 1))
	}
	return unknownID
}

// user is the name of a SID with its domain, or empty.
func (s *snapshot) user(sid *windows.SID) string {
	key := sid.String()
	if name, ok := s.users[key]; ok {
		return name
	}
	name, domain, _, err := sid.LookupAccount("")
	if err != nil {
		name = ""
	} else if domain != "" {
		name = domain + `\` + name
	}
	s.users[key] = name
	return name
}

// parent names the parent, unless the number has gone to a younger process.
func (s *snapshot) parent(l listed, o *opened, p *Process) {
	pl, ok := s.all[l.parent]
	if !ok || l.parent == 0 || l.parent == l.pid {
		return
	}
	po := s.open(l.parent)
	if po != nil && !po.started.IsZero() && !o.started.IsZero() && po.started.After(o.started) {
		return
	}
	p.ParentName = tables.Some(pl.name)
	if po != nil {
		p.ParentPath = tables.Some(po.path)
	}
	if s.q.Wants("parent_cmdline") {
		p.ParentCmd = tables.Some(s.command(l.parent))
	}
}
