package procfs

import (
	"strings"

	"golang.org/x/sys/unix"
)

// ExeNamed says whether the executed file is the one that a path leads to, as
// the process itself sees the file system. It tells a file whose name really
// ends in " (deleted)" from a deleted one. Only what the kernel has cached is
// looked at, as the file of a running program is: a process in a mount
// namespace of its own cannot make the lookup wait for a file system that it
// serves. Where that cannot be told (kernels before 5.12), it is false.
func (p *Process) ExeNamed(path string) bool {
	const (
		cheap         = unix.AT_STATX_DONT_SYNC
		resolveCached = 0x20 // RESOLVE_CACHED of linux/openat2.h
	)
	var exe, named unix.Statx_t
	if unix.Statx(p.fd, "exe", cheap, unix.STATX_INO, &exe) != nil {
		return false
	}
	root, err := unix.Openat(p.fd, "root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: resolveCached | unix.RESOLVE_IN_ROOT,
	})
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if unix.Statx(fd, "", cheap|unix.AT_EMPTY_PATH, unix.STATX_INO, &named) != nil {
		return false
	}
	return exe.Dev_major == named.Dev_major && exe.Dev_minor == named.Dev_minor && exe.Ino == named.Ino
}

// DeletedMark is what the kernel puts behind the path of a deleted file.
const DeletedMark = " (deleted)"

// ExePath is the path of the executed file without the mark of a deleted one.
func (p *Process) ExePath() (string, error) {
	path, _, err := p.ExeState()
	return path, err
}

// ExeState is the path of the executed file, and whether it was deleted or
// replaced since. The kernel follows its own record of the file, so that no
// name is looked up.
func (p *Process) ExeState() (path string, deleted bool, err error) {
	path, err = p.Exe()
	if err != nil {
		return "", false, err
	}
	if before, ok := strings.CutSuffix(path, DeletedMark); ok && !p.ExeNamed(path) {
		return before, true, nil
	}
	return path, false, nil
}
