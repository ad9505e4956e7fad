package response

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/windows"

	"github.com/aiedr/edr/wire"
)

func terminate(pid int, start int64, dry bool) wire.Outcome {
	args, _ := json.Marshal(TerminateProcessArgs{PID: int64(pid), StartTime: start})
	return NewSet(All(Options{QuarantineDir: os.TempDir()})...).Run(context.Background(), wire.Respond{ID: "r1", Action: "terminate_process", Args: args, DryRun: dry})
}

func startOf(t *testing.T, pid int) int64 {
	t.Helper()
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		t.Fatal(err)
	}
	defer windows.CloseHandle(h)
	var created, ended, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &ended, &kernel, &user); err != nil {
		t.Fatal(err)
	}
	return created.Nanoseconds()
}

func TestTerminateEndsTheProcessThatWasMeant(t *testing.T) {
	cmd := exec.Command("cmd", "/c", "pause")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	pid := cmd.Process.Pid
	start := startOf(t, pid)

	if wrong := terminate(pid, start+1000, false); wrong.State != "failed" || !strings.Contains(wrong.Error, "another one now") {
		t.Errorf("another start time: %+v", wrong)
	}
	if dry := terminate(pid, start, true); dry.State != "planned" || !strings.Contains(dry.Plan, "pause") {
		t.Errorf("dry run: %+v", dry)
	}
	select {
	case err := <-ended:
		t.Fatalf("the process ended too early: %v", err)
	default:
	}
	if done := terminate(pid, start, false); done.State != "done" || !strings.Contains(done.Seen, "has ended") {
		t.Errorf("end: %+v", done)
	}
	if err := <-ended; err == nil || cmd.ProcessState.ExitCode() != exitCode {
		t.Errorf("the process ended by %v", err)
	}
	if again := terminate(pid, start, false); again.State != "failed" || !strings.Contains(again.Error, "gone already") {
		t.Errorf("a second time: %+v", again)
	}
}

func TestTerminateRefuses(t *testing.T) {
	self := startOf(t, os.Getpid())
	for pid, want := range map[int]string{systemPID: "kernel", os.Getpid(): "agent itself"} {
		if out := terminate(pid, self, false); out.State != "refused" || !strings.Contains(out.Error, want) {
			t.Errorf("%d: %+v", pid, out)
		}
	}
	if out := terminate(0, self, false); out.State != "failed" || !strings.Contains(out.Error, "above 0") {
		t.Errorf("pid 0: %+v", out)
	}
}
