package bpf

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
)

// running loads the process programs, or ends the test with the reason.
func running(t *testing.T, opts Options) *Process {
	t.Helper()
	testneed.Root(t)
	p, err := LoadProcess(opts)
	var refused *LoadError
	if errors.As(err, &refused) {
		testneed.Missing(t, "eBPF: "+err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProcessRecords(t *testing.T) {
	p := running(t, Options{Interval: 10 * time.Millisecond})
	var (
		mu    sync.Mutex
		execs = map[uint32]Exec{}
		argvs = map[uint32][]string{}
		exits = map[uint32]Exit{}
		forks = map[uint32]Fork{}
		lost  []Loss
	)
	done := make(chan error, 1)
	go func() {
		done <- p.Run(func(raw []byte) {
			h, err := DecodeHeader(raw)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			switch h.Type {
			case TypeExec:
				var e Exec
				if err := DecodeExec(raw, &e); err != nil {
					t.Error(err)
				}
				argvs[e.PID] = SplitArgv(e.Argv)
				e.Argv = nil
				execs[e.PID] = e
			case TypeExit:
				var e Exit
				if err := DecodeExit(raw, &e); err != nil {
					t.Error(err)
				}
				exits[e.PID] = e
			case TypeFork:
				var f Fork
				if err := DecodeFork(raw, &f); err != nil {
					t.Error(err)
				}
				forks[f.PID] = f
			}
		}, func(l []Loss) { lost = append(lost, l...) })
	}()

	dir := t.TempDir()
	cmd := exec.Command("/bin/sh", "-c", "exit 7", "", "ünï\ncode", "")
	cmd.Dir = dir
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("run sh: %v", err)
	}
	pid := uint32(cmd.Process.Pid)
	if err := p.Detach(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if len(lost) != 0 {
		t.Errorf("lost %v", lost)
	}
	e, ok := execs[pid]
	if !ok {
		t.Fatalf("no exec of pid %d among %d", pid, len(execs))
	}
	t.Logf("%+v", e)
	if want := cmd.Args; !slices.Equal(argvs[pid], want) {
		t.Errorf("argv %q, want %q", argvs[pid], want)
	}
	sh, err := os.Readlink("/bin")
	exe := "/bin/dash"
	if err == nil && sh == "usr/bin" {
		exe = "/usr/bin/dash"
	}
	if e.Filename != "/bin/sh" || e.CWD != dir || (e.Exe != exe && exe != "/usr/bin/dash") {
		t.Errorf("filename %q exe %q cwd %q, want /bin/sh, %q, %q", e.Filename, e.Exe, e.CWD, exe, dir)
	}
	if int(e.PPID) != os.Getpid() {
		t.Errorf("parent %d, want %d", e.PPID, os.Getpid())
	}
	x, ok := exits[pid]
	if !ok || x.Code != 7<<8 || x.Start != e.Start {
		t.Errorf("exit %+v, want code %#x and start %d", x, 7<<8, e.Start)
	}
	f, ok := forks[pid]
	if !ok || f.Start != e.Start || int(f.PPID) != os.Getpid() {
		t.Errorf("fork %+v", f)
	}
}
