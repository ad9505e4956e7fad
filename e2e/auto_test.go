package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/wire"
)

type ruleAlert struct {
	Rule struct {
		ID string `json:"id"`
	} `json:"rule"`
	Process struct {
		PID int64 `json:"pid"`
	} `json:"process"`
	Actions []wire.ActionState `json:"actions"`
}

// TestRuleActs has a rule end a process, which it may only once a person has
// approved that version of it and where the agent runs with -respond auto.
func TestRuleActs(t *testing.T) {
	testneed.Root(t)
	f := newFleet(t, "-dirs", "/nonexistent-edr-e2e", "-cpulimit", "100", "-respond", "auto")
	name := "edr-e2e-act"
	program := filepath.Join(f.dir, name)
	if err := os.Rename(f.miner(), program); err != nil {
		t.Fatal(err)
	}
	text := func(severity string) string {
		return fmt.Sprintf(`{"id": "e2e_act", "name": "ended by rule", "type": "process", "severity": %q, "enabled": true,
	"conditions": ["name = '%s'"], "actions": ["alert", "terminate_process"]}`, severity, name)
	}
	var made struct {
		Rules []struct {
			ID, Version string
		} `json:"rules"`
	}
	if err := f.request("POST", "/rules", map[string]any{"text": text("high")}, &made); err != nil {
		t.Fatal(err)
	}
	// state runs the program until an alert tells what the rule did with it.
	state := func(want string) {
		t.Helper()
		f.eventually("the state "+want, func() error {
			cmd := f.run(program, "600")
			var last string
			for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
				var r struct {
					Alerts []ruleAlert `json:"alerts"`
				}
				if err := f.get("/alerts?limit=500", &r); err != nil {
					return err
				}
				for _, a := range r.Alerts {
					if a.Rule.ID != "e2e_act" || a.Process.PID != int64(cmd.Process.Pid) {
						continue
					}
					i := slices.IndexFunc(a.Actions, func(x wire.ActionState) bool { return x.Action == "terminate_process" })
					if i < 0 {
						continue
					}
					if last = fmt.Sprintf("%+v", a.Actions[i]); a.Actions[i].State == want {
						alive := cmd.Process.Signal(syscall.Signal(0)) == nil
						if want == "observed" && !alive {
							t.Error("a rule that nobody approved ended the process")
						}
						if want == "done" {
							if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
								t.Errorf("the process ended by %v, want signal: killed", err)
							}
						}
						return nil
					}
				}
			}
			return fmt.Errorf("pid %d: %s", cmd.Process.Pid, last)
		})
	}
	state("observed")
	r := made.Rules[0]
	if err := f.request("POST", "/rules/"+r.ID+"/approve", map[string]any{"version": r.Version}, nil); err != nil {
		t.Fatal(err)
	}
	state("done")
}
