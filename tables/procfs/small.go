package procfs

import (
	"bytes"
	"fmt"
)

// AppendCmdline joins the arguments of /proc/PID/cmdline with spaces. Each
// argument ends in a NUL there; the last ones may be empty or, where a process
// has written over its own, lack it.
func AppendCmdline(dst, raw []byte) []byte {
	raw = bytes.TrimRight(raw, "\x00")
	for _, c := range raw {
		if c == 0 {
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}

// IO is what /proc/PID/io says.
type IO struct {
	ReadBytes      uint64 // read_bytes: fetched from storage
	WriteBytes     uint64 // write_bytes: sent to storage
	CancelledBytes uint64 // cancelled_write_bytes: of those, never written after all
}

// ParseIO reads /proc/PID/io.
func ParseIO(b []byte, io *IO) error {
	*io = IO{}
	found := 0
	for line := range bytes.Lines(b) {
		key, val, ok := bytes.Cut(bytes.TrimRight(line, "\n"), []byte(": "))
		if !ok {
			continue
		}
		var to *uint64
		switch string(key) {
		case "read_bytes":
			to = &io.ReadBytes
		case "write_bytes":
			to = &io.WriteBytes
		case "cancelled_write_bytes":
			to = &io.CancelledBytes
		default:
			continue
		}
		v, err := uintOf(val)
		if err != nil {
			return fmt.Errorf("parse io: %s: %w", key, err)
		}
		*to = v
		found++
	}
	if found == 0 {
		return fmt.Errorf("parse io: no line of bytes")
	}
	return nil
}

// ParseUptime reads /proc/uptime: the seconds since boot, sleep included.
func ParseUptime(b []byte) (float64, error) {
	w, _ := field(b)
	whole, frac, _ := bytes.Cut(w, []byte("."))
	s, err := uintOf(whole)
	if err != nil || len(frac) > 9 {
		return 0, fmt.Errorf("parse uptime: %w", errNumber)
	}
	up := float64(s)
	if len(frac) > 0 {
		f, err := uintOf(frac)
		if err != nil {
			return 0, fmt.Errorf("parse uptime: %w", err)
		}
		scale := 1.0
		for range frac {
			scale *= 10
		}
		up += float64(f) / scale
	}
	return up, nil
}

// ParseBootTime reads the line btime of /proc/stat: when the machine booted, in
// seconds since the Unix epoch. It moves when the clock is set.
func ParseBootTime(b []byte) (int64, error) {
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("btime ")); ok {
			w, _ := field(rest)
			v, err := intOf(w)
			if err != nil {
				return 0, fmt.Errorf("parse btime: %w", err)
			}
			return v, nil
		}
	}
	return 0, fmt.Errorf("parse btime: /proc/stat has no such line")
}

// ParseMemTotal reads the line MemTotal of /proc/meminfo, in bytes.
func ParseMemTotal(b []byte) (int64, error) {
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("MemTotal:")); ok {
			var v int64
			if err := kilobytes(rest, &v); err != nil {
				return 0, fmt.Errorf("parse MemTotal: %w", err)
			}
			return v, nil
		}
	}
	return 0, fmt.Errorf("parse MemTotal: /proc/meminfo has no such line")
}
