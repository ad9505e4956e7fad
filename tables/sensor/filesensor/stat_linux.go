package filesensor

import (
	"io/fs"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables/event"
)

func seenOf(info fs.FileInfo) seen {
	s := seen{mtime: info.ModTime().UnixNano(), size: info.Size()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = st.Ino
	}
	return s
}

func seenOfStat(st *unix.Stat_t) seen {
	return seen{inode: st.Ino, mtime: st.Mtim.Nano(), size: st.Size}
}

// describe fills in the facts of the file itself.
func describe(e *event.File, st *unix.Stat_t) {
	e.Inode, e.UID, e.GID, e.Size = int64(st.Ino), int64(st.Uid), int64(st.Gid), st.Size
	e.Mode = octal(st.Mode & 0o7777)
	e.ATime, e.MTime, e.CTime = st.Atim.Sec, st.Mtim.Sec, st.Ctim.Sec
}

func describeInfo(e *event.File, info fs.FileInfo) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	e.Inode, e.UID, e.GID, e.Size = int64(st.Ino), int64(st.Uid), int64(st.Gid), st.Size
	e.Mode = octal(st.Mode & 0o7777)
	e.ATime, e.MTime, e.CTime = st.Atim.Sec, st.Mtim.Sec, st.Ctim.Sec
}

// octal writes permissions as osquery does: four digits.
func octal(mode uint32) string {
	s := strconv.FormatUint(uint64(mode), 8)
	return "0000"[:max(4-len(s), 0)] + s
}
