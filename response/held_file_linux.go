package response

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// heldFile is a file that is held open together with the folder it stands in:
// whatever happens to the names meanwhile, these are the ones meant.
type heldFile struct {
	path string
	dir  int // O_PATH
	base string
	fd   int // for reading
	stat unix.Stat_t
}

func (h *heldFile) close() {
	_ = unix.Close(h.fd)
	_ = unix.Close(h.dir)
}

// openFolder opens a folder by a path without symbolic links in it.
func openFolder(path string) (int, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	switch {
	case errors.Is(err, unix.ENOENT):
		return -1, fmt.Errorf("open the folder %s: it is not there", path)
	case errors.Is(err, unix.ENOTDIR):
		return -1, fmt.Errorf("open the folder %s: a part of it is no folder", path)
	case errors.Is(err, unix.ELOOP):
		real, rerr := filepath.EvalSymlinks(path)
		if rerr != nil {
			return -1, &RefusedError{fmt.Sprintf("a part of %s is a symbolic link", path)}
		}
		return -1, &RefusedError{fmt.Sprintf("a part of %s is a symbolic link; the folder itself is %s", path, real)}
	case errors.Is(err, unix.ENOSYS):
		return -1, fmt.Errorf("open the folder %s: this kernel has no openat2 (it is older than 5.6): %w", path, ErrNotSupported)
	case err != nil:
		return -1, fmt.Errorf("open the folder %s: %w", path, err)
	}
	return fd, nil
}

// holdFile opens a regular file without following links, and without waking
// what is behind a device or a pipe.
func holdFile(path string) (*heldFile, error) {
	dir, err := openFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	h := &heldFile{path: path, dir: dir, base: filepath.Base(path), fd: -1}
	if err := h.open(); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *heldFile) open() error {
	fd, err := unix.Openat2(h.dir, h.base, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH,
	})
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("open %s: it is gone already", h.path)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", h.path, err)
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &h.stat); err != nil {
		return fmt.Errorf("look at %s: %w", h.path, err)
	}
	if kind := notRegular(h.stat.Mode); kind != "" {
		return &RefusedError{fmt.Sprintf("%s is %s, and only regular files are quarantined", h.path, kind)}
	}
	// By way of /proc it is the very same file, whatever the name says by now.
	again := fmt.Sprintf("/proc/self/fd/%d", fd)
	h.fd, err = unix.Open(again, unix.O_RDONLY|unix.O_NOATIME|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) { // O_NOATIME is for the owner and root
		h.fd, err = unix.Open(again, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return fmt.Errorf("open %s for reading: %w", h.path, err)
	}
	return nil
}

func notRegular(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return ""
	case unix.S_IFDIR:
		return "a folder"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFIFO:
		return "a pipe"
	case unix.S_IFSOCK:
		return "a socket"
	}
	return "a device"
}

// foreign are the file systems on which nothing is quarantined: the kernel's
// own, whose files are no files, and those of other machines.
var foreign = map[int64]string{
	unix.PROC_SUPER_MAGIC: "procfs", unix.SYSFS_MAGIC: "sysfs", unix.CGROUP_SUPER_MAGIC: "cgroup", unix.CGROUP2_SUPER_MAGIC: "cgroup2",
	unix.DEBUGFS_MAGIC: "debugfs", unix.TRACEFS_MAGIC: "tracefs", unix.BPF_FS_MAGIC: "bpf", unix.SECURITYFS_MAGIC: "securityfs",
	unix.SELINUX_MAGIC: "selinuxfs", unix.EFIVARFS_MAGIC: "efivarfs", unix.NSFS_MAGIC: "nsfs", unix.DEVPTS_SUPER_MAGIC: "devpts",
	unix.NFS_SUPER_MAGIC: "nfs", unix.SMB_SUPER_MAGIC: "smb", unix.SMB2_SUPER_MAGIC: "smb", unix.CIFS_SUPER_MAGIC: "cifs",
	unix.AFS_SUPER_MAGIC: "afs", unix.CEPH_SUPER_MAGIC: "ceph",
}

// guard refuses files that must stay where they are.
func (q *quarantine) guard(h *heldFile) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(h.fd, &fs); err != nil {
		return fmt.Errorf("look at the file system of %s: %w", h.path, err)
	}
	if name, ok := foreign[int64(fs.Type)]; ok {
		return &RefusedError{fmt.Sprintf("%s is on a file system of type %s", h.path, name)}
	}
	for _, p := range q.protected {
		for _, own := range []string{p, realPath(p)} {
			if h.path == own || strings.HasPrefix(h.path, strings.TrimSuffix(own, "/")+"/") {
				return &RefusedError{fmt.Sprintf("%s is the agent's own", h.path)}
			}
		}
		var st unix.Stat_t
		if unix.Stat(p, &st) == nil && st.Dev == h.stat.Dev && st.Ino == h.stat.Ino {
			return &RefusedError{fmt.Sprintf("%s is the agent's own (%s)", h.path, p)}
		}
	}
	for pid, who := range map[string]string{"self": "the agent", "1": "the machine's init"} {
		maps, err := os.ReadFile("/proc/" + pid + "/maps")
		if err != nil {
			continue // not root: then the file is not ours to move either
		}
		if mapped(maps, h.path, h.stat.Dev, h.stat.Ino) {
			return &RefusedError{fmt.Sprintf("%s runs on %s", who, h.path)}
		}
	}
	return nil
}

func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// mapped looks for a file in the text of /proc/PID/maps. The device there is
// not stat's on file systems with subvolumes: then the path decides.
func mapped(maps []byte, path string, dev, inode uint64) bool {
	for line := range bytes.Lines(maps) {
		f := bytes.Fields(line)
		if len(f) < 5 {
			continue
		}
		if n, err := strconv.ParseUint(string(f[4]), 10, 64); err != nil || n != inode || n == 0 {
			continue
		}
		if bytes.HasSuffix(bytes.TrimRight(line, "\n"), []byte(" "+path)) {
			return true
		}
		major, minor, ok := strings.Cut(string(f[3]), ":")
		a, aerr := strconv.ParseUint(major, 16, 32)
		b, berr := strconv.ParseUint(minor, 16, 32)
		if ok && aerr == nil && berr == nil && unix.Mkdev(uint32(a), uint32(b)) == dev {
			return true
		}
	}
	return false
}

// same says whether the file is still as it was when it was opened.
func (h *heldFile) same() (bool, error) {
	var now unix.Stat_t
	if err := unix.Fstat(h.fd, &now); err != nil {
		return false, fmt.Errorf("look at %s: %w", h.path, err)
	}
	return now.Size == h.stat.Size && now.Mtim == h.stat.Mtim && now.Ctim == h.stat.Ctim && now.Nlink == h.stat.Nlink, nil
}

// copySum reads a file from its beginning, writes it to another where to is
// not below 0, and gives the SHA-256 of what it read. More than size bytes are
// an error: somebody is writing it.
func copySum(ctx context.Context, from, to int, size int64) (string, error) {
	sum := sha256.New()
	buf := make([]byte, 256<<10)
	var at int64
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := unix.Pread(from, buf, at)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			break
		}
		sum.Write(buf[:n])
		if at+int64(n) > size {
			return "", fmt.Errorf("%w: it grew beyond %d bytes while it was read", ErrChanging, size)
		}
		for done := 0; to >= 0 && done < n; {
			w, err := unix.Pwrite(to, buf[done:n], at+int64(done))
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err == nil && w == 0 {
				err = io.ErrShortWrite
			}
			if err != nil {
				return "", fmt.Errorf("write: %w", err)
			}
			done += w
		}
		at += int64(n)
	}
	if at != size {
		return "", fmt.Errorf("%w: it shrank from %d to %d bytes while it was read", ErrChanging, size, at)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// attributes reads the extended attributes of an open file.
func attributes(fd int) (map[string][]byte, error) {
	names := make([]byte, 64<<10) // XATTR_LIST_MAX
	n, err := unix.Flistxattr(fd, names)
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the extended attributes: %w", err)
	}
	out := map[string][]byte{}
	value := make([]byte, 64<<10) // XATTR_SIZE_MAX
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		n, err := unix.Fgetxattr(fd, name, value)
		if errors.Is(err, unix.ENODATA) {
			continue // it went meanwhile
		}
		if err != nil {
			return out, fmt.Errorf("read the extended attribute %s: %w", name, err)
		}
		out[name] = slices.Clone(value[:n])
	}
	return out, nil
}

// The flags of an inode that keep it from being removed or written.
const (
	flagImmutable = unix.STATX_ATTR_IMMUTABLE // FS_IMMUTABLE_FL has the same bit
	flagAppend    = unix.STATX_ATTR_APPEND    // FS_APPEND_FL too
)

// inodeFlags are FS_IOC_GETFLAGS's; ok is false where the file system has none.
func inodeFlags(fd int) (flags uint32, ok bool) {
	n, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	return n, err == nil
}

func setInodeFlags(fd int, flags uint32) error {
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags))
}
