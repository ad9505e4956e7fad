package process

import (
	"bufio"
	"errors"
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

	"github.com/aiedr/edr/tables"
	. "github.com/aiedr/edr/tables/tablestest"
)

func stat(pid int, comm string, state byte, ppid int, flags uint64, start int) string {
	return fmt.Sprintf("%d (%s) %c %d %d 1 0 -1 %d 0 0 0 0 150 25 0 0 20 5 2 0 %d 4096000 100 0\n", pid, comm, state, ppid, pid, flags, start)
}

const container = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func machine(t *testing.T) *tables.Host {
	return Host(t, map[string]string{
		"etc/passwd":      "root:x:0:0::/root:/bin/sh\ndup:x:0:0::/:/bin/sh\nweb:x:33:33::/var/www:/bin/sh\n",
		"usr/sbin/init":   "elf",
		"proc/stat":       "cpu 1\nbtime 1700000000\n",
		"proc/1/stat":     stat(1, "init", 'S', 0, 0, 3),
		"proc/1/status":   "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nTgid:\t1\nVmSize:\t 8 kB\nVmRSS:\t 4 kB\n",
		"proc/1/cmdline":  "/sbin/init\x00splash\x00",
		"proc/1/exe":      "-> /usr/sbin/init",
		"proc/1/cwd":      "-> /",
		"proc/1/root":     "-> /",
		"proc/1/io":       "read_bytes: 100\nwrite_bytes: 50\ncancelled_write_bytes: 60\n",
		"proc/1/cgroup":   "0::/init.scope\n",
		"proc/2/stat":     stat(2, "kthreadd", 'S', 0, 0x200000, 0),
		"proc/2/status":   "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nTgid:\t2\n",
		"proc/2/io":       "read_bytes: 0\n",
		"proc/2/cgroup":   "0::/\n",
		"proc/30/stat":    stat(30, "sh) evil", 'R', 1, 0, 12345),
		"proc/30/status":  "Uid:\t33\t0\t33\t33\nGid:\t33\t34\t35\t36\nTgid:\t30\nVmSize:\t 8 kB\nVmRSS:\t 4 kB\nVmLck:\t 2 kB\n",
		"proc/30/cmdline": "sh\x00-c\x00id\x00",
		"proc/30/exe":     "-> /tmp/sh (deleted)",
		"proc/30/cwd":     "-> /tmp",
		"proc/30/root":    "-> /",
		"proc/30/io":      "read_bytes: 1\nwrite_bytes: 70\ncancelled_write_bytes: 20\n",
		"proc/30/cgroup":  "0::/system.slice/docker-" + container + ".scope\n",
		"proc/40/stat":    "40 broken",
		"proc/40/cmdline": "x",
		"proc/50/cmdline": "no stat: it ended while it was read",
		"proc/60/stat":    stat(60, "defunct", 'Z', 30, 0, 99),
		"proc/60/status":  "Uid:\t7\t7\t7\t7\nGid:\t7\t7\t7\t7\nTgid:\t60\n",
		"proc/60/io":      "read_bytes: 0\n",
		"proc/60/cgroup":  "0::/\n",
		"proc/70/stat":    stat(70, "thread", 'S', 1, 0, 99),
		"proc/70/status":  "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nTgid:\t1\n",
	})
}

func TestFixture(t *testing.T) {
	r := Scan(t, Processes, machine(t))
	if r.Err != nil || len(r.Rows) != 4 {
		t.Fatalf("%d rows, %v", len(r.Rows), r.Err)
	}
	Want(t, r.Find(t, "pid", 1), map[string]any{
		"name": "init", "path": "/usr/sbin/init", "cmdline": "/sbin/init splash", "on_disk": 1, "username": "root",
		"resident_size": 4096, "total_size": 8192, "disk_bytes_read": 100, "disk_bytes_written": 0, "parent": 0,
		"parent_name": nil, "cgroup_path": "/init.scope", "container_id": "", "user_time": 1500, "system_time": 250,
		"start_time": 1700000000, "start_time_ns": 30_000_000, "nice": 5, "threads": 2, "elevated_token": nil,
	})
	Want(t, r.Find(t, "pid", 30), map[string]any{
		"name": "sh) evil", "path": "/tmp/sh", "cmdline": "sh -c id", "on_disk": 0, "state": "R", "cwd": "/tmp", "root": "/",
		"uid": 33, "euid": 0, "suid": 33, "gid": 33, "egid": 34, "sgid": 35, "username": "web", "wired_size": 2048,
		"disk_bytes_written": 50, "start_time": 1700000123, "start_time_ns": 123_450_000_000, "parent": 1, "pgroup": 30,
		"parent_name": "init", "parent_path": "/usr/sbin/init", "parent_cmdline": "/sbin/init splash", "container_id": container,
	})
	Want(t, r.Find(t, "pid", 2), map[string]any{"path": "", "cmdline": "", "on_disk": -1, "username": "root"})
	Want(t, r.Find(t, "pid", 60), map[string]any{
		"state": "Z", "path": "", "username": nil, "parent_name": "sh) evil", "parent_path": "/tmp/sh", "parent_cmdline": "sh -c id",
	})
	broken := false
	for _, w := range r.Warnings {
		broken = broken || strings.Contains(w.Error(), "process 40 left out")
	}
	if !broken {
		t.Errorf("the broken stat was not told: %v", r.Warnings)
	}
}

func TestPushdown(t *testing.T) {
	host := machine(t)
	for _, c := range []struct {
		con  tables.Constraint
		want int
	}{
		{Equals("pid", 30), 1}, {Equals("pid", 30, 1, 30, 999, -1, 1<<40), 2}, {Equals("pid", "1"), 1},
		{Equals("pid", 70), 0}, // a thread
		{Equals("pid", 50), 0},
	} {
		r := Columns(t, Processes, host, []string{"pid", "name"}, c.con)
		if r.Err != nil || len(r.Rows) != c.want {
			t.Errorf("%v: %v, %v; want %d rows", c.con, r.Rows, r.Err, c.want)
		}
	}
}

// TestWanted reads only the files that the wanted columns need: the others of
// this process cannot be read.
func TestWanted(t *testing.T) {
	host := Host(t, map[string]string{"proc/9/stat": stat(9, "x", 'S', 1, 0, 1)})
	r := Columns(t, Processes, host, []string{"pid", "name", "parent", "start_time_ns"})
	if r.Err != nil || len(r.Rows) != 1 || len(r.Warnings) != 0 {
		t.Errorf("%v, %v, %v", r.Rows, r.Err, r.Warnings)
	}
	if r := Scan(t, Processes, Host(t, map[string]string{"etc/": ""})); r.Err == nil {
		t.Error("a machine without /proc has no error")
	}
	if r := Columns(t, Processes, host, []string{"start_time"}); r.Err == nil {
		t.Error("a start time without a boot time has no error")
	}
}

func TestLiveProcesses(t *testing.T) {
	before := time.Now().Unix()
	cmd := exec.Command("sleep", "100")
	cmd.Dir = t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	host := Live(t)
	r := Scan(t, Processes, host)
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	row := r.Find(t, "pid", cmd.Process.Pid)
	exe, _ := filepath.EvalSymlinks(cmd.Path)
	self, _ := os.Executable()
	dir, _ := filepath.EvalSymlinks(cmd.Dir)
	Want(t, row, map[string]any{
		"name": "sleep", "path": exe, "cmdline": "sleep 100", "parent": os.Getpid(), "parent_path": self, "on_disk": 1,
		"uid": os.Getuid(), "egid": os.Getegid(), "cwd": dir, "root": "/", "threads": 1,
		"parent_cmdline": strings.Join(os.Args, " "),
	})
	if start := row["start_time"].(int64); start < before-3 || start > time.Now().Unix()+3 {
		t.Errorf("start_time %d, the test began at %d", start, before)
	}
	if row["resident_size"].(int64) <= 0 || row["start_time_ns"].(int64) <= 0 {
		t.Errorf("%v", row)
	}
	// By its number it is the same row, but for what moves.
	one := Scan(t, Processes, host, Equals("pid", cmd.Process.Pid)).Find(t, "pid", cmd.Process.Pid)
	for _, c := range []string{"path", "cmdline", "start_time_ns", "parent_path", "cgroup_path", "username"} {
		if one[c] != row[c] {
			t.Errorf("%s: %v by pid, %v in the list", c, one[c], row[c])
		}
	}
}

// TestMain lets the test be its own child: a program whose first thread ends
// while another lives on until its input ends.
func TestMain(m *testing.M) {
	if os.Getenv("EDR_TEST_HEADLESS") == "" {
		os.Exit(m.Run())
	}
	runtime.LockOSThread()
	if syscall.Gettid() != os.Getpid() {
		fmt.Println("not the first thread")
		os.Exit(1)
	}
	go func() {
		for { // until the first thread is a zombie
			b, err := os.ReadFile("/proc/self/stat")
			if err != nil || strings.Contains(string(b), ") Z ") {
				break
			}
		}
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	_, _, _ = syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
}

// TestHeadless sees what a process runs whose first thread has ended: it looks
// like a zombie and is none.
func TestHeadless(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-hidden")
	cmd.Env = append(os.Environ(), "EDR_TEST_HEADLESS=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if line == "not the first thread\n" {
		t.Skip("the runtime did not run main on the first thread")
	}
	if line != "ready\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	row := Scan(t, Processes, Live(t)).Find(t, "pid", cmd.Process.Pid)
	self, _ := os.Executable()
	Want(t, row, map[string]any{"state": "Z", "path": self, "cmdline": os.Args[0] + " -hidden", "root": "/", "on_disk": 1})
}

// TestChurn reads the processes while others come and go: none may come as half
// a row, and no end of one is an error.
func TestChurn(t *testing.T) {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; n < 300; n++ {
			select {
			case <-stop:
				return
			default:
				_ = exec.Command("sleep", "0.004").Run()
			}
		}
	}()
	host := Live(t)
	seen := 0
	for range 30 {
		r := Scan(t, Processes, host)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		for _, w := range r.Warnings {
			if errors.Is(w, syscall.ESRCH) || errors.Is(w, syscall.ENOENT) || strings.Contains(w.Error(), "left out") {
				t.Error(w)
			}
		}
		for _, row := range r.Rows {
			// One that is ending has no memory any more, and no path.
			if row["name"] == "sleep" && row["total_size"] != int64(0) {
				seen++
				// The name is set before the arguments are, so these may lack.
				if row["path"] == "" || row["cwd"] == "" || row["root"] == "" {
					t.Errorf("half a row: %v", row)
				}
			}
		}
	}
	t.Logf("%d short-lived processes seen", seen)
	close(stop)
	<-done
}
