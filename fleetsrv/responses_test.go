package fleetsrv

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/wire"
)

// TestPlanActUndo: a dry run gives the arguments that were left out, the act
// gives what undoes it, and each is sent to the host as the host gave it.
func TestPlanActUndo(t *testing.T) {
	w := newWorld(t)
	admin, a := w.user("root", auth.Admin), w.agent("linux-1")
	type response struct {
		ID    string          `json:"id"`
		State string          `json:"state"`
		Args  json.RawMessage `json:"args"`
		Undo  json.RawMessage `json:"undo"`
	}
	ask := func(action string, args json.RawMessage, dry bool) (r response, sent wire.Respond) {
		t.Helper()
		admin.ask(202, "POST", "/api/v1/responses", map[string]any{"host": a.HostID(), "action": action, "args": args, "dry_run": dry}, &r)
		if err := json.Unmarshal(a.command(wire.CommandRespond).Args, &sent); err != nil {
			t.Fatal(err)
		}
		return r, sent
	}
	answer := func(r *response, o wire.Outcome) {
		t.Helper()
		o.ID, o.Time = r.ID, time.Now()
		a.post(a.record(wire.KindOutcome, o))
		admin.ask(200, "GET", "/api/v1/responses/"+r.ID, nil, r)
	}
	a.command(wire.CommandConfigure)

	const whole = `{"path":"/tmp/x","inode":9007199254740993,"device":5,"sha256":"0000000000000000000000000000000000000000000000000000000000000000","size":0}`
	r, _ := ask("quarantine_file", []byte(`{"path":"/tmp/x"}`), true)
	answer(&r, wire.Outcome{State: "planned", Plan: "move it", Args: []byte(whole)})
	if r.State != "planned" || string(r.Args) != whole {
		t.Fatalf("planned: %s %s", r.State, r.Args)
	}
	r, sent := ask("quarantine_file", r.Args, false)
	if string(sent.Args) != whole || sent.DryRun {
		t.Errorf("sent %s", sent.Args)
	}
	const undo = `{"action":"restore_file","args":{"id":"20260102T030405Z-0123456789abcdef"}}`
	answer(&r, wire.Outcome{State: "done", Seen: "gone", Undo: []byte(undo), Args: []byte(`{"path":"/etc/passwd"}`)})
	if string(r.Undo) != undo || string(r.Args) != whole {
		t.Fatalf("done: undo %s, args %s", r.Undo, r.Args)
	}
	var u wire.Undo
	if err := json.Unmarshal(r.Undo, &u); err != nil {
		t.Fatal(err)
	}
	if _, sent = ask(u.Action, u.Args, false); sent.Action != "restore_file" || string(sent.Args) != string(u.Args) {
		t.Errorf("sent %s %s", sent.Action, sent.Args)
	}
}
