package response

import (
	"os/exec"
	"testing"
)

func TestSuspendAndResume(t *testing.T) {
	b := newBench(t, Options{})
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	pid := cmd.Process.Pid
	args := TerminateProcessArgs{PID: int64(pid), StartTime: statOf(t, pid).startTicks * tick}
	other := args
	other.StartTime += 10 * tick

	wantOutcome(t, b.run("suspend_process", other, false), "failed", "another one now")
	wantOutcome(t, b.run("suspend_process", TerminateProcessArgs{PID: 1, StartTime: 1}, false), "refused", "init")
	wantOutcome(t, b.run("suspend_process", args, true), "planned", "stop process")
	if st := statOf(t, pid); stopped(st.state) {
		t.Fatal("a dry run stopped the process")
	}
	out := b.run("suspend_process", args, false)
	wantOutcome(t, out, "done", "stands (state T)")
	if st := statOf(t, pid); st.state != 'T' {
		t.Errorf("its state is %c, want T", st.state)
	}
	again := b.run("suspend_process", args, false)
	wantOutcome(t, again, "done", "stood already")
	if again.Undo != nil {
		t.Errorf("a stop that was not ours is undone by %s", again.Undo)
	}
	wantOutcome(t, b.undo(out), "done", "runs on")
	if st := statOf(t, pid); stopped(st.state) {
		t.Errorf("its state is %c after it was resumed", st.state)
	}
}
