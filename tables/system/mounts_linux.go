package system

import (
	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables"
)

// measure asks the kernel how full the file system is.
func (m *MountRow) measure() error {
	var s unix.Statfs_t
	if err := unix.Statfs(m.Path, &s); err != nil {
		return err
	}
	m.BlockSize, m.Blocks = tables.Some(int64(s.Bsize)), tables.Some(int64(s.Blocks))
	m.Free, m.Available = tables.Some(int64(s.Bfree)), tables.Some(int64(s.Bavail))
	m.Inodes, m.InodesFree = tables.Some(int64(s.Files)), tables.Some(int64(s.Ffree))
	return nil
}
