package response

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// draft is a new file that has no name before it is whole.
type draft struct {
	dir  int
	fd   int
	name string // of a file system that knows no nameless files
}

// newDraft makes a draft in a folder that is open.
func newDraft(dir int) (*draft, error) {
	fd, err := unix.Openat(dir, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		return &draft{dir: dir, fd: fd}, nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EINVAL) {
		return nil, err
	}
	return namedDraft(dir)
}

func namedDraft(dir int) (*draft, error) {
	name := hiddenName()
	fd, err := unix.Openat(dir, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &draft{dir: dir, fd: fd, name: name}, nil
}

// hiddenName is a name that nobody else uses.
func hiddenName() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return ".edr-" + hex.EncodeToString(b[:])
}

// publish gives the draft its name, and never takes another's.
func (d *draft) publish(name string) error {
	if err := unix.Fsync(d.fd); err != nil {
		return fmt.Errorf("write it to disk: %w", err)
	}
	if d.name != "" {
		err := unix.Renameat2(d.dir, d.name, d.dir, name, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EINVAL) { // a file system without that flag
			if err = unix.Linkat(d.dir, d.name, d.dir, name, 0); err == nil {
				err = unix.Unlinkat(d.dir, d.name, 0)
			}
		}
		if err == nil {
			d.name = ""
		}
		return err
	}
	return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", d.fd), d.dir, name, unix.AT_SYMLINK_FOLLOW)
}

// close lets go of the draft; without a name it is gone.
func (d *draft) close() {
	if d.name != "" {
		_ = unix.Unlinkat(d.dir, d.name, 0)
	}
	_ = unix.Close(d.fd)
}

// syncFolder makes the names in a folder last.
func syncFolder(dir int) error {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fsync(fd)
}
