package fleetsrv

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/aiedr/edr/fleetsrv/auth"
)

// apiRoutes are the routes of the router under /api/v1, as openapi writes them.
func apiRoutes(w *world) []string {
	var out []string
	for _, r := range w.srv.engine.Routes() {
		if !strings.HasPrefix(r.Path, "/api/v1/") {
			continue
		}
		p := r.Path
		for _, name := range []string{"id", "name", "query"} {
			p = strings.ReplaceAll(p, "/:"+name, "/{"+name+"}")
		}
		out = append(out, strings.ToLower(r.Method)+" "+p)
	}
	sort.Strings(out)
	return out
}

type openapi struct {
	Paths map[string]map[string]struct {
		Right    string `json:"x-right"`
		Security *[]any `json:"security"`
	}
}

func TestOpenAPIIsWhole(t *testing.T) {
	w := newWorld(t)
	anyone := &client{t: t, base: w.url, h: w.httpClient(), head: http.Header{}}
	var doc openapi
	anyone.ask(200, "GET", "/api/v1/openapi.json", nil, &doc)
	var described []string
	for p, ops := range doc.Paths {
		for m := range ops {
			described = append(described, m+" "+p)
		}
	}
	sort.Strings(described)
	if have := apiRoutes(w); !slices.Equal(have, described) {
		t.Errorf("routes and openapi.json differ:\nrouter  %v\nopenapi %v", have, described)
	}
	_, raw := anyone.raw("GET", "/api/v1/openapi.json", nil)
	var all struct {
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(raw), `"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if _, ok := all.Components.Schemas[name]; !ok {
			t.Errorf("openapi.json refers to a schema %q that is not there", name)
		}
	}
}

// TestEveryRoleOnEveryRoute holds each route to the right that openapi.json
// says it needs, for every role, and refuses who is not logged in.
func TestEveryRoleOnEveryRoute(t *testing.T) {
	w := newWorld(t)
	anyone := &client{t: t, base: w.url, h: w.httpClient(), head: http.Header{}}
	var doc openapi
	anyone.ask(200, "GET", "/api/v1/openapi.json", nil, &doc)
	clients := map[auth.Role]*client{}
	for _, r := range auth.Roles() {
		clients[r] = w.user("u-"+string(r), r)
	}
	for p, ops := range doc.Paths {
		for m, op := range ops {
			path := strings.NewReplacer("{id}", "nothing", "{name}", "nobody", "{query}", "none").Replace(p)
			if strings.HasSuffix(p, "/stream") && !strings.Contains(p, "{") {
				continue // it does not end; TestStreamOfChanges has it
			}
			method := strings.ToUpper(m)
			body := any(nil)
			if method != "GET" {
				body = map[string]any{}
			}
			resp, b := anyone.raw(method, path, body)
			public := op.Security != nil && len(*op.Security) == 0
			if (resp.StatusCode == 401) == public && p != "/api/v1/login" {
				t.Errorf("%s %s without a login: status %d, open is %v", method, p, resp.StatusCode, public)
			}
			if public {
				continue
			}
			if !strings.Contains(string(b), `"code":"unauthorized"`) {
				t.Errorf("%s %s: %s", method, p, b)
			}
			for role, c := range clients {
				resp, b := c.raw(method, path, body)
				may := op.Right == "" || slices.Contains(role.Rights(), auth.Right(op.Right))
				refused := resp.StatusCode == 403 && strings.Contains(string(b), "needs the right")
				if refused == may {
					t.Errorf("%s %s as %s: status %d; it needs %q and the role may: %v", method, p, role, resp.StatusCode, op.Right, may)
				}
				if resp.StatusCode >= 500 {
					t.Errorf("%s %s as %s: status %d %s", method, p, role, resp.StatusCode, b)
				}
			}
		}
	}
}

// TestGroups holds every way by id to the groups that a person may see.
func TestGroups(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	outside := w.userWith("out", auth.Responder, auth.Classes(), []string{"elsewhere"})
	a := w.agent("h")
	a.post(a.record("hit", hit("h1", "e")))
	var q queryJSON
	root.ask(201, "POST", "/api/v1/queries", map[string]any{"sql": "SELECT 1", "all": true}, &q)
	var resp responseJSON
	root.ask(202, "POST", "/api/v1/responses", map[string]any{"host": a.HostID(), "action": "terminate_process", "args": map[string]any{"pid": 9, "start_time_ns": 9}}, &resp)
	for _, p := range []string{"/hosts/" + a.HostID(), "/alerts/1", "/queries/" + q.ID, "/queries/" + q.ID + "/rows", "/queries/" + q.ID + "/export",
		"/queries/" + q.ID + "/stream", "/responses/" + resp.ID} {
		outside.ask(404, "GET", "/api/v1"+p, nil, nil)
	}
	for p, key := range map[string]string{"/hosts": "hosts", "/alerts": "alerts", "/queries": "queries", "/responses": "responses", "/results": "results"} {
		var list map[string]json.RawMessage
		outside.ask(200, "GET", "/api/v1"+p, nil, &list)
		if string(list[key]) != "[]" {
			t.Errorf("%s shows another group's: %s", p, list[key])
		}
	}
	outside.ask(404, "POST", "/api/v1/queries", map[string]any{"sql": "SELECT 1", "hosts": []string{a.HostID()}}, nil)
	outside.ask(400, "POST", "/api/v1/queries", map[string]any{"sql": "SELECT 1", "all": true}, nil)
	outside.ask(404, "POST", "/api/v1/queries/"+q.ID+"/stop", map[string]any{}, nil)
	outside.ask(404, "PATCH", "/api/v1/alerts/1", map[string]any{"status": "closed"}, nil)
	outside.ask(404, "POST", "/api/v1/responses", map[string]any{"host": a.HostID(), "action": "terminate_process", "args": map[string]any{"pid": 9, "start_time_ns": 9}}, nil)
}

// TestClasses holds rows of sensitive tables back from who may not read their class.
func TestClasses(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	viewer := w.user("vera", auth.Viewer)
	analyst := w.user("ann", auth.Analyst)
	a := w.agent("h")
	sql := personalTable(t)
	analyst.ask(403, "POST", "/api/v1/queries", map[string]any{"sql": sql, "all": true}, nil)
	var q queryJSON
	root.ask(201, "POST", "/api/v1/queries", map[string]any{"sql": sql, "all": true}, &q)
	for _, p := range []string{"", "/rows", "/export", "/stream"} {
		viewer.ask(403, "GET", "/api/v1/queries/"+q.ID+p, nil, nil)
	}
	// Results of scheduled queries that the server does not know count as personal.
	a.post(a.record("result", map[string]any{"query": "unknown", "columns": []string{"x"}, "added": [][]any{{"secret"}}}))
	if _, b := viewer.raw("GET", "/api/v1/results", nil); strings.Contains(string(b), "secret") {
		t.Errorf("a viewer reads personal results: %s", b)
	}
	if _, b := root.raw("GET", "/api/v1/results", nil); !strings.Contains(string(b), "secret") {
		t.Errorf("an administrator does not read them: %s", b)
	}
}

func personalTable(t *testing.T) string {
	t.Helper()
	check, err := newStatements()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range check.engine.TableNames() {
		sql := fmt.Sprintf("SELECT * FROM %q", name)
		classes, err := check.Check(t.Context(), sql)
		if err == nil && (slices.Contains(classes, "personal") || slices.Contains(classes, "secret")) {
			return sql
		}
	}
	t.Fatal("no table of a personal or secret class is declared")
	return ""
}
