package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/internal/testneed"
)

// acted is a response as the API tells it.
type acted struct {
	ID, State, Plan, Seen, Error string
	Args                         json.RawMessage
	Undo                         *struct {
		Action string
		Args   json.RawMessage
	}
	UndoneBy *string `json:"undone_by"`
}

// respond asks the fleet's one host for an action and waits for its outcome.
func (f *fleet) respond(action string, args any, dry bool) acted {
	f.t.Helper()
	var hosts struct {
		Hosts []struct{ ID string } `json:"hosts"`
	}
	if err := f.get("/hosts", &hosts); err != nil {
		f.t.Fatal(err)
	}
	var r acted
	if err := f.request("POST", "/responses", map[string]any{"host": hosts.Hosts[0].ID, "action": action, "args": args, "reason": "e2e", "dry_run": dry}, &r); err != nil {
		f.t.Fatal(err)
	}
	f.eventually("the outcome of "+action, func() error {
		if err := f.get("/responses/"+r.ID, &r); err != nil {
			return err
		}
		if r.State == "pending" || r.State == "sent" {
			return fmt.Errorf("state %s", r.State)
		}
		return nil
	})
	return r
}

// TestQuarantineFromTheAPI: a file is looked at, taken away and put back, each
// by a signed command to the real agent.
func TestQuarantineFromTheAPI(t *testing.T) {
	testneed.Root(t)
	f := newFleet(t, "-dirs", "/nonexistent-edr-e2e", "-cpulimit", "100")
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "dropper")
	if err := os.WriteFile(path, []byte("hostile"), 0o750); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // whatever failed, nothing immutable is left
		kept, _ := filepath.Glob(filepath.Join(f.dir, "agent", "quarantine", "*"))
		for _, name := range kept {
			if file, err := os.Open(name); err == nil {
				_ = unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, 0)
				file.Close()
			}
		}
	})

	plan := f.respond("quarantine_file", map[string]any{"path": path}, true)
	if plan.State != "planned" || !strings.Contains(string(plan.Args), `"sha256"`) {
		t.Fatalf("the plan is %+v", plan)
	}
	done := f.respond("quarantine_file", plan.Args, false)
	if done.State != "done" || done.Undo == nil || done.Undo.Action != "restore_file" {
		t.Fatalf("the response is %+v", done)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	if again := f.respond("quarantine_file", plan.Args, false); again.State != "failed" || !strings.Contains(again.Error, "gone already") {
		t.Errorf("a second time: %+v", again)
	}
	undone := f.respond(done.Undo.Action, done.Undo.Args, false)
	text, err := os.ReadFile(path)
	if undone.State != "done" || err != nil || string(text) != "hostile" {
		t.Errorf("the undo: %+v; the file is %q, %v", undone, text, err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o750 {
		t.Errorf("it came back with mode %v, %v", fi.Mode(), err)
	}
	var list struct{ Responses []acted }
	if err := f.get("/responses", &list); err != nil {
		t.Fatal(err)
	}
	for _, r := range list.Responses {
		if r.ID == done.ID && (r.UndoneBy == nil || *r.UndoneBy != undone.ID) {
			t.Errorf("the list does not say that %s was taken back by %s: %+v", done.ID, undone.ID, r)
		}
	}
}
