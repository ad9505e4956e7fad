package tables

import (
	"errors"
	"io/fs"
	"time"
)

// What a Root refuses to read.
var (
	// ErrTooLarge says that a file is longer than the reader allows.
	ErrTooLarge = errors.New("larger than may be read")
	// ErrNotRegular says that a name is a device, FIFO, socket or folder, whose
	// reading could block or have effects.
	ErrNotRegular = errors.New("not a regular file")
	// ErrNetworkMount says that a file lies on a mount whose reading depends on
	// another machine or process, and could block for as long as that likes.
	ErrNetworkMount = errors.New("on a network or user-space mount, which is not read")
)

// maxDirEntries bounds how much of one folder is held in memory.
const maxDirEntries = 1 << 20

// Root is a machine's file system as a scan reads it. Names are absolute and
// slash-separated ("/etc/passwd"). Links resolve inside the root, never out
// of it; devices, FIFOs and sockets are refused, so that no read blocks.
type Root interface {
	// ReadFile reads a regular file of at most max bytes; a longer one is an
	// error that wraps ErrTooLarge.
	ReadFile(name string, max int64) ([]byte, error)
	// Open opens a regular file for reading.
	Open(name string) (fs.File, error)
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// Readlink is the text of a symbolic link.
	Readlink(name string) (string, error)
	// Lstat describes a file without following a last link.
	Lstat(name string) (fs.FileInfo, error)
	// Stat describes a file, its links followed inside the root.
	Stat(name string) (fs.FileInfo, error)
	// Live says that this is the running machine, so that facts of the
	// running kernel (system calls, BPF) may be joined with the files.
	Live() bool
	// Dir is the root's directory on the machine, for what must be handed to
	// the kernel by path; empty for a root that is not on disk.
	Dir() string
}

// BirthTime is when a file was made, as far as a Root and its file system tell;
// the zero time otherwise.
func BirthTime(fi fs.FileInfo) time.Time {
	if b, ok := fi.(interface{ BirthTime() time.Time }); ok {
		return b.BirthTime()
	}
	return time.Time{}
}
