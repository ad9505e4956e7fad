//go:build unix

package system

import (
	"io/fs"
	"syscall"
)

// fileOwner is the ID of the user that a file belongs to.
func fileOwner(fi fs.FileInfo) (uint32, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return st.Uid, true
}
