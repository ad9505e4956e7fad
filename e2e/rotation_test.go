package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/wire/seal"
)

// asked is a live query as the API answers it.
type asked struct {
	ID    string `json:"id"`
	Done  bool   `json:"done"`
	Hosts []struct {
		State string `json:"state"`
		Error string `json:"error"`
	} `json:"hosts"`
}

// ask asks the host one statement and waits for the end of it.
func (f *fleet) ask(deadline float64) (asked, error) {
	var q asked
	if err := f.request("POST", "/queries", map[string]any{"sql": "SELECT 1 AS one", "all": true, "deadline_s": deadline}, &q); err != nil {
		return q, err
	}
	f.eventually("query "+q.ID+" ends", func() error {
		if err := f.get("/queries/"+q.ID, &q); err != nil {
			return err
		}
		if !q.Done {
			return fmt.Errorf("query %s has not ended: %+v", q.ID, q.Hosts)
		}
		return nil
	})
	return q, nil
}

func answered(q asked, err error) error {
	if err != nil {
		return err
	}
	if len(q.Hosts) != 1 || q.Hosts[0].State != "rows" {
		return fmt.Errorf("query %s: %+v", q.ID, q.Hosts)
	}
	return nil
}

// refusals are what the agent refused of its server, by name, as it tells
// itself.
func (f *fleet) refusals() (map[string]uint64, error) {
	out, err := exec.Command(filepath.Join(f.bin, "edr-agent"), "status", "-data", filepath.Join(f.dir, "agent")).Output()
	if err != nil {
		return nil, fmt.Errorf("edr-agent status: %w", err)
	}
	var s struct {
		Refused map[string]uint64 `json:"refused"`
	}
	return s.Refused, json.Unmarshal(out, &s)
}

// keySet is the serial of the key set that the agent goes by.
func (f *fleet) keySet() (uint64, error) {
	b, err := os.ReadFile(filepath.Join(f.dir, "agent", "identity", "keyset"))
	if err != nil {
		return 0, err
	}
	set, err := seal.ParseKeySet(b)
	if err != nil {
		return 0, err
	}
	return set.Serial, nil
}

func (f *fleet) hasKeySet(want uint64) {
	f.t.Helper()
	f.eventually(fmt.Sprintf("the agent goes by key set %d", want), func() error {
		have, err := f.keySet()
		if err == nil && have != want {
			err = fmt.Errorf("it has key set %d", have)
		}
		return err
	})
}

// TestKeysRotateUnderAnAgent: the server's keys change while an agent is
// connected and is asked all the while. Nothing it is asked is lost, and keys
// that were revoked are worth nothing to who has them.
func TestKeysRotateUnderAnAgent(t *testing.T) {
	testneed.Root(t)
	f := newFleet(t)
	if err := answered(f.ask(60)); err != nil {
		t.Fatalf("before: %v", err)
	}
	first, err := f.keySet()
	if err != nil {
		t.Fatal(err)
	}

	// During: one query after the other, until the agent has the new keys and
	// some more.
	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	var n int
	var failed error
	asking.Go(func() {
		for ctx.Err() == nil && failed == nil {
			failed = answered(f.ask(60))
			n++
		}
	})
	f.admin("keys", "rotate")
	f.hasKeySet(first + 1)
	stop()
	asking.Wait()
	if failed != nil || n == 0 {
		t.Fatalf("during the rotation, query %d: %v", n, failed)
	}
	if err := answered(f.ask(60)); err != nil {
		t.Fatalf("after: %v", err)
	}
	if r, err := f.refusals(); err != nil || r[seal.ErrBadSignature.Name]+r[seal.ErrUnknownKeySet.Name] > 0 {
		t.Fatalf("the agent refused something: %v, %v", r, err)
	}

	// A thief copies the server whole, keys and all; the operator revokes them.
	f.server.kill(syscall.SIGTERM)
	thief := filepath.Join(f.dir, "thief")
	if err := os.CopyFS(thief, os.DirFS(filepath.Join(f.dir, "server"))); err != nil {
		t.Fatal(err)
	}
	f.startServer()
	f.eventually("the agent is back", func() error { return answered(f.ask(10)) })
	f.admin("keys", "revoke")
	f.eventually("the agent goes by the keys after the revocation", func() error {
		if err := answered(f.ask(10)); err != nil {
			return err
		}
		have, err := f.keySet()
		if err == nil && have != first+2 {
			err = fmt.Errorf("it has key set %d", have)
		}
		return err
	})
	before, err := f.refusals()
	if err != nil {
		t.Fatal(err)
	}

	// The thief's server in the place of the real one: the agent refuses it.
	f.server.kill(syscall.SIGTERM)
	own := filepath.Join(f.dir, "server")
	if err := os.Rename(own, own+".real"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(thief, own); err != nil {
		t.Fatal(err)
	}
	f.startServer()
	name := seal.ErrSerialFell.Name
	f.eventually("the agent refuses the revoked keys", func() error {
		now, err := f.refusals()
		if err == nil && now[name] <= before[name] {
			err = fmt.Errorf("refused before %v, now %v", before, now)
		}
		return err
	})
	q, err := f.ask(3)
	if err != nil {
		t.Fatal(err)
	}
	if err := answered(q, nil); err == nil {
		t.Fatal("the agent answers who has revoked keys")
	}
	if have, err := f.keySet(); err != nil || have != first+2 {
		t.Fatalf("the agent fell back to key set %d: %v", have, err)
	}

	// And the real one again.
	f.server.kill(syscall.SIGTERM)
	if err := os.RemoveAll(own); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(own+".real", own); err != nil {
		t.Fatal(err)
	}
	f.startServer()
	f.eventually("the agent answers its own server again", func() error { return answered(f.ask(10)) })
}
