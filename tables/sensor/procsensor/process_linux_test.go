package procsensor

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

// spawn executes a real binary n times with arguments that are hard to keep,
// and returns the arguments by process ID.
func spawn(t *testing.T, n int) map[int64][]string {
	t.Helper()
	truth, err := exec.LookPath("true")
	if err != nil {
		testneed.Missing(t, "the program true")
	}
	want := map[int64][]string{}
	for i := range n {
		args := []string{fmt.Sprintf("--n=%d", i), "", "two words", "zwölf ✓", "line\nbreak", "\"quoted\\\"", "\x01\x7f", "", ""}
		if i%3 == 0 {
			args = append(args, "last")
		}
		if i%50 == 0 {
			args = append(args, strings.Repeat("long ", 700))
		}
		cmd := exec.Command(truth, args...)
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		want[int64(cmd.Process.Pid)] = cmd.Args
	}
	return want
}

func checkExecs(t *testing.T, c *collector, want map[int64][]string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		t.Fatal(err)
	}
	truth, _ := exec.LookPath("true")
	truth, _ = filepath.EvalSymlinks(truth)
	for pid, argv := range want {
		events := c.execs[pid]
		if len(events) == 0 {
			t.Errorf("pid %d: no event", pid)
			continue
		}
		e := events[len(events)-1]
		var got []string
		if err := json.Unmarshal([]byte(e.Argv), &got); err != nil {
			t.Errorf("pid %d: argv %q: %v", pid, e.Argv, err)
		}
		if !slices.Equal(got, argv) {
			t.Errorf("pid %d: argv %q, want %q", pid, got, argv)
		}
		if e.Cmdline != strings.Join(argv, " ") {
			t.Errorf("pid %d: cmdline %q", pid, e.Cmdline)
		}
		if e.Parent != int64(os.Getpid()) || e.ParentPath != self {
			t.Errorf("pid %d: parent %d %q, want %d %q", pid, e.Parent, e.ParentPath, os.Getpid(), self)
		}
		if e.Filename != argv0(e.Source, argv[0]) {
			t.Errorf("pid %d: filename %q, want %q", pid, e.Filename, argv[0])
		}
		if e.Path != truth || e.Name != "true" || e.UID != 0 {
			t.Errorf("pid %d: path %q name %q uid %d", pid, e.Path, e.Name, e.UID)
		}
		if age := time.Since(e.When()); age < 0 || age > 5*time.Minute {
			t.Errorf("pid %d: happened %v ago", pid, age)
		}
		if e.StartTime == 0 {
			t.Errorf("pid %d: no start", pid)
		}
	}
}

// argv0 is the filename that a mechanism is to tell; the connector knows none.
func argv0(source, given string) string {
	if source == "connector" {
		return ""
	}
	return given
}

func testExecs(t *testing.T, make func(Options) sensor.Mechanism) {
	c, _, _ := begin(t, make, Options{Interval: 50 * time.Millisecond})
	want := spawn(t, 200)
	c.wait(t, "all executions", func() bool {
		for pid := range want {
			if len(c.execs[pid]) == 0 {
				return false
			}
		}
		return true
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	checkExecs(t, c, want)
	if len(c.lost) != 0 {
		t.Errorf("lost %v", c.lost)
	}
}

// testExits runs processes that end in each way.
func testExits(t *testing.T, make func(Options) sensor.Mechanism) {
	c, _, _ := begin(t, make, Options{Interval: 50 * time.Millisecond})
	type end struct{ code, signal int64 }
	want := map[int64]end{}
	for _, code := range []int64{0, 1, 7, 255} {
		cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf("exit %d", code))
		_ = cmd.Run()
		want[int64(cmd.Process.Pid)] = end{code, 0}
	}
	// One with many threads, whose end is one event all the same.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	threads := exec.Command(self)
	threads.Env = append(os.Environ(), exitThreads+"=1")
	_ = threads.Run()
	want[int64(threads.Process.Pid)] = end{9, 0}
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGSEGV} {
		cmd := exec.Command("/bin/sleep", "600")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		want[int64(cmd.Process.Pid)] = end{0, int64(sig)}
	}
	c.wait(t, "all ends", func() bool {
		for pid := range want {
			if c.exits[pid] == nil {
				return false
			}
		}
		return true
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.ends[int64(threads.Process.Pid)]; n != 1 {
		t.Errorf("a process with many threads ended %d times", n)
	}
	for pid, w := range want {
		e := c.exits[pid]
		if e.ExitCode != w.code || e.Signal != w.signal {
			t.Errorf("pid %d ended with code %d signal %d, want %+v", pid, e.ExitCode, e.Signal, w)
		}
		if e.Duration <= 0 || e.StartTime == 0 {
			t.Errorf("pid %d: duration %d, start %d", pid, e.Duration, e.StartTime)
		}
		if e.Parent != int64(os.Getpid()) {
			t.Errorf("pid %d: parent %d", pid, e.Parent)
		}
	}
}

func ebpf(o Options) sensor.Mechanism { return NewEBPF(o) }

func TestEBPFExecs(t *testing.T) { testExecs(t, ebpf) }
func TestEBPFExits(t *testing.T) { testExits(t, ebpf) }

// TestEBPFScript wants the interpreter as path and the script as filename.
func TestEBPFScript(t *testing.T) {
	c, _, _ := begin(t, ebpf, Options{Interval: 50 * time.Millisecond})
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/run.sh", []byte("#!/bin/sh\n:\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("./run.sh", "arg")
	cmd.Dir = dir
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	pid := int64(cmd.Process.Pid)
	c.wait(t, "the script", func() bool { return len(c.execs[pid]) > 0 })
	sh, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	e := c.execs[pid][0]
	if e.Path != sh || e.Filename != "./run.sh" || e.CWD != dir || e.Argv != `["/bin/sh","./run.sh","arg"]` {
		t.Errorf("path %q filename %q cwd %q argv %s", e.Path, e.Filename, e.CWD, e.Argv)
	}
}

// TestEBPFAncestry has a shell that forks without executing: its child is what
// it is itself, and the grandchild's ancestry goes through it though it is gone.
func TestEBPFAncestry(t *testing.T) {
	c, _, tree := begin(t, ebpf, Options{Interval: 50 * time.Millisecond})
	cmd := exec.Command("/bin/sh", "-c", "( /bin/true mark; : ); :")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	var found *event.Exec
	c.wait(t, "the grandchild", func() bool {
		for _, events := range c.execs {
			for _, e := range events {
				if e.Cmdline == "/bin/true mark" {
					found = e
				}
			}
		}
		return found != nil
	})
	up := tree.Ancestry(found.PID, found.StartTime)
	if len(up) < 3 {
		t.Fatalf("ancestry %+v", up)
	}
	for i, what := range []string{"subshell", "shell"} {
		if up[i].Name != "sh" || !strings.HasPrefix(up[i].Cmdline, "/bin/sh -c") {
			t.Errorf("%s is %+v", what, up[i])
		}
	}
	if up[0].PID == up[1].PID || up[1].PID != int64(cmd.Process.Pid) || up[2].PID != int64(os.Getpid()) {
		t.Errorf("ancestry %+v", up)
	}
}

// TestEBPFOverflow makes the ring so small that it must overflow, and wants
// every loss counted.
func TestEBPFOverflow(t *testing.T) {
	c, run, _ := begin(t, ebpf, Options{RingBytes: 4096, Interval: time.Hour})
	// The reader is held at its first event while the ring runs over.
	c.mu.Lock()
	want := spawn(t, 60)
	c.mu.Unlock()
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := 0
	for pid := range want {
		if len(c.execs[pid]) > 0 {
			seen++
		}
	}
	var lost uint64
	for _, n := range c.lost {
		lost += n
	}
	if seen == len(want) || lost < uint64(len(want)-seen) {
		t.Errorf("saw %d of %d executions and counted %v lost", seen, len(want), c.lost)
	}
}
