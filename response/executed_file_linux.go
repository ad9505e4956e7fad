package response

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// clockSlack is what the times of a file and of an event may differ by: both
// are the same clock's, read in different ways.
const clockSlack = time.Second

// executed adds inode and device, if the file at the path is the one that ran.
func (q *quarantine) executed(a QuarantineFileArgs, e Executed) (QuarantineFileArgs, error) {
	h, err := holdFile(a.Path)
	if err != nil {
		return a, err
	}
	defer h.close()
	if runs, ok := runningFile(e); ok {
		if runs.Dev != h.stat.Dev || runs.Ino != h.stat.Ino {
			return a, fmt.Errorf("process %d runs another file (inode %d) than the one at %s now (inode %d)", e.PID, runs.Ino, a.Path, h.stat.Ino)
		}
	} else if changed := time.Unix(h.stat.Ctim.Unix()); changed.After(e.Time.Add(clockSlack)) {
		return a, fmt.Errorf("process %d has ended, and the file at %s was changed after it ran; look it up and quarantine it by hand", e.PID, a.Path)
	}
	a.Inode, a.Device = h.stat.Ino, h.stat.Dev
	return a, nil
}

// runningFile is what the kernel has as a process's program, if the process
// still runs.
func runningFile(e Executed) (st unix.Stat_t, ok bool) {
	if e.PID <= 0 || e.StartTime <= 0 {
		return st, false
	}
	if err := unix.Stat(fmt.Sprintf("/proc/%d/exe", e.PID), &st); err != nil {
		return st, false
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.PID))
	if err != nil {
		return st, false
	}
	p, err := parseStat(raw)
	return st, err == nil && p.startTicks == e.StartTime/tick
}
