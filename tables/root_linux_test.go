package tables

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/internal/testneed"
)

// hostile builds a root with everything that a hostile tree may hold, beside a
// file that must stay out of reach.
func hostile(t *testing.T) *dirRoot {
	t.Helper()
	outer := t.TempDir()
	dir := filepath.Join(outer, "root")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.MkdirAll(filepath.Join(dir, "etc", "sub"), 0o755))
	check(os.WriteFile(filepath.Join(outer, "secret"), []byte("outside"), 0o644))
	check(os.WriteFile(filepath.Join(dir, "etc", "passwd"), []byte("inside"), 0o644))
	check(os.WriteFile(filepath.Join(dir, "secret"), []byte("the root's own"), 0o644))
	for name, to := range map[string]string{
		"etc/up":       "../../secret",
		"etc/upup":     "../../../../../../../../secret",
		"etc/abs":      "/etc/passwd",
		"etc/dirup":    "../..",
		"etc/outside":  filepath.Join(outer, "secret"),
		"etc/loop":     "loop",
		"etc/loop1":    "loop2",
		"etc/loop2":    "loop1",
		"etc/dangling": "nowhere",
		"etc/subabs":   "/etc/sub",
	} {
		check(os.Symlink(to, filepath.Join(dir, name)))
	}
	check(syscall.Mkfifo(filepath.Join(dir, "etc", "fifo"), 0o644))
	l, err := net.Listen("unix", filepath.Join(dir, "etc", "s"))
	check(err)
	t.Cleanup(func() { l.Close() })
	r, err := DirRoot(dir)
	check(err)
	return r.(*dirRoot)
}

// both runs a test with openat2 and with the walk that stands in for it.
func both(t *testing.T, f func(t *testing.T, r *dirRoot)) {
	t.Run("openat2", func(t *testing.T) {
		r := hostile(t)
		if _, err := r.Stat("/etc"); err != nil {
			t.Fatal(err)
		}
		if r.walk.Load() {
			testneed.Missing(t, "openat2")
		}
		f(t, r)
	})
	t.Run("walk", func(t *testing.T) {
		r := hostile(t)
		r.walk.Store(true)
		f(t, r)
	})
}

func TestRootLinksStayInside(t *testing.T) {
	both(t, func(t *testing.T, r *dirRoot) {
		for name, want := range map[string]string{
			"/etc/passwd": "inside", "etc/passwd": "inside", "/etc/../etc/./passwd": "inside",
			"/../../secret": "the root's own", "/etc/up": "the root's own", "/etc/upup": "the root's own",
			"/etc/abs": "inside", "/etc/dirup/secret": "the root's own", "/etc/dirup/etc/abs": "inside",
			"/etc/subabs/../passwd": "inside",
		} {
			got, err := r.ReadFile(name, 100)
			if err != nil || string(got) != want {
				t.Errorf("%s = %q, %v; want %q", name, got, err, want)
			}
		}
		for name, want := range map[string]error{
			"/etc/outside": fs.ErrNotExist, "/etc/dangling": fs.ErrNotExist, "/etc/none": fs.ErrNotExist,
			"/etc/loop": syscall.ELOOP, "/etc/loop1": syscall.ELOOP, "/etc/passwd/x": syscall.ENOTDIR,
			"/etc": ErrNotRegular, "/": ErrNotRegular, "/etc/fifo": ErrNotRegular, "/etc/s": ErrNotRegular,
			"/etc/pass\x00wd": syscall.EINVAL,
		} {
			if got, err := r.ReadFile(name, 100); !errors.Is(err, want) {
				t.Errorf("%s = %q, %v; want %v", name, got, err, want)
			}
			if f, err := r.Open(name); !errors.Is(err, want) {
				t.Errorf("Open %s = %v, %v; want %v", name, f, err, want)
			}
		}
	})
}

func TestRootDescribes(t *testing.T) {
	both(t, func(t *testing.T, r *dirRoot) {
		if s, err := r.Readlink("/etc/up"); err != nil || s != "../../secret" {
			t.Errorf("Readlink = %q, %v", s, err)
		}
		if _, err := r.Readlink("/etc/passwd"); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("Readlink of a file: %v", err)
		}
		for name, mode := range map[string]fs.FileMode{
			"/etc/loop": fs.ModeSymlink, "/etc/fifo": fs.ModeNamedPipe, "/etc/s": fs.ModeSocket,
			"/etc": fs.ModeDir, "/etc/passwd": 0, "/": fs.ModeDir,
		} {
			fi, err := r.Lstat(name)
			if err != nil || fi.Mode().Type() != mode {
				t.Errorf("Lstat %s = %v, %v", name, fi, err)
			}
		}
		if fi, err := r.Stat("/etc/abs"); err != nil || !fi.Mode().IsRegular() || fi.Size() != 6 || fi.Name() != "abs" {
			t.Errorf("Stat = %v, %v", fi, err)
		}
		if _, ok := mustStat(t, r, "/etc/passwd").Sys().(*syscall.Stat_t); !ok {
			t.Error("Sys is no Stat_t")
		}
		entries, err := r.ReadDir("/etc/dirup/etc")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
			fi, err := e.Info()
			if err != nil || fi.Mode().Type() != e.Type() {
				t.Errorf("%s: %v, %v; listed as %v", e.Name(), fi, err, e.Type())
			}
		}
		if got := strings.Join(names, " "); got != "abs dangling dirup fifo loop loop1 loop2 outside passwd s sub subabs up upup" {
			t.Errorf("ReadDir = %s", got)
		}
		if _, err := r.ReadDir("/etc/passwd"); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("ReadDir of a file: %v", err)
		}
	})
}

func mustStat(t *testing.T, r Root, name string) fs.FileInfo {
	t.Helper()
	fi, err := r.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return fi
}

func TestRootLimits(t *testing.T) {
	r := hostile(t)
	if _, err := r.ReadFile("/etc/passwd", 5); !errors.Is(err, ErrTooLarge) {
		t.Errorf("6 bytes of 5: %v", err)
	}
	if got, err := r.ReadFile("/etc/passwd", 6); err != nil || len(got) != 6 {
		t.Errorf("6 bytes of 6: %q, %v", got, err)
	}
	f, err := r.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	var b [3]byte
	if n, err := f.(io.ReaderAt).ReadAt(b[:], 2); n != 3 || err != nil || string(b[:]) != "sid" {
		t.Errorf("ReadAt = %d %q %v", n, b, err)
	}
	if n, err := f.(io.ReaderAt).ReadAt(b[:], 5); n != 1 || err != io.EOF {
		t.Errorf("ReadAt the end = %d %v", n, err)
	}
	if all, err := io.ReadAll(f); err != nil || string(all) != "inside" {
		t.Errorf("ReadAll = %q, %v", all, err)
	}
	if fi, err := f.Stat(); err != nil || fi.Size() != 6 {
		t.Errorf("Stat = %v, %v", fi, err)
	}
	if f.Close() != nil || f.Close() == nil {
		t.Error("Close must succeed once")
	}
}

func TestRootDevices(t *testing.T) {
	testneed.Root(t)
	r := hostile(t)
	if err := unix.Mknod(filepath.Join(r.dir, "etc", "tty"), unix.S_IFCHR|0o600, int(unix.Mkdev(5, 0))); err != nil {
		testneed.Missing(t, "mknod: "+err.Error())
	}
	if _, err := r.ReadFile("/etc/tty", 10); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a device was read: %v", err)
	}
}

func TestLiveRoot(t *testing.T) {
	r, err := DirRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	if !r.Live() || r.Dir() != "/" {
		t.Errorf("Live %v, Dir %s", r.Live(), r.Dir())
	}
	// A file of /proc has size 0 and is read all the same.
	got, err := r.ReadFile("/proc/self/stat", 4096)
	if err != nil || !bytes.Contains(got, []byte("(")) {
		t.Errorf("/proc/self/stat = %q, %v", got, err)
	}
	// /proc/PID/exe leads by magic, not by its text.
	if _, err := r.ReadFile("/proc/self/exe", 10); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("/proc/self/exe: %v", err)
	}
	if _, err := r.ReadFile("/dev/zero", 10); !errors.Is(err, ErrNotRegular) {
		t.Errorf("/dev/zero: %v", err)
	}
	if _, err := DirRoot("/proc/self/stat"); err == nil {
		t.Error("a file was taken for a root")
	}
}

func TestRootNetworkMounts(t *testing.T) {
	for magic, want := range map[int64]bool{unix.NFS_SUPER_MAGIC: true, 0xff534d42: true, unix.FUSE_SUPER_MAGIC: true, unix.EXT4_SUPER_MAGIC: false, unix.TMPFS_MAGIC: false} {
		if _, got := remoteMagic[uint32(magic)]; got != want {
			t.Errorf("file system %#x refused: %v", magic, got)
		}
	}
}
