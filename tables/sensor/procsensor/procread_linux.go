package procsensor

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables/bpf"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/procfs"
	"github.com/aiedr/edr/tables/sensor/proctree"
)

// noID is how the kernel shows that there is no such user.
const noID = 1<<32 - 1

// readExec completes the event of a process that has just executed something
// from /proc; whole is false if it ended before everything was read.
func readExec(proc *procfs.Reader, pid int64, ev *event.Exec) (p proctree.Process, whole bool) {
	p.PID = pid
	h, err := proc.Process(pid)
	if err != nil {
		return p, false
	}
	defer h.Close()
	var st procfs.Stat
	if h.Stat(&st) != nil || st.Zombie() {
		return p, false
	}
	p.Start, p.Parent, p.Name = procfs.StartNS(st.Start, procfs.ClockTicks()), st.PPID, strings.Clone(st.Comm)
	ev.StartTime, ev.Parent, ev.Name = p.Start, p.Parent, p.Name
	var status procfs.Status
	if h.Status(&status) != nil {
		return p, false
	}
	p.UID = int64(status.UID)
	ev.UID, ev.EUID, ev.SUID, ev.FSUID = int64(status.UID), int64(status.EUID), int64(status.SUID), int64(status.FSUID)
	ev.GID, ev.EGID, ev.SGID, ev.FSGID = int64(status.GID), int64(status.EGID), int64(status.SGID), int64(status.FSGID)
	exe, err := h.Exe()
	if err != nil || exe == "" {
		return p, false
	}
	p.Path = strings.Clone(strings.TrimSuffix(exe, " (deleted)"))
	ev.Path = p.Path
	if cwd, err := h.Cwd(); err == nil {
		ev.CWD = strings.Clone(cwd)
	}
	folder := "/proc/" + strconv.FormatInt(pid, 10)
	if b, err := os.ReadFile(folder + "/loginuid"); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil {
			ev.AUID = n
		}
	}
	var file unix.Stat_t
	if unix.Stat(folder+"/exe", &file) == nil {
		ev.Mode = "0" + strconv.FormatUint(uint64(file.Mode), 8)
		ev.OwnerUID, ev.OwnerGID = int64(file.Uid), int64(file.Gid)
		ev.ATime, ev.MTime, ev.CTime = file.Atim.Sec, file.Mtim.Sec, file.Ctim.Sec
	}
	_, container, _ := h.Cgroup()
	p.Container = strings.Clone(container)
	ev.Container = p.Container
	// The command line last: if it is there, the process was there all along.
	area, err := os.ReadFile(folder + "/cmdline")
	if err != nil || len(area) == 0 {
		return p, false
	}
	argv := bpf.SplitArgv(area)
	ev.Argv, ev.Cmdline, ev.CmdlineSize = argvJSON(argv), cmdline(argv), int64(len(area))
	p.Cmdline = ev.Cmdline
	return p, true
}
