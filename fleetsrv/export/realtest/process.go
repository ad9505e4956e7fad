package realtest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a server that the test started.
type process struct {
	name  string
	log   string
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{}
}

// start starts a program with its output in a file.
func start(t *testing.T, dir, name string, args ...string) *process {
	t.Helper()
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	endWithUs(p.cmd)
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	began := make(chan error)
	go func() {
		// The kernel ends the child with the thread that made it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := p.cmd.Start()
		began <- err
		if err == nil {
			_ = p.cmd.Wait() // its end is what counts, not its status
		}
	}()
	if err := <-began; err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	return p
}

// stop ends it: asked first, then by force.
func (p *process) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// await waits until ready answers true, or fails the test with what the
// program wrote.
func (p *process) await(t *testing.T, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if ready() {
			return
		}
		select {
		case <-p.done:
			t.Fatalf("%s ended: %s", p.name, p.said())
		default:
		}
	}
	t.Fatalf("%s did not become ready: %s", p.name, p.said())
}

func (p *process) said() string {
	out, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(out), "\n")
	return fmt.Sprintf("the end of %s:\n%s", p.log, strings.Join(lines[max(0, len(lines)-30):], "\n"))
}
