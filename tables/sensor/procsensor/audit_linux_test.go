package procsensor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
)

func audit(o Options) sensor.Mechanism { return NewAudit(o) }

func TestAuditExecs(t *testing.T) { testExecs(t, audit) }

// auditState is what the audit must be after us as it was before.
func auditState(t *testing.T) (s auditStatus, rules []byte) {
	t.Helper()
	testneed.Root(t)
	c, err := openAuditControl()
	if err != nil {
		testneed.Missing(t, "audit: "+err.Error())
	}
	defer c.close()
	if s, err = c.status(); err != nil {
		testneed.Missing(t, "audit: "+err.Error())
	}
	err = c.ask(auditListRules, nil, func(kind uint16, data []byte) {
		if kind == auditListRules {
			rules = append(rules, data...)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, rules
}

func TestAuditLeavesNothing(t *testing.T) {
	before, rulesBefore := auditState(t)
	c, run, _ := begin(t, audit, Options{})
	during, rulesDuring := auditState(t)
	if during.Enabled != 1 || int(during.PID) != os.Getpid() || during.Backlog < auditBacklog || bytes.Equal(rulesBefore, rulesDuring) {
		t.Errorf("while it runs the audit says %+v", during)
	}
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}
	after, rulesAfter := auditState(t)
	if after.Enabled != before.Enabled || after.PID != before.PID || after.Backlog != before.Backlog || after.WaitTime != before.WaitTime {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if !bytes.Equal(rulesBefore, rulesAfter) {
		t.Errorf("rules before %x, after %x", rulesBefore, rulesAfter)
	}
	if len(c.lost) != 0 {
		t.Errorf("lost %v", c.lost)
	}
}

// TestAuditHeld has another process take the audit and wants a refusal that
// names it.
func TestAuditHeld(t *testing.T) {
	auditState(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	other := exec.Command(exe)
	other.Env = append(os.Environ(), holdAudit+"=1")
	other.Stderr = os.Stderr
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	said, _ := bufio.NewReader(out).ReadString('\n')
	if said == "held\n" {
		_, err = NewAudit(Options{Tree: treeOfNothing(t)}).Start(context.Background(), newCollector())
	}
	_ = in.Close()
	if werr := other.Wait(); werr != nil {
		t.Fatal(werr)
	}
	if said != "held\n" {
		testneed.Missing(t, "audit: "+said)
	}
	var refused *Unavailable
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", other.Process.Pid)) {
		t.Errorf("start beside process %d: %v", other.Process.Pid, err)
	}
}

// holdAudit makes this program take the audit until its input ends.
const holdAudit = "PROCSENSOR_TEST_HOLD_AUDIT"

// exitThreads makes this program end with code 9 while threads of it wait.
const exitThreads = "PROCSENSOR_TEST_EXIT_THREADS"

func TestMain(m *testing.M) {
	if os.Getenv(exitThreads) != "" {
		ready := make(chan struct{})
		for range 8 {
			go func() {
				runtime.LockOSThread()
				ready <- struct{}{}
				select {}
			}()
			<-ready
		}
		os.Exit(9)
	}
	if os.Getenv(holdAudit) == "" {
		os.Exit(m.Run())
	}
	tree, err := proctree.New(proctree.Options{})
	if err == nil {
		var run sensor.Running
		if run, err = NewAudit(Options{Tree: tree}).Start(context.Background(), newCollector()); err == nil {
			fmt.Println("held")
			_, _ = io.Copy(io.Discard, os.Stdin)
			err = run.Close()
		} else {
			fmt.Println(err)
			os.Exit(0)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
