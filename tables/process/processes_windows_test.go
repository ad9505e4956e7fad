package process

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	. "github.com/aiedr/edr/tables/tablestest"
)

func TestOwnProcess(t *testing.T) {
	r := Scan(t, Processes, Live(t), Equals("pid", int64(os.Getpid())))
	if r.Err != nil || len(r.Rows) != 1 {
		t.Fatalf("%d rows, %v", len(r.Rows), r.Err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	row := r.Rows[0]
	Want(t, row, map[string]any{"path": exe, "parent": int64(os.Getppid()), "on_disk": int64(1), "state": "STILL_ACTIVE"})
	if !strings.Contains(row["cmdline"].(string), "-test.") || !strings.HasSuffix(row["name"].(string), ".exe") || row["username"] == nil {
		t.Errorf("the row is %v", row)
	}
	if start := time.Unix(0, row["start_time_ns"].(int64)); time.Since(start) > time.Hour || start.After(time.Now()) {
		t.Errorf("it started at %v", start)
	}
	if row["resident_size"].(int64) <= 0 || row["threads"].(int64) <= 0 {
		t.Errorf("the row is %v", row)
	}
}

func TestChildNamesItsParent(t *testing.T) {
	cmd := exec.Command("cmd", "/c", "pause")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); _ = cmd.Wait() }()
	r := Scan(t, Processes, Live(t), Equals("pid", int64(cmd.Process.Pid)))
	if r.Err != nil || len(r.Rows) != 1 {
		t.Fatalf("%d rows, %v", len(r.Rows), r.Err)
	}
	row := r.Rows[0]
	Want(t, row, map[string]any{"name": "cmd.exe", "parent": int64(os.Getpid())})
	if !strings.Contains(row["parent_cmdline"].(string), "-test.") || !strings.Contains(row["cmdline"].(string), "pause") {
		t.Errorf("the row is %v", row)
	}
	gone := Scan(t, Processes, Live(t), Equals("pid", int64(1<<30)))
	if gone.Err != nil || len(gone.Rows) != 0 {
		t.Errorf("a process that is not there: %v, %v", gone.Rows, gone.Err)
	}
}
