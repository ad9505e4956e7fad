package procfs

import (
	"bytes"
	"fmt"
)

// Stat is what /proc/PID/stat says of a process.
type Stat struct {
	PID     int64
	Comm    string // field 2 without its parentheses: at most 15 bytes, any bytes
	State   byte   // field 3: R S D Z T t X I …
	PPID    int64  // field 4
	PGroup  int64  // field 5
	Session int64  // field 6
	TTY     int64  // field 7
	Flags   uint64 // field 9: PF_… of the kernel
	UTime   uint64 // field 14, in ticks
	STime   uint64 // field 15, in ticks
	Nice    int64  // field 19
	Threads int64  // field 20
	Start   uint64 // field 22: ticks after boot, rounded down
	VSize   uint64 // field 23, bytes
	RSS     int64  // field 24, pages; less exact than VmRSS
}

// Bits of Flags, as the kernel's sched.h has them.
const (
	pfExiting = 0x00000004
	pfKthread = 0x00200000
)

// Kernel says that the process is a thread of the kernel: it has no executable,
// no command line and no memory of its own.
func (s *Stat) Kernel() bool { return s.Flags&pfKthread != 0 }

// Exiting says that the process is ending: its memory and files are gone, or
// will be at any moment.
func (s *Stat) Exiting() bool { return s.Flags&pfExiting != 0 }

// Zombie says that the process has ended and only waits for its parent.
func (s *Stat) Zombie() bool { return s.State == 'Z' || s.State == 'X' }

// ParseStat reads /proc/PID/stat. The name of a process may hold spaces,
// parentheses and newlines, so it ends at the last parenthesis. text makes the
// name's string, so that the caller decides where it is kept; nil copies.
func ParseStat(b []byte, s *Stat, text func([]byte) string) error {
	open := bytes.IndexByte(b, '(')
	end := bytes.LastIndexByte(b, ')')
	if open < 2 || end < open {
		return fmt.Errorf("parse stat: no name in parentheses")
	}
	pid, err := intOf(bytes.TrimRight(b[:open], " "))
	if err != nil {
		return fmt.Errorf("parse stat: field 1: %w", err)
	}
	if text == nil {
		text = func(b []byte) string { return string(b) }
	}
	*s = Stat{PID: pid, Comm: text(b[open+1 : end])}
	rest := b[end+1:]
	var f []byte
	if f, rest = field(rest); len(f) != 1 {
		return fmt.Errorf("parse stat: field 3 is no state")
	}
	s.State = f[0]
	for n := 4; n <= 24; n++ {
		if f, rest = field(rest); len(f) == 0 {
			return fmt.Errorf("parse stat: ends before field %d", n)
		}
		var err error
		switch n {
		case 4:
			s.PPID, err = intOf(f)
		case 5:
			s.PGroup, err = intOf(f)
		case 6:
			s.Session, err = intOf(f)
		case 7:
			s.TTY, err = intOf(f)
		case 9:
			s.Flags, err = uintOf(f)
		case 14:
			s.UTime, err = uintOf(f)
		case 15:
			s.STime, err = uintOf(f)
		case 19:
			s.Nice, err = intOf(f)
		case 20:
			s.Threads, err = intOf(f)
		case 22:
			s.Start, err = uintOf(f)
		case 23:
			s.VSize, err = uintOf(f)
		case 24:
			s.RSS, err = intOf(f)
		}
		if err != nil {
			return fmt.Errorf("parse stat: field %d: %w", n, err)
		}
	}
	return nil
}

// StartNS is a start in ticks as nanoseconds since boot: the same clock as the
// kernel's start_boottime, rounded down to the tick (10 ms at 100 ticks a
// second). Two readings of one process agree when they are compared as ticks.
func StartNS(ticks, perSecond uint64) int64 {
	if perSecond == 0 {
		perSecond = 100
	}
	return int64(ticks/perSecond*1e9 + ticks%perSecond*(1e9/perSecond))
}

// FloorTick rounds nanoseconds since boot, as the kernel's events have them,
// down to the tick, so that they compare with StartNS.
func FloorTick(ns int64, perSecond uint64) int64 {
	if perSecond == 0 {
		perSecond = 100
	}
	tick := int64(1e9 / perSecond)
	return ns - ns%tick
}
