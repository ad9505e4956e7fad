package filesensor

import (
	"strings"

	"github.com/aiedr/edr/tables/procfs"
	"github.com/aiedr/edr/tables/sensor"
)

// fromProc reads a process that may end at any moment: what can no longer be
// read stays empty.
func fromProc(pid int64) ProcInfo {
	p := ProcInfo{UID: -1}
	r, err := procfs.Open("/proc")
	if err != nil {
		return p
	}
	defer r.Close()
	h, err := r.Process(pid)
	if err != nil {
		return p
	}
	defer h.Close()
	var stat procfs.Stat
	if h.Stat(&stat) != nil {
		return p
	}
	p.Known = true
	p.Name, p.Parent = strings.Clone(stat.Comm), stat.PPID
	p.StartTime = procfs.StartNS(stat.Start, procfs.ClockTicks())
	var status procfs.Status
	if h.Status(&status) == nil {
		p.UID = int64(status.UID)
	}
	if exe, err := h.Exe(); err == nil {
		p.Path = strings.TrimSuffix(strings.Clone(exe), " (deleted)")
	}
	if cmd, err := h.Cmdline(); err == nil {
		p.Cmdline = strings.Clone(cmd)
	}
	return p
}

// Mechanisms are the ways to watch here, best first.
func Mechanisms(o Options) []sensor.Mechanism {
	o = o.withDefaults()
	return []sensor.Mechanism{withHashes(&fanotify{o}, o.Hash), withHashes(newNotify(o), o.Hash)}
}
