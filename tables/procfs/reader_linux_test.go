package procfs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// sleeper starts a process of our own that ends with the test.
func sleeper(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func TestReaderLive(t *testing.T) {
	r, err := Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !r.Live() {
		t.Fatal("/proc is not told from a copy")
	}
	cmd := sleeper(t, "123.5")
	pid := int64(cmd.Process.Pid)
	pids, err := r.PIDs(nil)
	if err != nil || !slices.IsSorted(pids) || !slices.Contains(pids, pid) || !slices.Contains(pids, int64(os.Getpid())) {
		t.Fatalf("PIDs: %v, %v", pids, err)
	}
	s, err := r.Stat(pid)
	if err != nil || s.PID != pid || s.PPID != int64(os.Getpid()) || s.Start == 0 {
		t.Errorf("Stat = %+v, %v", s, err)
	}
	st, err := r.Status(pid)
	if err != nil || st.UID != uint32(os.Getuid()) || st.TGID != pid {
		t.Errorf("Status = %+v, %v", st, err)
	}
	want, _ := filepath.EvalSymlinks(cmd.Path)
	if exe, err := r.Exe(pid); err != nil || exe != want {
		t.Errorf("Exe = %q, %v; want %q", exe, err, want)
	}
	if c, err := r.Cmdline(pid); err != nil || c != "sleep 123.5" {
		t.Errorf("Cmdline = %q, %v", c, err)
	}
	if path, _, err := r.Cgroup(pid); err != nil || !strings.HasPrefix(path, "/") {
		t.Errorf("Cgroup = %q, %v", path, err)
	}
	boot, err := r.BootTime()
	if err != nil || boot < 1_000_000_000 {
		t.Errorf("BootTime = %d, %v", boot, err)
	}
	// A process held by its folder is gone when it has ended, also where its
	// number comes to mean another.
	p, err := r.Process(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := p.Stat(&s); !errors.Is(err, ErrGone) {
		t.Errorf("Stat of an ended process: %v", err)
	}
	if _, err := p.Cmdline(); !errors.Is(err, ErrGone) {
		t.Errorf("Cmdline of an ended process: %v", err)
	}
	if _, err := r.Process(pid); !errors.Is(err, ErrGone) {
		t.Errorf("an ended process opens: %v", err)
	}
}

func TestReaderDeleted(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, c := range []struct {
		name   string
		remove bool
	}{{"plain", false}, {"plain", true}, {"odd (deleted)", false}, {"odd (deleted)", true}} {
		file := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(file, data, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := &exec.Cmd{Path: file, Args: []string{file, "100"}}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if c.remove {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		p, err := r.Process(int64(cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		path, deleted, err := p.ExeState()
		p.Close()
		if err != nil || path != file || deleted != c.remove {
			t.Errorf("%s, removed %v: %q, %v, %v", c.name, c.remove, path, deleted, err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

func TestReaderSockets(t *testing.T) {
	r, err := Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[0])
	defer syscall.Close(fds[1])
	p, err := r.Process(int64(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	found := map[int64]uint64{}
	if err := p.Sockets(func(fd int64, inode uint64) { found[fd] = inode }); err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		var st syscall.Stat_t
		if err := syscall.Fstat(fd, &st); err != nil {
			t.Fatal(err)
		}
		if found[int64(fd)] != st.Ino {
			t.Errorf("descriptor %d is inode %d, want %d", fd, found[int64(fd)], st.Ino)
		}
	}
	if ns, err := p.NetNS(); err != nil || ns == 0 {
		t.Errorf("NetNS = %d, %v", ns, err)
	}
	lines := 0
	if err := r.Lines("net/unix", func([]byte) { lines++ }); err != nil || lines < 2 {
		t.Errorf("%d lines, %v", lines, err)
	}
}

// TestReaderCopied reads a tree of files in which nothing may be trusted.
func TestReaderCopied(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	write := func(name, text string) {
		t.Helper()
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(secret, []byte(statLine), 0o644); err != nil {
		t.Fatal(err)
	}
	write("42/stat", statLine)
	write("42/cmdline", strings.Repeat("x\x00", 20<<10))
	write("007/stat", statLine)
	write("43x/stat", statLine)
	write("44/cmdline", "")
	write("net/tcp", strings.Repeat("line\n", 100_000)+"last")
	for from, to := range map[string]string{"44/stat": secret, "45": filepath.Join(dir, "42"), "42/exe": "/bin/x"} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "42", "status"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Live() {
		t.Error("a copy is taken for the live /proc")
	}
	for range 2 { // the second listing begins anew
		pids, err := r.PIDs(nil)
		if err != nil || !slices.Equal(pids, []int64{42, 44, 45}) {
			t.Errorf("PIDs = %v, %v", pids, err)
		}
	}
	if s, err := r.Stat(42); err != nil || s.Comm != "a b) c" {
		t.Errorf("Stat = %+v, %v", s, err)
	}
	if c, err := r.Cmdline(42); err != nil || len(c) != 40<<10-1 {
		t.Errorf("Cmdline of %d bytes, %v", len(c), err)
	}
	if exe, err := r.Exe(42); err != nil || exe != "/bin/x" {
		t.Errorf("Exe = %q, %v", exe, err)
	}
	if _, err := r.Status(42); err == nil {
		t.Error("a FIFO was read")
	}
	if _, err := r.Stat(44); err == nil {
		t.Error("a link was followed out of the tree")
	}
	if _, err := r.Stat(45); err == nil {
		t.Error("a link to a folder was followed")
	}
	n, last := 0, ""
	if err := r.Lines("net/tcp", func(b []byte) { n++; last = string(b) }); err != nil || n != 100_001 || last != "last" {
		t.Errorf("%d lines, the last %q, %v", n, last, err)
	}
}

func BenchmarkStat(b *testing.B) {
	var s Stat
	for b.Loop() {
		_ = ParseStat([]byte(statLine), &s, nil)
	}
}
