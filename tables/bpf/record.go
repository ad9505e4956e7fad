package bpf

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Types of record in the process ring.
const (
	TypeExec = 1
	TypeExit = 2
	TypeFork = 3
)

// Flags of an execution's header.
const (
	ArgvCut    = 1 << iota // more arguments than are kept
	ArgvUnread             // the kernel could not read the arguments
	ExeCut                 // Exe lacks its outermost folders
	CWDCut                 // CWD lacks its outermost folders
	ExeDeleted             // the executed file has no name any more
)

// Header is what every record of every ring begins with.
type Header struct {
	Type  uint16
	Flags uint16
	CPU   uint32
	Seq   uint64 // number of the record on its CPU, without gaps
	Time  uint64 // nanoseconds since boot
}

const headerSize = 24

// DecodeHeader reads the header of a record of any ring.
func DecodeHeader(raw []byte) (Header, error) {
	if len(raw) < headerSize {
		return Header{}, fmt.Errorf("decode record: %d bytes are less than a header", len(raw))
	}
	return Header{
		Type:  binary.LittleEndian.Uint16(raw),
		Flags: binary.LittleEndian.Uint16(raw[2:]),
		CPU:   binary.LittleEndian.Uint32(raw[4:]),
		Seq:   binary.LittleEndian.Uint64(raw[8:]),
		Time:  binary.LittleEndian.Uint64(raw[16:]),
	}, nil
}

// Identity is who a record is about. Starts are nanoseconds since boot.
type Identity struct {
	Start, ParentStart, GrandparentStart uint64
	Cgroup                               uint64 // inode number of the cgroup v2 folder
	CgroupLegacy                         uint64 // of the folder that counts processes, perhaps v1
	PID, PPID, GPPID                     uint32
	AUID                                 uint32 // 2^32-1 where nobody logged on
	UID, EUID, SUID, FSUID               uint32
	GID, EGID, SGID, FSGID               uint32
	Comm                                 string
}

const identitySize = 104

func decodeIdentity(raw []byte) Identity {
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(raw[at:]) }
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(raw[at:]) }
	return Identity{
		Start: u64(0), ParentStart: u64(8), GrandparentStart: u64(16), Cgroup: u64(24), CgroupLegacy: u64(32),
		PID: u32(40), PPID: u32(44), GPPID: u32(48), AUID: u32(52),
		UID: u32(56), EUID: u32(60), SUID: u32(64), FSUID: u32(68),
		GID: u32(72), EGID: u32(76), SGID: u32(80), FSGID: u32(84),
		Comm: cstring(raw[88:104]),
	}
}

func cstring(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// Fork is the birth of a process (not of a thread).
type Fork struct {
	Header
	Identity
}

// Exit is the end of a thread group.
type Exit struct {
	Header
	Identity
	Code uint32 // as wait(2) gives it
}

// Exec is an execution that succeeded.
type Exec struct {
	Header
	Identity
	Inode               uint64
	ATime, MTime, CTime int64  // of the executed file, seconds since the epoch
	ArgvSize            uint64 // true size of the arguments in bytes
	Dev, Mode           uint32
	OwnerUID, OwnerGID  uint32
	// Argv is the arguments, each ended by a zero; the last is not where
	// ArgvCut is set. It is valid only until the record is given back.
	Argv     []byte
	Filename string // as given to execve, such as the path of a script
	Exe      string // path of what runs, such as a script's interpreter
	CWD      string
}

const (
	exitSize  = headerSize + identitySize + 8
	forkSize  = headerSize + identitySize
	execFixed = headerSize + identitySize + 8 + 3*8 + 8 + 4*4 + 4*2
)

// DecodeFork reads a record of TypeFork.
func DecodeFork(raw []byte, into *Fork) (err error) {
	if len(raw) < forkSize {
		return fmt.Errorf("decode fork record: %d bytes, want %d", len(raw), forkSize)
	}
	if into.Header, err = DecodeHeader(raw); err != nil {
		return err
	}
	into.Identity = decodeIdentity(raw[headerSize:])
	return nil
}

// DecodeExit reads a record of TypeExit.
func DecodeExit(raw []byte, into *Exit) (err error) {
	if len(raw) < exitSize {
		return fmt.Errorf("decode exit record: %d bytes, want %d", len(raw), exitSize)
	}
	if into.Header, err = DecodeHeader(raw); err != nil {
		return err
	}
	into.Identity = decodeIdentity(raw[headerSize:])
	into.Code = binary.LittleEndian.Uint32(raw[headerSize+identitySize:])
	return nil
}

// DecodeExec reads a record of TypeExec. into.Argv points into raw.
func DecodeExec(raw []byte, into *Exec) (err error) {
	if len(raw) < execFixed {
		return fmt.Errorf("decode exec record: %d bytes, want at least %d", len(raw), execFixed)
	}
	if into.Header, err = DecodeHeader(raw); err != nil {
		return err
	}
	into.Identity = decodeIdentity(raw[headerSize:])
	p := raw[headerSize+identitySize:]
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(p[at:]) }
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(p[at:]) }
	into.Inode = u64(0)
	into.ATime, into.MTime, into.CTime = int64(u64(8)), int64(u64(16)), int64(u64(24))
	into.ArgvSize = u64(32)
	into.Dev, into.Mode, into.OwnerUID, into.OwnerGID = u32(40), u32(44), u32(48), u32(52)
	var parts [4][]byte
	data := raw[execFixed:]
	for i := range parts {
		n := int(binary.LittleEndian.Uint16(p[56+2*i:]))
		if n > len(data) {
			return fmt.Errorf("decode exec record: part %d has %d bytes, the record only %d more", i, n, len(data))
		}
		parts[i], data = data[:n], data[n:]
	}
	into.Argv = parts[0]
	into.Filename = cstring(parts[1])
	into.Exe = joinPath(parts[2], into.Flags&ExeCut != 0)
	into.CWD = joinPath(parts[3], into.Flags&CWDCut != 0)
	return nil
}

// joinPath puts together names that each end in a zero and come from the
// innermost outwards. A path that is cut begins with an ellipsis.
func joinPath(names []byte, cut bool) string {
	if len(names) == 0 {
		if cut {
			return ""
		}
		return "/"
	}
	const ellipsis = "…"
	out := make([]byte, 0, len(names)+len(ellipsis))
	if cut {
		out = append(out, ellipsis...)
	}
	end := len(names)
	if names[end-1] == 0 {
		end--
	}
	for end >= 0 {
		begin := bytes.LastIndexByte(names[:end], 0) + 1
		name := names[begin:end]
		// The name of a root without a mount is "/" itself.
		if len(name) > 0 && name[0] != '/' {
			out = append(out, '/')
		}
		out = append(out, name...)
		end = begin - 1
	}
	return string(out)
}

// SplitArgv takes the bytes of an argument area apart. Every argument ends in
// a zero, so that empty ones are told from none; the last lacks it where the
// area was cut off.
func SplitArgv(area []byte) []string {
	if len(area) == 0 {
		return nil
	}
	whole := area[len(area)-1] == 0
	if whole {
		area = area[:len(area)-1]
	}
	out := make([]string, 0, bytes.Count(area, []byte{0})+1)
	for {
		i := bytes.IndexByte(area, 0)
		if i < 0 {
			return append(out, string(area))
		}
		out = append(out, string(area[:i]))
		area = area[i+1:]
	}
}
