package procfs

import (
	"bytes"
	"fmt"
)

// Status is what /proc/PID/status says beyond stat.
type Status struct {
	UID, EUID, SUID, FSUID uint32 // Uid:
	GID, EGID, SGID, FSGID uint32 // Gid:
	TGID                   int64  // Tgid:
	Tracer                 int64  // TracerPid:, 0 if none
	VmSize, VmRSS, VmLck   int64  // in bytes; 0 where the process has no memory
	Threads                int64  // Threads:
	NSPID                  int64  // the innermost number of NSpid:, 0 if not told
	CapEff                 uint64 // CapEff:
	Seccomp                int64  // Seccomp:
}

// ParseStatus reads /proc/PID/status. Lines that it does not know are passed
// over; without a line of user IDs the text is no status.
func ParseStatus(b []byte, s *Status) error {
	*s = Status{}
	uid := false
	for len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 0 {
			continue
		}
		val := line[colon+1:]
		var err error
		switch string(line[:colon]) {
		case "Uid":
			uid = true
			err = ids(val, &s.UID, &s.EUID, &s.SUID, &s.FSUID)
		case "Gid":
			err = ids(val, &s.GID, &s.EGID, &s.SGID, &s.FSGID)
		case "Tgid":
			err = number(val, &s.TGID)
		case "TracerPid":
			err = number(val, &s.Tracer)
		case "VmSize":
			err = kilobytes(val, &s.VmSize)
		case "VmRSS":
			err = kilobytes(val, &s.VmRSS)
		case "VmLck":
			err = kilobytes(val, &s.VmLck)
		case "Threads":
			err = number(val, &s.Threads)
		case "Seccomp":
			err = number(val, &s.Seccomp)
		case "CapEff":
			w, _ := field(val)
			s.CapEff, err = hexOf(w)
		case "NSpid":
			for {
				var w []byte
				if w, val = field(val); len(w) == 0 {
					break
				}
				if s.NSPID, err = intOf(w); err != nil {
					break
				}
			}
		}
		if err != nil {
			return fmt.Errorf("parse status: %s: %w", line[:colon], err)
		}
	}
	if !uid {
		return fmt.Errorf("parse status: no line Uid")
	}
	return nil
}

func ids(b []byte, to ...*uint32) error {
	for _, p := range to {
		var w []byte
		w, b = field(b)
		v, err := uintOf(w)
		if err != nil || v > 1<<32-1 {
			return errNumber
		}
		*p = uint32(v)
	}
	return nil
}

func number(b []byte, to *int64) (err error) {
	w, _ := field(b)
	*to, err = intOf(w)
	return err
}

func kilobytes(b []byte, to *int64) error {
	if err := number(b, to); err != nil || *to > 1<<52 || *to < 0 {
		return errNumber
	}
	*to *= 1024
	return nil
}

// hexOf reads hexadecimal digits to the end of b.
func hexOf(b []byte) (uint64, error) {
	if len(b) == 0 || len(b) > 16 {
		return 0, errNumber
	}
	var v uint64
	for _, c := range b {
		d := hexDigit(c)
		if d > 15 {
			return 0, errNumber
		}
		v = v<<4 | uint64(d)
	}
	return v, nil
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
