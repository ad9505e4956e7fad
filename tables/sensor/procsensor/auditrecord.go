package procsensor

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// Kinds of audit record that an execution consists of (linux/audit.h).
const (
	auditFirst   = 1100 // below are requests and their answers
	auditSyscall = 1300
	auditPath    = 1302
	auditCWD     = 1307
	auditExecve  = 1309
	auditEOE     = 1320
)

// auditExec is one execution put together from its records.
type auditExec struct {
	Time      time.Time // to the millisecond
	Success   bool
	PID, PPID int64
	AUID      int64
	UID, EUID int64
	SUID      int64
	FSUID     int64
	GID, EGID int64
	SGID      int64
	FSGID     int64
	Comm, Exe string
	Filename  string // as given to execve
	CWD       string
	Mode      string // of the executed file, octal with a leading 0
	OwnerUID  int64
	OwnerGID  int64

	Argc      int // as the kernel says
	Argv      [][]byte
	Size      int64 // of all arguments with their ends
	kept      int
	Cut       bool // some were not kept
	syscall   bool
	execve    bool
	firstPath bool
}

const (
	auditArgcMax = 1 << 16  // arguments kept of one execution
	auditArgvMax = 32 << 10 // bytes kept of them
)

// auditStamp reads "audit(SECONDS.MILLISECONDS:SERIAL): " and gives what
// follows.
func auditStamp(b []byte) (at time.Time, serial uint64, rest []byte, err error) {
	bad := func() (time.Time, uint64, []byte, error) {
		return time.Time{}, 0, nil, fmt.Errorf("audit record begins %.40q, not with audit(TIME:SERIAL)", b)
	}
	in, ok := bytes.CutPrefix(b, []byte("audit("))
	if !ok {
		return bad()
	}
	stamp, rest, ok := bytes.Cut(in, []byte("):"))
	if !ok {
		return bad()
	}
	sec, tail, ok1 := bytes.Cut(stamp, []byte("."))
	milli, number, ok2 := bytes.Cut(tail, []byte(":"))
	s, err1 := strconv.ParseInt(string(sec), 10, 64)
	ms, err2 := strconv.ParseInt(string(milli), 10, 64)
	serial, err3 := strconv.ParseUint(string(number), 10, 64)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || err3 != nil || ms < 0 || ms > 999 {
		return bad()
	}
	return time.Unix(s, ms*1e6), serial, rest, nil
}

// auditFields calls f for each KEY=VALUE of a record. A value in quotes is
// given with them: text without quotes is hexadecimal where the field is one
// that a process chooses. The kernel never writes a space or quote in either.
func auditFields(b []byte, f func(key, value []byte)) {
	for len(b) > 0 {
		if b[0] == ' ' || b[0] == '\n' || b[0] == 0 {
			b = b[1:]
			continue
		}
		word := b
		if i := bytes.IndexAny(b, " \n\x00"); i >= 0 {
			word, b = b[:i], b[i:]
		} else {
			b = nil
		}
		if key, value, ok := bytes.Cut(word, []byte("=")); ok && len(key) > 0 {
			f(key, value)
		}
	}
}

// auditText decodes a value that a process chooses.
func auditText(v []byte) []byte {
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		return v[1 : len(v)-1]
	}
	out := make([]byte, hex.DecodedLen(len(v)))
	if n, err := hex.Decode(out, v); err == nil {
		return out[:n]
	}
	if string(v) == "(null)" || string(v) == "(none)" {
		return nil
	}
	return v
}

func auditInt(v []byte) int64 {
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// add takes one record of the execution, without its stamp.
func (e *auditExec) add(kind uint16, body []byte) {
	switch kind {
	case auditSyscall:
		e.syscall = true
		ids := map[string]*int64{
			"pid": &e.PID, "ppid": &e.PPID, "auid": &e.AUID,
			"uid": &e.UID, "euid": &e.EUID, "suid": &e.SUID, "fsuid": &e.FSUID,
			"gid": &e.GID, "egid": &e.EGID, "sgid": &e.SGID, "fsgid": &e.FSGID,
		}
		auditFields(body, func(key, value []byte) {
			switch string(key) {
			case "success":
				e.Success = string(value) == "yes"
			case "comm":
				e.Comm = string(auditText(value))
			case "exe":
				e.Exe = string(auditText(value))
			default:
				if to := ids[string(key)]; to != nil {
					*to = auditInt(value)
				}
			}
		})
	case auditCWD:
		auditFields(body, func(key, value []byte) {
			if string(key) == "cwd" {
				e.CWD = string(auditText(value))
			}
		})
	case auditPath:
		if e.firstPath {
			return // item 0 is what was executed, the others its loaders
		}
		e.firstPath = true
		auditFields(body, func(key, value []byte) {
			switch string(key) {
			case "name":
				e.Filename = string(auditText(value))
			case "mode":
				e.Mode = string(value)
			case "ouid":
				e.OwnerUID = auditInt(value)
			case "ogid":
				e.OwnerGID = auditInt(value)
			}
		})
	case auditExecve:
		e.execve = true
		e.arguments(body)
	}
}

// arguments takes an EXECVE record. A long list comes in several, and a long
// argument in numbered pieces: a2_len=9000 a2[0]=… a2[1]=…
func (e *auditExec) arguments(body []byte) {
	auditFields(body, func(key, value []byte) {
		if string(key) == "argc" {
			e.Argc = int(max(0, min(auditInt(value), 1<<30)))
			return
		}
		name, ok := bytes.CutPrefix(key, []byte("a"))
		if !ok || bytes.HasSuffix(name, []byte("_len")) {
			return
		}
		piece := false
		if i := bytes.IndexByte(name, '['); i >= 0 {
			name, piece = name[:i], string(name[i:]) != "[0]"
		}
		i, err := strconv.Atoi(string(name))
		if err != nil || i < 0 {
			return
		}
		text := auditText(value)
		e.Size += int64(len(text))
		if !piece {
			e.Size++
		}
		if i >= auditArgcMax || e.kept+len(text) > auditArgvMax || i > len(e.Argv) || (piece && i != len(e.Argv)-1) {
			e.Cut = true
			return
		}
		e.kept += len(text)
		if i == len(e.Argv) {
			e.Argv = append(e.Argv, nil)
		}
		e.Argv[i] = append(e.Argv[i], text...)
	})
}

// whole says whether every record that tells what was executed came.
func (e *auditExec) whole() bool { return e.syscall && e.execve }

// strings gives the arguments.
func (e *auditExec) strings() []string {
	out := make([]string, len(e.Argv))
	for i, a := range e.Argv {
		out[i] = string(a)
	}
	return out
}
