package agent

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/procfs"
	"github.com/aiedr/edr/wire"
)

func TestHitTellsTheProcessAndItsAncestry(t *testing.T) {
	d, k := newDetector(t, "observe", minerRule)
	d.see(execution(99, 81e9+3, "/tmp/xmrig", "/tmp/xmrig -o pool"), execution(100, 82e9, "/bin/ls", "ls"))
	if len(k.hits) != 1 {
		t.Fatalf("%d hits, want 1", len(k.hits))
	}
	h := k.hits[0]
	if h.Rule.ID != "7" || h.Severity != "high" || h.Title != "Miner" || len(h.Attack) != 1 || h.Count != 1 {
		t.Errorf("the hit is %+v", h)
	}
	if h.Process == nil || h.Process.PID != 99 || h.Process.StartTime != 81e9+3 || h.Process.Cmdline != "/tmp/xmrig -o pool" {
		t.Errorf("its process is %+v", h.Process)
	}
	if len(h.Ancestry) != 2 || h.Ancestry[0].Name != "bash" || h.Ancestry[1].PID != 1 {
		t.Errorf("its ancestry is %+v", h.Ancestry)
	}
	if len(h.Actions) != 1 || h.Actions[0].State != "observed" {
		t.Errorf("its actions are %+v", h.Actions)
	}
	if !hasField(h, "cmdline", "/tmp/xmrig -o pool") || hasField(h, "cwd", "") {
		t.Errorf("its event is %+v", h.Event)
	}
}

func hasField(h wire.Hit, name, value string) bool {
	for _, f := range h.Event {
		if f.Name == name && f.Value.String() == value {
			return true
		}
	}
	return false
}

// An agent that starts again finds a process in /proc, where its start is
// rounded to a tick: the hit must be the same one.
func TestHitIDs(t *testing.T) {
	d, k := newDetector(t, "observe", minerRule)
	d.see(
		execution(99, 81_234_567_890, "/tmp/xmrig", "x"), // the kernel's event
		execution(99, 81_230_000_000, "/tmp/xmrig", "x"), // from /proc
		execution(99, 81_240_000_000, "/tmp/xmrig", "x"), // another process
		execution(99, 81_234_567_890, "/tmp/xmrig", "y"), // executed anew
	)
	if len(k.hits) != 4 {
		t.Fatalf("%d hits, want 4", len(k.hits))
	}
	if k.hits[0].ID != k.hits[1].ID {
		t.Error("the same process has two ids")
	}
	if k.hits[0].ID == k.hits[2].ID || k.hits[0].ID == k.hits[3].ID {
		t.Error("different executions have one id")
	}
	other, k2 := newDetector(t, "observe", minerRule)
	other.bootID = "another boot"
	other.see(execution(99, 81_234_567_890, "/tmp/xmrig", "x"))
	if k2.hits[0].ID == k.hits[0].ID {
		t.Error("the same pid and start after a reboot has the same id")
	}
}

func TestEndsHitOnlyRulesThatAskForThem(t *testing.T) {
	d, k := newDetector(t, "observe", `[`+minerRule+`,
		{"id":8,"name":"crash","type":"process","severity":"low","enabled":true,"conditions":["name = 'xmrig' and action = 'exit'"],"actions":["alert"]}]`)
	end := &event.Exit{Actor: event.Actor{PID: 99, StartTime: 81e9, Path: "/tmp/xmrig"}, Name: "xmrig"}
	end.At(time.Unix(1_700_000_200, 0))
	d.see(execution(99, 81e9, "/tmp/xmrig", "x"), end)
	if len(k.hits) != 2 || k.hits[0].Rule.ID != "7" || k.hits[1].Rule.ID != "8" {
		t.Errorf("the hits are %+v", k.hits)
	}
}

func TestFileAndNetworkRules(t *testing.T) {
	d, k := newDetector(t, "observe", `[
		{"id":"f","name":"cron","type":"file","severity":"low","enabled":true,"conditions":["file_path startswith '/etc/cron' and action = 'CREATED' and name = 'vi'"],"actions":["alert"]},
		{"id":"n","name":"port","type":"network","severity":"low","enabled":true,"conditions":["remote_port = 4444 and direction = 'outbound' and ancestors contains 'bash'"],"actions":["alert"]}]`)
	f := &event.File{TargetPath: "/etc/cron.d/x", Action: event.FileCreated, PID: 99, Process: "/usr/bin/vi", Name: "vi"}
	f.At(time.Unix(1_700_000_200, 0))
	n := &event.Socket{Actor: event.Actor{PID: 99, StartTime: 5, Path: "/bin/nc"}, Action: "connect", RemoteAddress: "192.0.2.1", RemotePort: 4444, Protocol: 6}
	n.At(time.Unix(1_700_000_201, 0))
	d.see(f, n)
	if len(k.hits) != 2 || k.hits[0].Entity != "/etc/cron.d/x" || k.hits[1].Entity != "/bin/nc 192.0.2.1:4444" {
		t.Errorf("the hits are %+v", k.hits)
	}
}

// A rule acts only in the version that a person approved, on a host that lets it.
func TestRuleActsOnlyWhereItMay(t *testing.T) {
	loaded, _ := rule.Load("test.json", []byte(minerRule))
	version := loaded[0].Version
	for _, c := range []struct {
		respond, approved, want string
	}{
		{"observe", version, "observed"},
		{"auto", "", "observed"},
		{"auto", "an older version", "observed"},
		{"approve", version, "awaiting approval"},
		{"auto", version, "done"},
	} {
		t.Run(fmt.Sprintf("%s, approved %.8s", c.respond, c.approved), func(t *testing.T) {
			d, k := newDetector(t, c.respond, minerRule)
			if c.approved != "" {
				d.policy.set([]wire.Approval{{Rule: "7", Version: c.approved}})
			}
			cmd := exec.Command("sleep", "60")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			start := startOf(t, cmd.Process.Pid)
			d.see(execution(int64(cmd.Process.Pid), start, "/tmp/xmrig", "x"))
			hits := k.all()
			if len(hits) != 1 || len(hits[0].Actions) != 1 || hits[0].Actions[0].State != c.want {
				t.Fatalf("the hits are %+v, want the action %s", hits, c.want)
			}
			if c.want == "done" {
				if err := <-ended; err == nil || err.Error() != "signal: killed" {
					t.Errorf("the process ended by %v", err)
				}
				return
			}
			select {
			case err := <-ended:
				t.Errorf("the process was ended: %v", err)
			case <-time.After(50 * time.Millisecond):
			}
		})
	}
}

// startOf is the start of a living process in nanoseconds since boot.
func startOf(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	var st procfs.Stat
	if err := procfs.ParseStat(b, &st, func(b []byte) string { return string(b) }); err != nil {
		t.Fatal(err)
	}
	return procfs.StartNS(st.Start, 100)
}
