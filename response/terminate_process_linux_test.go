package response

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/wire"
)

func statOf(t *testing.T, pid int) procStat {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	st, err := parseStat(raw)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func terminate(pid int, start int64, dry bool) wire.Outcome {
	args, _ := json.Marshal(TerminateProcessArgs{PID: int64(pid), StartTime: start})
	return NewSet(All(Options{})...).Run(context.Background(), wire.Respond{ID: "r1", Action: "terminate_process", Args: args, DryRun: dry})
}

func TestTerminateEndsTheProcessThatWasMeant(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	pid := cmd.Process.Pid
	start := statOf(t, pid).startTicks * tick

	wrong := terminate(pid, start+10*tick, false)
	if wrong.State != "failed" || !strings.Contains(wrong.Error, "another one now") {
		t.Errorf("another start time: %+v", wrong)
	}
	dry := terminate(pid, start, true)
	if dry.State != "planned" || !strings.Contains(dry.Plan, "sleep 60") {
		t.Errorf("dry run: %+v", dry)
	}
	select {
	case err := <-ended:
		t.Fatalf("the process ended too early: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	// A start time from the kernel is finer than a tick.
	done := terminate(pid, start+tick/2, false)
	if done.State != "done" || !strings.Contains(done.Seen, "has ended") {
		t.Errorf("kill: %+v", done)
	}
	if err := <-ended; err == nil || err.Error() != "signal: killed" {
		t.Errorf("the process ended by %v, want signal: killed", err)
	}
	again := terminate(pid, start, false)
	if again.State != "failed" || !strings.Contains(again.Error, "gone already") {
		t.Errorf("a second time: %+v", again)
	}
}

func TestTerminateRefuses(t *testing.T) {
	self := statOf(t, os.Getpid()).startTicks * tick
	cases := map[string]struct {
		pid   int
		start int64
		want  string
	}{
		"init":   {1, 1, "init"},
		"itself": {os.Getpid(), self, "agent itself"},
	}
	// kthreadd is not visible in a container.
	if raw, err := os.ReadFile("/proc/2/stat"); err == nil {
		if st, err := parseStat(raw); err == nil && st.name == "kthreadd" {
			cases["a kernel thread"] = struct {
				pid   int
				start int64
				want  string
			}{2, max(st.startTicks*tick, 1), "kernel thread"}
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if out := terminate(c.pid, c.start, false); out.State != "refused" || !strings.Contains(out.Error, c.want) {
				t.Errorf("got %+v", out)
			}
		})
	}
}

func TestBadArguments(t *testing.T) {
	set := NewSet(All(Options{})...)
	for args, want := range map[string]string{
		`{"pid":0,"start_time_ns":1}`:             "above 0",
		`{"pid":5}`:                               "start_time_ns",
		`{"pid":5,"start_time_ns":1,"tree":true}`: "unknown field",
		`[]`:  "terminate_process",
		`{"p`: "terminate_process",
	} {
		out := set.Run(context.Background(), wire.Respond{Action: "terminate_process", Args: json.RawMessage(args)})
		if out.State != "failed" || !strings.Contains(out.Error, want) {
			t.Errorf("%s: got %+v, want an error with %q", args, out, want)
		}
	}
	out := set.Run(context.Background(), wire.Respond{Action: "format_disk"})
	if out.State != "refused" || !strings.Contains(out.Error, "terminate_process") {
		t.Errorf("unknown action: %+v", out)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (a) b) (c) S 1 42 42 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0"))
	f.Add([]byte("42 (x"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := parseStat(b)
		if err == nil && !strings.Contains(string(b), "("+st.name+")") {
			t.Errorf("the name %q is not in %q", st.name, b)
		}
	})
}
