package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
)

type alert struct {
	ID   any `json:"id"`
	Rule struct {
		ID string `json:"id"`
	} `json:"rule"`
	Count   int64 `json:"count"`
	Process struct {
		PID       int64  `json:"pid"`
		StartTime int64  `json:"start_time_ns"`
		Cmdline   string `json:"cmdline"`
	} `json:"process"`
	Ancestry []struct {
		PID int64 `json:"pid"`
	} `json:"ancestry"`
}

// miner copies sleep to a temporary folder under a known miner's name.
func (f *fleet) miner() string {
	f.t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		f.t.Fatal(err)
	}
	b, err := os.ReadFile(sleep)
	if err != nil {
		f.t.Fatal(err)
	}
	path := filepath.Join(f.dir, "xmrig")
	if err := os.WriteFile(path, b, 0o755); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// run starts a miner that the test ends again.
func (f *fleet) run(miner, seconds string) *exec.Cmd {
	f.t.Helper()
	cmd := exec.Command(miner, seconds)
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have been ended by the test
		_ = cmd.Wait()
	})
	return cmd
}

// counts is how often each command line was reported by the miner rule.
func (f *fleet) counts() (map[string]int64, error) {
	var r struct {
		Alerts []alert `json:"alerts"`
	}
	if err := f.get("/alerts?limit=500", &r); err != nil {
		return nil, err
	}
	got := map[string]int64{}
	for _, a := range r.Alerts {
		if a.Rule.ID == "miner_process" && strings.HasPrefix(a.Process.Cmdline, f.dir) {
			got[a.Process.Cmdline] += a.Count
		}
	}
	return got, nil
}

// TestEveryHitArrivesOnce stops the server, then kills agent and server with
// SIGKILL in turn while hits are made.
func TestEveryHitArrivesOnce(t *testing.T) {
	testneed.Root(t)
	f := newFleet(t, "-dirs", "/nonexistent-edr-e2e", "-cpulimit", "100")
	miner := f.miner()
	made := map[string]bool{}
	hits := func(phase int) {
		for i := range 5 {
			seconds := fmt.Sprintf("%d%02d.5", 100+phase, i)
			f.run(miner, seconds)
			made[miner+" "+seconds] = true
		}
	}
	arrived := func(when string) {
		t.Helper()
		f.eventually("every hit "+when, func() error {
			got, err := f.counts()
			if err != nil {
				return err
			}
			for cmd := range made {
				if got[cmd] == 0 {
					return fmt.Errorf("%d of %d arrived, not %q", len(got), len(made), cmd)
				}
			}
			return nil
		})
	}
	hits(1)
	arrived("with everything running")

	f.server.kill(syscall.SIGTERM)
	hits(2)
	time.Sleep(2 * time.Second)
	f.startServer()
	arrived("after the server was stopped")

	hits(3)
	f.server.kill(syscall.SIGKILL)
	hits(4)
	f.startServer()
	arrived("after the server was killed")

	hits(5)
	f.agent.kill(syscall.SIGKILL)
	hits(6)
	f.startAgent()
	hits(7)
	arrived("after the agent was killed")

	// A second restart finds the same processes again, and reports none twice.
	f.agent.kill(syscall.SIGKILL)
	f.startAgent()
	hits(8)
	arrived("after the agent was killed again")
	time.Sleep(3 * time.Second)
	got, err := f.counts()
	if err != nil {
		t.Fatal(err)
	}
	for cmd, n := range got {
		if n != 1 || !made[cmd] {
			t.Errorf("%q was reported %d times, want once (made: %v)", cmd, n, made[cmd])
		}
	}
}

// TestKillFromTheAPI ends exactly the process of an alert.
func TestKillFromTheAPI(t *testing.T) {
	testneed.Root(t)
	f := newFleet(t, "-dirs", "/nonexistent-edr-e2e", "-cpulimit", "100")
	miner := f.miner()
	cmd := f.run(miner, "777.5")
	other := f.run(miner, "778.5")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	var found alert
	f.eventually("the alert", func() error {
		var r struct {
			Alerts []alert `json:"alerts"`
		}
		if err := f.get("/alerts?limit=500", &r); err != nil {
			return err
		}
		for _, a := range r.Alerts {
			if a.Rule.ID == "miner_process" && a.Process.PID == int64(cmd.Process.Pid) {
				found = a
				return nil
			}
		}
		return fmt.Errorf("%d alerts, none of pid %d", len(r.Alerts), cmd.Process.Pid)
	})
	if len(found.Ancestry) == 0 || found.Ancestry[0].PID != int64(os.Getpid()) {
		t.Errorf("the ancestry is %+v, want it to begin with the test, pid %d", found.Ancestry, os.Getpid())
	}
	var hosts struct {
		Hosts []struct {
			ID string `json:"id"`
		} `json:"hosts"`
	}
	if err := f.get("/hosts", &hosts); err != nil {
		t.Fatal(err)
	}
	var resp struct {
		ID, State, Seen, Error string
	}
	if err := f.request("POST", "/responses", map[string]any{"host": hosts.Hosts[0].ID, "action": "terminate_process",
		"args": map[string]any{"pid": found.Process.PID, "start_time_ns": found.Process.StartTime}, "reason": "e2e", "alert": found.ID}, &resp); err != nil {
		t.Fatal(err)
	}
	f.eventually("the outcome", func() error {
		if err := f.get("/responses/"+resp.ID, &resp); err != nil {
			return err
		}
		if resp.State == "pending" || resp.State == "sent" {
			return fmt.Errorf("state %s", resp.State)
		}
		return nil
	})
	if resp.State != "done" || !strings.Contains(resp.Seen, "has ended") {
		t.Errorf("the response is %+v", resp)
	}
	if err := <-ended; err == nil || err.Error() != "signal: killed" {
		t.Errorf("the process ended by %v, want signal: killed", err)
	}
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the other process is gone as well: %v", err)
	}
}
