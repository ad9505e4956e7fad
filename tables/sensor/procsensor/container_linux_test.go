package procsensor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables/event"
)

// TestEBPFContainer puts a shell into a cgroup named as Docker names them. What
// the shell executes and is gone at once must be known to run in the container.
func TestEBPFContainer(t *testing.T) {
	c, _, _ := begin(t, ebpf, Options{Interval: 50 * time.Millisecond})
	id := strings.Repeat("0123456789abcdef", 4)
	parent := ""
	for _, dir := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"} {
		if _, err := os.Stat(dir + "/cgroup.procs"); err == nil {
			parent = dir
			break
		}
	}
	if parent == "" {
		testneed.Missing(t, "a cgroup hierarchy")
	}
	group := filepath.Join(parent, "docker-"+id+".scope")
	if err := os.Mkdir(group, 0o755); err != nil {
		testneed.Missing(t, "a cgroup of its own: "+err.Error())
	}
	t.Cleanup(func() {
		// The kernel empties it a moment after its last process has ended.
		for range 100 {
			err := unix.Rmdir(group)
			if err == nil || err == unix.ENOENT {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("%s could not be removed", group)
	})
	// The shell waits for a line, so that it is in the group before it goes on.
	cmd := exec.Command("/bin/sh", "-c", "read go; /bin/true inside; /bin/true inside; /bin/true inside")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err = os.WriteFile(group+"/cgroup.procs", []byte(strconv.Itoa(cmd.Process.Pid)), 0o600)
	_, _ = in.Write([]byte("go\n"))
	_ = in.Close()
	if werr := cmd.Wait(); werr != nil {
		t.Fatal(werr)
	}
	if err != nil {
		testneed.Missing(t, "a process moved into a cgroup: "+err.Error())
	}
	var inside []*event.Exec
	c.wait(t, "what the shell executed", func() bool {
		inside = nil
		for _, events := range c.execs {
			for _, e := range events {
				if e.Cmdline == "/bin/true inside" {
					inside = append(inside, e)
				}
			}
		}
		return len(inside) == 3
	})
	for _, e := range inside {
		if e.Container != id {
			t.Errorf("pid %d is in container %q, want %q", e.PID, e.Container, id)
		}
	}
}
