package file

import (
	"io/fs"
	"syscall"
)

// fill adds what only the system's own record tells.
func (r *Row) fill(fi fs.FileInfo) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	r.Inode, r.UID, r.GID = int64(st.Ino), int64(st.Uid), int64(st.Gid)
	r.Device, r.BlockSize, r.HardLinks = int64(st.Rdev), int32(st.Blksize), int32(st.Nlink)
	r.ATime, r.CTime = int64(st.Atim.Sec), int64(st.Ctim.Sec)
}
