package fleetsrv

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/wire"
)

type ruleJSON struct {
	ID, Source, Version, Text string
	Enabled, Editable         bool
	Targets                   []string
	NeedsApproval             bool `json:"needs_approval"`
	Approved                  *struct{ By string }
}

type groupJSON struct {
	Name, Kind                 string
	Trusted                    bool
	Hosts, Rules, Packs, Users []string
	HostCount                  int `json:"host_count"`
	Settings                   wire.Settings
}

// configuration is the next that the agent is handed.
func (a *agent) configuration() wire.Configuration {
	a.t.Helper()
	var c wire.Configuration
	if err := json.Unmarshal(a.command(wire.CommandConfigure).Args, &c); err != nil {
		a.t.Fatal(err)
	}
	return c
}

func names(docs []wire.Document) []string {
	var out []string
	for _, d := range docs {
		out = append(out, d.Name)
	}
	return out
}

func ruleText(id, condition string, actions ...string) string {
	b, _ := json.Marshal(map[string]any{"id": id, "name": "Rule " + id, "description": "d", "type": "process", "severity": "high",
		"conditions": []string{condition}, "actions": append([]string{"alert"}, actions...)})
	return string(b)
}

// TestGroupsGetContent: what is given to a group reaches its hosts at once and
// no others; what a host says of itself brings it no approval.
func TestGroupsGetContent(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	in, out := w.agent("web-1"), w.agent("db-1")
	first, other := in.configuration(), out.configuration()
	if first.Serial == 0 || first.Serial != other.Serial {
		t.Fatalf("two hosts of no group have configurations %d and %d", first.Serial, other.Serial)
	}
	var g groupJSON
	root.ask(201, "POST", "/api/v1/groups", map[string]any{"name": "web", "kind": "manual", "hosts": []string{in.HostID()},
		"settings": map[string]any{"cpu_limit": 2.5, "interval_s": 60}}, &g)
	if !g.Trusted || g.HostCount != 1 || !slices.Equal(g.Hosts, []string{in.HostID()}) {
		t.Fatalf("%+v", g)
	}
	if c := in.configuration(); c.Settings.CPULimit != 2.5 || c.Settings.Interval != 60 || c.Serial <= first.Serial {
		t.Fatalf("settings %+v, serial %d after %d", c.Settings, c.Serial, first.Serial)
	}
	var made struct{ Rules []ruleJSON }
	root.ask(201, "POST", "/api/v1/rules", map[string]any{"text": ruleText("mine", "name = 'x'", "terminate_process"), "targets": []string{"web"}}, &made)
	r := made.Rules[0]
	if !r.Editable || !r.NeedsApproval || r.Source != "console" || !slices.Equal(r.Targets, []string{"web"}) {
		t.Fatalf("%+v", r)
	}
	if c := in.configuration(); !slices.Contains(names(c.Rules), "mine") || len(c.Approvals) != 0 {
		t.Fatalf("rules %v, approvals %v", names(c.Rules), c.Approvals)
	}
	root.ask(200, "POST", "/api/v1/rules/mine/approve", map[string]any{"version": r.Version}, &r)
	if c := in.configuration(); len(c.Approvals) != 1 || c.Approvals[0].Rule != "mine" {
		t.Fatalf("approvals %v", c.Approvals)
	}
	// The other host was told nothing all the while.
	if serial, _ := w.srv.content.Configured(out.HostID()); serial != other.Serial {
		t.Errorf("the host outside the group has configuration %d, had %d", serial, other.Serial)
	}

	// Given to a group that goes by what hosts say: the rule comes, its
	// approval does not.
	root.ask(201, "POST", "/api/v1/groups", map[string]any{"name": "dbs", "kind": "rule", "conditions": []map[string]string{{"field": "hostname", "op": "startswith", "value": "DB-"}}}, &g)
	if g.Trusted || g.HostCount != 1 {
		t.Fatalf("%+v", g)
	}
	root.ask(200, "PATCH", "/api/v1/rules/mine", map[string]any{"targets": []string{"web", "dbs"}}, &r)
	if r.Approved != nil {
		t.Error("a change of groups kept the approval")
	}
	root.ask(200, "POST", "/api/v1/rules/mine/approve", map[string]any{"version": r.Version}, nil)
	var of wire.Configuration
	_, args := w.srv.content.Configured(out.HostID())
	if err := json.Unmarshal(args, &of); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(names(of.Rules), "mine") || len(of.Approvals) != 0 {
		t.Errorf("rules %v, approvals %v", names(of.Rules), of.Approvals)
	}
	_, args = w.srv.content.Configured(in.HostID())
	if of = (wire.Configuration{}); json.Unmarshal(args, &of) != nil || len(of.Approvals) != 1 {
		t.Errorf("approvals in the group made by hand: %v", of.Approvals)
	}

	// A new host joins by its name, and a label moves one.
	third := w.agent("db-2")
	if c := third.configuration(); !slices.Contains(names(c.Rules), "mine") {
		t.Errorf("a new host of the group has rules %v", names(c.Rules))
	}
	root.ask(201, "POST", "/api/v1/groups", map[string]any{"name": "prod", "kind": "rule", "conditions": []map[string]string{{"field": "label", "op": "is", "value": "prod"}}}, &g)
	if !g.Trusted || g.HostCount != 0 {
		t.Errorf("%+v", g)
	}
	var h struct{ Labels, Groups []string }
	root.ask(200, "PATCH", "/api/v1/hosts/"+out.HostID(), map[string]any{"labels": []string{"prod", "x", "prod"}}, &h)
	if !slices.Equal(h.Labels, []string{"prod", "x"}) || !slices.Equal(h.Groups, []string{"all", "dbs", "prod"}) {
		t.Errorf("%+v", h)
	}
	root.ask(200, "PATCH", "/api/v1/hosts/"+out.HostID(), map[string]any{"labels": []string{}}, &h)
	if !slices.Equal(h.Groups, []string{"all", "dbs"}) {
		t.Errorf("%+v", h)
	}
	var list struct {
		Hosts []struct{ ID string }
		Total int
	}
	root.ask(200, "GET", "/api/v1/hosts?group=dbs", nil, &list)
	if list.Total != 2 {
		t.Errorf("%d hosts in dbs", list.Total)
	}
	// An agent that was renewed says so in its health.
	root.ask(201, "POST", "/api/v1/groups", map[string]any{"name": "new", "kind": "rule", "conditions": []map[string]string{{"field": "agent_version", "op": "is", "value": "9.9"}}}, &g)
	third.post(third.record("health", wire.Health{Time: time.Now(), Version: "9.9"}))
	if root.ask(200, "GET", "/api/v1/groups/new", nil, &g); g.HostCount != 1 {
		t.Errorf("%+v", g)
	}
	root.ask(200, "DELETE", "/api/v1/groups/new", nil, nil)
	root.ask(409, "DELETE", "/api/v1/groups/dbs", nil, nil)
	root.ask(200, "DELETE", "/api/v1/rules/mine", nil, nil)
	root.ask(200, "DELETE", "/api/v1/groups/dbs", nil, nil)
	if c := in.configuration(); slices.Contains(names(c.Rules), "mine") {
		t.Error("a deleted rule is still given")
	}
}

func TestGroupsBadInput(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	a := w.agent("h")
	cond := func(field, op, value string) []map[string]string {
		return []map[string]string{{"field": field, "op": op, "value": value}}
	}
	for _, c := range []struct {
		status int
		body   map[string]any
		want   string
	}{
		{400, map[string]any{"name": "Bad Name", "kind": "manual"}, "will not do"},
		{409, map[string]any{"name": "all", "kind": "manual"}, "every host is in it"},
		{400, map[string]any{"name": "a", "kind": "other"}, "manual or rule"},
		{400, map[string]any{"name": "a", "kind": "rule"}, "needs a condition"},
		{400, map[string]any{"name": "a", "kind": "rule", "conditions": cond("shoe", "is", "x")}, "the fields are hostname"},
		{400, map[string]any{"name": "a", "kind": "rule", "conditions": cond("os", "like", "x")}, "the operators are is"},
		{400, map[string]any{"name": "a", "kind": "rule", "conditions": cond("os", "matches", "(")}, "RE2"},
		{400, map[string]any{"name": "a", "kind": "rule", "conditions": cond("os", "contains", "")}, "every host fulfils"},
		{400, map[string]any{"name": "a", "kind": "rule", "conditions": cond("os", "is", "x"), "hosts": []string{a.HostID()}}, "leave hosts out"},
		{400, map[string]any{"name": "a", "kind": "manual", "conditions": cond("os", "is", "x")}, "has no conditions"},
		{400, map[string]any{"name": "a", "kind": "manual", "match": "some"}, "all or any"},
		{400, map[string]any{"name": "a", "kind": "manual", "settings": map[string]any{"cpu_limit": 1e9}}, "cpu_limit"},
		{400, map[string]any{"name": "a", "kind": "manual", "settings": map[string]any{"monitor_dirs": []string{"etc"}}}, "absolute path"},
		{400, map[string]any{"name": "a", "kind": "manual", "settings": map[string]any{"respond": "auto"}}, "respond"},
		{404, map[string]any{"name": "a", "kind": "manual", "hosts": []string{"none"}}, "none"},
	} {
		resp, b := root.raw("POST", "/api/v1/groups", c.body)
		if resp.StatusCode != c.status || !strings.Contains(string(b), c.want) {
			t.Errorf("%v: status %d %s, want %d and %q", c.body, resp.StatusCode, b, c.status, c.want)
		}
	}
	var l struct{ Groups []groupJSON }
	root.ask(200, "GET", "/api/v1/groups", nil, &l)
	if len(l.Groups) != 1 || l.Groups[0].Name != "all" || l.Groups[0].HostCount != 1 {
		t.Errorf("what was refused left groups: %+v", l.Groups)
	}
	root.ask(409, "DELETE", "/api/v1/groups/all", nil, nil)
	root.ask(400, "PATCH", "/api/v1/groups/all", map[string]any{"hosts": []string{}}, nil)
	root.ask(200, "PATCH", "/api/v1/groups/all", map[string]any{"settings": map[string]any{"interval_s": 45}}, nil)
	if c := a.configuration(); c.Settings.Interval != 45 {
		t.Errorf("settings of all: %+v", c.Settings)
	}
	root.ask(409, "POST", "/api/v1/groups/all/hosts", map[string]any{"add": []string{a.HostID()}}, nil)
	root.ask(404, "GET", "/api/v1/groups/none", nil, nil)
	root.ask(404, "PATCH", "/api/v1/groups/none", map[string]any{"priority": 1}, nil)
	root.ask(400, "PATCH", "/api/v1/hosts/"+a.HostID(), map[string]any{"labels": []string{"a\nb"}}, nil)
	var checked struct {
		Total   int
		Trusted bool
	}
	root.ask(200, "POST", "/api/v1/groups/check", map[string]any{"conditions": cond("platform", "is", "LINUX")}, &checked)
	if checked.Total != 1 || checked.Trusted {
		t.Errorf("%+v", checked)
	}
}

// TestGrants holds a person to the groups of the grant, for what is changed too.
func TestGrants(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	in, out := w.agent("in"), w.agent("out")
	root.ask(201, "POST", "/api/v1/groups", map[string]any{"name": "mine", "kind": "manual", "hosts": []string{in.HostID()}}, nil)
	root.ask(201, "POST", "/api/v1/groups", map[string]any{"name": "said", "kind": "rule", "conditions": []map[string]string{{"field": "os", "op": "contains", "value": "Test"}}}, nil)
	root.ask(201, "POST", "/api/v1/rules", map[string]any{"text": ruleText("theirs", "name = 'x'", "terminate_process")}, nil)
	root.ask(400, "POST", "/api/v1/users", map[string]any{"name": "x", "password": testPassword, "role": "analyst", "groups": []string{"said"}}, nil)
	root.ask(400, "POST", "/api/v1/users", map[string]any{"name": "x", "password": testPassword, "role": "analyst", "groups": []string{"none"}}, nil)
	var u struct{ Groups []string }
	root.ask(201, "POST", "/api/v1/users", map[string]any{"name": "ann", "password": testPassword, "role": "responder", "groups": []string{"mine"}}, &u)
	if !slices.Equal(u.Groups, []string{"mine"}) {
		t.Errorf("%+v", u)
	}
	root.ask(409, "PATCH", "/api/v1/users/root", map[string]any{"groups": []string{"mine"}}, nil) // the last administrator
	root.ask(409, "DELETE", "/api/v1/groups/mine", nil, nil)
	ann := w.userWith("small", auth.Responder, auth.Classes(), []string{"mine"})
	admin := w.userWith("boss", auth.Admin, auth.Classes(), []string{"mine"})

	var l struct {
		Hosts []struct{ ID string }
	}
	ann.ask(200, "GET", "/api/v1/hosts", nil, &l)
	if len(l.Hosts) != 1 || l.Hosts[0].ID != in.HostID() {
		t.Errorf("%+v", l)
	}
	ann.ask(404, "GET", "/api/v1/hosts/"+out.HostID(), nil, nil)
	ann.ask(404, "GET", "/api/v1/groups/said", nil, nil)
	// What reaches other groups is read and not changed.
	ann.ask(200, "GET", "/api/v1/rules/theirs", nil, nil)
	for _, c := range []struct{ method, path, body string }{
		{"PATCH", "/rules/theirs", `{"enabled":false}`}, {"DELETE", "/rules/theirs", `{}`}, {"POST", "/rules/theirs/approve", `{"version":"x"}`},
		{"DELETE", "/rules/theirs/approve", `{}`}, {"PUT", "/rules/theirs", `{"text":"{}"}`},
		{"POST", "/rules", `{"text":` + fmt.Sprintf("%q", ruleText("new", "name = 'y'")) + `}`},
		{"PATCH", "/packs/edr", `{"enabled":false}`},
	} {
		ann.ask(403, c.method, "/api/v1"+c.path, c.body, nil)
	}
	var made struct{ Rules []ruleJSON }
	ann.ask(201, "POST", "/api/v1/rules", map[string]any{"text": ruleText("ours", "name = 'y'"), "targets": []string{"mine"}}, &made)
	ann.ask(403, "PATCH", "/api/v1/rules/ours", map[string]any{"targets": []string{"all"}}, nil)
	ann.ask(200, "PATCH", "/api/v1/rules/ours", map[string]any{"enabled": false}, nil)
	// An administrator of one group is none of the whole server.
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/users", ""}, {"POST", "/users", `{"name":"x"}`}, {"PATCH", "/users/boss", `{"groups":["all"]}`}, {"POST", "/users/root/tokens", `{}`},
		{"GET", "/audit", ""}, {"POST", "/groups", `{}`}, {"GET", "/settings", ""}, {"PATCH", "/settings", `{"session_hours":1}`},
		{"POST", "/enrolments", `{}`}, {"POST", "/groups/mine/hosts", `{"add":["` + out.HostID() + `"]}`}, {"PATCH", "/hosts/" + in.HostID(), `{"labels":[]}`},
	} {
		var body any
		if c.body != "" {
			body = c.body
		}
		admin.ask(403, c.method, "/api/v1"+c.path, body, nil)
	}
	// A group in a grant does not become one that goes by what hosts say.
	root.ask(201, "POST", "/api/v1/groups", map[string]any{"name": "labelled", "kind": "rule", "conditions": []map[string]string{{"field": "label", "op": "is", "value": "l"}}}, nil)
	root.ask(200, "PATCH", "/api/v1/users/ann", map[string]any{"groups": []string{"labelled"}}, nil)
	root.ask(409, "PATCH", "/api/v1/groups/labelled", map[string]any{"conditions": []map[string]string{{"field": "os", "op": "is", "value": "x"}}}, nil)

	// A live query of a group asks its hosts.
	var q queryJSON
	root.ask(201, "POST", "/api/v1/queries", map[string]any{"sql": "SELECT 1", "groups": []string{"mine"}}, &q)
	if len(q.Hosts) != 1 || q.Hosts[0].ID != in.HostID() {
		t.Errorf("%+v", q.Hosts)
	}
	ann.ask(404, "POST", "/api/v1/queries", map[string]any{"sql": "SELECT 1", "groups": []string{"said"}}, nil)
	root.ask(400, "POST", "/api/v1/queries", map[string]any{"sql": "SELECT 1", "groups": []string{"labelled"}}, nil)
}
