package fleetsrv

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/aiedr/edr/fleetsrv/auth"
)

type problemJSON struct {
	Line, Column  int
	Message, Next string
	Warning       bool
}

type packJSON struct {
	Name, Source, Version, Text string
	Enabled, Editable           bool
	Targets                     []string
	Queries                     []struct {
		Name, Version string
		Classes       []string
		NeedsApproval bool `json:"needs_approval"`
		Approved      *struct{ By string }
	}
}

// TestEditRules: what people type is checked with its place, kept as typed,
// and never keeps an approval over an edit.
func TestEditRules(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	a := w.agent("h")
	a.configuration()
	var c struct {
		OK       bool
		Problems []problemJSON
		Rules    []struct{ ID, Version string }
	}
	for text, want := range map[string]problemJSON{
		`{"id": "x",`: {Line: 1, Column: 12},
		"id: x\nname: X\ntype: process\nconditions:\n  - nme = 'a'\nactions: [alert]\n": {Line: 5, Column: 5, Message: "nme"},
		"id: x\nname: X\ntype: shoe\nconditions: [\"name = 'a'\"]\n":                    {Line: 3, Column: 7, Message: "shoe"},
		"id: a/b\nname: X\ntype: process\nconditions: [\"name = 'a'\"]\n":               {Line: 1, Column: 1, Message: "will not do"},
		"[]": {Line: 1, Message: "no rule"},
		"":   {Message: ""},
	} {
		root.ask(200, "POST", "/api/v1/rules/check", map[string]any{"text": text}, &c)
		if c.OK || len(c.Problems) == 0 || c.Problems[0].Line != want.Line && want.Line > 0 || c.Problems[0].Column != want.Column && want.Column > 0 ||
			!strings.Contains(c.Problems[0].Message, want.Message) {
			t.Errorf("%q: %+v, want %+v", text, c, want)
		}
		var refused struct {
			Error struct {
				Code     string
				Problems []problemJSON
			}
		}
		root.ask(400, "POST", "/api/v1/rules", map[string]any{"text": text}, &refused)
		if refused.Error.Code != "invalid_content" || len(refused.Error.Problems) == 0 {
			t.Errorf("%q: %+v", text, refused)
		}
	}
	typed := "# why\nid: mine\nname: Mine\ntype: process\nseverity: high\nconditions: [\"name = 'a'\"]\nactions: [alert, terminate_process]\n"
	root.ask(200, "POST", "/api/v1/rules/check", map[string]any{"text": typed}, &c)
	if !c.OK || len(c.Rules) != 1 || c.Rules[0].ID != "mine" {
		t.Fatalf("%+v", c)
	}
	root.ask(400, "POST", "/api/v1/rules", map[string]any{"text": typed, "targets": []string{"nowhere"}}, nil)
	root.ask(400, "POST", "/api/v1/rules", map[string]any{"text": typed, "targets": []string{}}, nil)
	var made struct{ Rules []ruleJSON }
	root.ask(201, "POST", "/api/v1/rules", map[string]any{"text": typed}, &made)
	root.ask(409, "POST", "/api/v1/rules", map[string]any{"text": typed}, nil)
	var r ruleJSON
	root.ask(200, "GET", "/api/v1/rules/mine", nil, &r)
	if r.Text != typed || r.Version != c.Rules[0].Version {
		t.Errorf("%+v", r)
	}
	root.ask(200, "POST", "/api/v1/rules/mine/approve", map[string]any{"version": r.Version}, &r)
	if c := a.configuration(); len(c.Approvals) != 1 {
		t.Errorf("approvals %v", c.Approvals)
	}
	edited := strings.Replace(typed, "'a'", "'b'", 1)
	root.ask(400, "PUT", "/api/v1/rules/mine", map[string]any{"text": strings.Replace(edited, "mine", "other", 1)}, nil)
	var after ruleJSON
	root.ask(200, "PUT", "/api/v1/rules/mine", map[string]any{"text": edited}, &after)
	if after.Approved != nil || after.Version == r.Version {
		t.Errorf("edited: %+v", after)
	}
	if c := a.configuration(); len(c.Approvals) != 0 {
		t.Errorf("approvals after an edit %v", c.Approvals)
	}
	root.ask(409, "POST", "/api/v1/rules/mine/approve", map[string]any{"version": r.Version}, nil)
	// The text of before does not bring the approval of before.
	root.ask(200, "PUT", "/api/v1/rules/mine", map[string]any{"text": typed}, &after)
	if after.Approved != nil || after.Version != r.Version {
		t.Errorf("edited back: %+v", after)
	}

	// Built in: switched, not edited; its text is there to copy.
	var list struct{ Rules []ruleJSON }
	root.ask(200, "GET", "/api/v1/rules", nil, &list)
	i := slices.IndexFunc(list.Rules, func(r ruleJSON) bool { return r.Source == "builtin" })
	id := list.Rules[i].ID
	root.ask(409, "DELETE", "/api/v1/rules/"+id, nil, nil)
	root.ask(409, "PUT", "/api/v1/rules/"+id, map[string]any{"text": typed}, nil)
	root.ask(200, "PATCH", "/api/v1/rules/"+id, map[string]any{"enabled": false}, &r)
	root.ask(200, "GET", "/api/v1/rules/"+id, nil, &r)
	if r.Enabled || r.Editable {
		t.Errorf("%+v", r)
	}
	var kept map[string]any
	if err := json.Unmarshal([]byte(r.Text), &kept); err != nil {
		t.Fatal(err)
	}
	kept["id"] = "copy"
	text, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	root.ask(201, "POST", "/api/v1/rules", map[string]any{"text": string(text)}, nil)

	// All or none.
	root.ask(409, "POST", "/api/v1/rules", map[string]any{"text": "[" + ruleText("fresh", "name = 'f'") + "," + ruleText("mine", "name = 'f'") + "]"}, nil)
	root.ask(404, "GET", "/api/v1/rules/fresh", nil, nil)

	// What people made stays over a new start, also where the folder has one
	// of the same name.
	w.end()
	w.start()
	root = w.user("root2", auth.Admin)
	root.ask(200, "GET", "/api/v1/rules/mine", nil, &r)
	if r.Source != "console" || r.Text != typed {
		t.Errorf("%+v", r)
	}
}

const osqueryConfig = `{
  // as osquery has them
  "schedule": {"up": {"query": "SELECT * FROM uptime", "interval": 60}},
  "packs": {"ir": {"platform": "linux", "queries": {"procs": {"query": "SELECT name \
    FROM processes", "interval": 3600}}}}
}`

// TestEditPacks: osquery's texts as they are, problems with their place, and
// approvals that end with an edit.
func TestEditPacks(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	a := w.agent("h")
	a.configuration()
	var c struct {
		OK       bool
		Problems []problemJSON
		Packs    []struct{ Name string }
	}
	for text, want := range map[string]string{
		`{"queries": {"a": {"query": "SELEC 1"}}}`:                     "SELEC",
		`{"queries": {"a": {"query": "SELECT * FROM nowhere"}}}`:       "nowhere",
		`{"queries": {"a": {"query": "SELECT 1", "severity": "odd"}}}`: "odd",
		`{"queries": {"a": {}}}`:                                       "no SQL",
		`not a pack`:                                                   "",
		`{"packs": {"p": "/etc/passwd"}}`:                              "not read from here",
		`{"queries": {"a": {"query": "DELETE FROM processes"}}}`:       "may not be modified",
	} {
		root.ask(200, "POST", "/api/v1/packs/check", map[string]any{"text": text}, &c)
		if c.OK || len(c.Problems) == 0 || !strings.Contains(c.Problems[0].Message, want) {
			t.Errorf("%s: %+v", text, c)
		}
		root.ask(400, "POST", "/api/v1/packs", map[string]any{"name": "p", "text": text}, nil)
	}
	// SQLite's place in the statement becomes a place in the text.
	root.ask(200, "POST", "/api/v1/packs/check", map[string]any{"text": "queries:\n  a:\n    query: SELECT nothing FROM uptime\n"}, &c)
	if c.OK || c.Problems[0].Line != 3 || c.Problems[0].Column != 19 {
		t.Errorf("%+v", c.Problems)
	}
	var q struct {
		OK       bool
		Classes  []string
		Problems []problemJSON
	}
	root.ask(200, "POST", "/api/v1/queries/check", map[string]any{"sql": "SELECT 1\nFROM nowhere"}, &q)
	if q.OK || !strings.Contains(q.Problems[0].Message, "nowhere") {
		t.Errorf("%+v", q)
	}
	root.ask(200, "POST", "/api/v1/queries/check", map[string]any{"sql": "SELECT * FROM uptime"}, &q)
	if !q.OK || !slices.Equal(q.Classes, []string{"inventory"}) {
		t.Errorf("%+v", q)
	}

	var imported struct{ Packs []packJSON }
	root.ask(400, "POST", "/api/v1/packs/import", map[string]any{"text": osqueryConfig}, nil) // the schedule needs a name
	root.ask(201, "POST", "/api/v1/packs/import", map[string]any{"name": "base", "text": osqueryConfig}, &imported)
	if len(imported.Packs) != 2 {
		t.Fatalf("%+v", imported)
	}
	if got := names(a.configuration().Packs); !slices.Contains(got, "base") || !slices.Contains(got, "ir") {
		t.Errorf("packs %v", got)
	}
	// Two packs of one name: none of the text is kept.
	resp, b := root.raw("POST", "/api/v1/packs/import", map[string]any{"name": "fresh", "text": osqueryConfig})
	if resp.StatusCode != 409 || !strings.Contains(string(b), "ir") || !strings.Contains(string(b), "two packs of one name") {
		t.Errorf("%d %s", resp.StatusCode, b)
	}
	root.ask(404, "GET", "/api/v1/packs/fresh", nil, nil)

	text := `{"queries": {"a": {"query": "SELECT pid FROM processes", "interval": 60, "severity": "high", "actions": ["terminate_process"]}}}`
	var p packJSON
	root.ask(400, "POST", "/api/v1/packs", map[string]any{"name": "bad name/", "text": text}, nil)
	root.ask(201, "POST", "/api/v1/packs", map[string]any{"name": "v1.mine", "text": text}, &p)
	if p.Name != "v1.mine" || !p.Enabled || !p.Editable || !p.Queries[0].NeedsApproval {
		t.Fatalf("%+v", p)
	}
	path := "/api/v1/packs/v1.mine"
	root.ask(409, "POST", path+"/queries/a/approve", map[string]any{"version": "another"}, nil)
	root.ask(404, "POST", path+"/queries/b/approve", map[string]any{"version": "another"}, nil)
	root.ask(200, "POST", path+"/queries/a/approve", map[string]any{"version": p.Queries[0].Version}, &p)
	cfg := a.configuration()
	for len(cfg.Approvals) == 0 { // the new pack itself came before
		cfg = a.configuration()
	}
	if x := cfg.Approvals[0]; x.Rule != "pack_v1.mine_a" || x.Version != p.Queries[0].Version || x.By != "root" {
		t.Errorf("%+v", x)
	}
	root.ask(200, "DELETE", path+"/queries/a/approve", nil, &p)
	root.ask(200, "POST", path+"/queries/a/approve", map[string]any{"version": p.Queries[0].Version}, &p)
	root.ask(200, "PUT", path, map[string]any{"text": strings.Replace(text, "60", "61", 1)}, &p)
	if p.Queries[0].Approved != nil {
		t.Error("an edited query keeps its approval")
	}
	root.ask(200, "PATCH", path, map[string]any{"enabled": false}, &p)
	if _, args := w.srv.content.Configured(a.HostID()); p.Enabled || strings.Contains(string(args), "v1.mine") {
		t.Errorf("a disabled pack is given: %+v", p)
	}
	root.ask(200, "GET", path, nil, &p)
	if !strings.Contains(p.Text, "61") {
		t.Errorf("%+v", p)
	}
	root.ask(200, "DELETE", path, nil, nil)
	root.ask(409, "DELETE", "/api/v1/packs/edr", nil, nil)
	root.ask(200, "PATCH", "/api/v1/packs/edr", map[string]any{"enabled": false}, nil)

	var audit struct {
		Entries []struct{ Action, Object string }
	}
	root.ask(200, "GET", "/api/v1/audit", nil, &audit)
	var acts []string
	for _, e := range audit.Entries {
		acts = append(acts, e.Action)
	}
	for _, want := range []string{"add packs", "edit pack", "approve query of pack", "withdraw approval of query of pack", "disable pack", "delete pack"} {
		if !slices.Contains(acts, want) {
			t.Errorf("no audit entry %q among %v", want, acts)
		}
	}
}
