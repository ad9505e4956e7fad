package process

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/procfs"
	. "github.com/aiedr/edr/tables/tablestest"
)

// drifts are the columns that change from one reading to the next, with how
// much they may.
var drifts = map[string]int64{
	"resident_size": 4 << 20, "total_size": 64 << 20, "user_time": 500, "system_time": 500,
	"disk_bytes_read": 64 << 20, "disk_bytes_written": 64 << 20, "threads": 4,
}

// sleeper starts a program that sleeps, and ends it with the test.
func sleeper(t *testing.T, path, dir string) int64 {
	t.Helper()
	cmd := exec.Command(path, "60")
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return int64(cmd.Process.Pid)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestListAgreesWithProc: the kernel's list gives the rows that /proc gives,
// also for programs that were deleted or renamed while they run.
func TestListAgreesWithProc(t *testing.T) {
	testneed.Root(t)
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		testneed.Missing(t, "sleep")
	}
	if sleep, err = filepath.EvalSymlinks(sleep); err != nil {
		t.Fatal(err)
	}
	host := Live(t)
	host.Kept = &tables.Kept{}
	defer host.Kept.Close()
	if _, err := host.Kept.Get(listerName, func() (io.Closer, error) { return newLister() }); err != nil {
		testneed.Missing(t, err.Error())
	}
	dir := t.TempDir()
	deleted, renamed, odd := dir+"/deleted", dir+"/renamed", dir+"/odd (deleted)"
	var ours []int64
	for _, path := range []string{deleted, renamed, odd} {
		copyFile(t, sleep, path)
		ours = append(ours, sleeper(t, path, dir))
	}
	for range 3 {
		ours = append(ours, sleeper(t, sleep, "/"))
	}
	Scan(t, Processes, host) // what is remembered of it must not be used below
	if err := errors.Join(os.Remove(deleted), os.Rename(renamed, dir+"/other")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // until the new processes sleep

	plain := Live(t)
	slow := Scan(t, Processes, plain)
	quick := Scan(t, Processes, host)
	if slow.Err != nil || quick.Err != nil {
		t.Fatal(slow.Err, quick.Err)
	}
	r, err := procfs.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := &snapshot{q: &tables.Query{Host: host}, r: r}
	if s.list(); s.task(ours[0]) == nil {
		t.Fatal("the list was not used: the comparison below would say nothing")
	}
	s.unlist()
	byPID := map[any]map[string]any{}
	for _, row := range quick.Rows {
		byPID[row["pid"]] = row
	}
	again := map[any]bool{} // those that still ran after both
	for _, row := range Columns(t, Processes, plain, []string{"pid"}).Rows {
		again[row["pid"]] = true
	}
	compared, differ := 0, 0
	for _, want := range slow.Rows {
		got := byPID[want["pid"]]
		if got == nil {
			if again[want["pid"]] {
				t.Errorf("process %v (%v) is not in the list", want["pid"], want["name"])
			}
			continue
		}
		compared++
		bad := false
		for column, w := range want {
			g := got[column]
			if g == w || column == "state" {
				continue
			}
			if limit, ok := drifts[column]; ok {
				gi, _ := g.(int64)
				wi, _ := w.(int64)
				if d := gi - wi; d <= limit && -d <= limit {
					continue
				}
			}
			bad = true
			if differ < 10 {
				t.Logf("process %v (%v): %s = %v by the list, %v by /proc", want["pid"], want["name"], column, g, w)
			}
		}
		if bad {
			differ++
		}
	}
	// Others live on meanwhile: one or two may have changed between the readings.
	if compared < len(ours) || differ > 2+compared/50 {
		t.Errorf("%d of %d processes differ", differ, compared)
	}
	for i, want := range []map[string]any{
		{"path": deleted, "on_disk": int64(0), "cwd": dir}, {"path": dir + "/other", "on_disk": int64(1)}, {"path": odd, "on_disk": int64(1)},
		{"path": sleep, "on_disk": int64(1), "cwd": "/", "root": "/", "cmdline": sleep + " 60", "state": "S", "parent": int64(os.Getpid())},
	} {
		Want(t, byPID[ours[i]], want)
	}
}
