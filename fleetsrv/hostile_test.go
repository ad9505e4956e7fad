package fleetsrv

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

// TestScriptsStayText: what a host sends is kept as it is, and goes out as
// JSON that no browser takes for a page.
func TestScriptsStayText(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	evil := `<script>alert(1)</script><img src=x onerror=alert(2)>`
	a := w.agent(evil)
	a.outbox = "outbox"
	h := hit("h1", evil)
	h.Title, h.Description, h.Process.Cmdline = evil, evil, evil
	a.post(a.record(wire.KindHit, h), a.record(wire.KindProblem, wire.Problem{Source: evil, Error: evil}))
	for _, p := range []string{"/hosts", "/hosts/" + a.HostID(), "/alerts", "/alerts/1"} {
		resp, b := root.raw("GET", "/api/v1"+p, nil)
		if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", p, resp.Header)
		}
		if strings.Contains(string(b), "<script>") {
			t.Errorf("%s: the answer holds markup as it came", p)
		}
		if !strings.Contains(resp.Header.Get("Content-Security-Policy"), "script-src 'self';") {
			t.Errorf("%s: no policy", p)
		}
	}
	var al struct {
		Title   string
		Process wire.Process
	}
	root.ask(200, "GET", "/api/v1/alerts/1", nil, &al)
	if al.Title != evil || al.Process.Cmdline != evil {
		t.Errorf("the text was changed: %+v", al)
	}
	// Reflected: an unknown path and an unknown id come back as JSON text.
	for _, p := range []string{"/api/v1/" + "%3Cscript%3E", "/api/v1/hosts/%3Cscript%3E", "/api/v1/hosts?status=%3Cscript%3E"} {
		resp, b := root.raw("GET", p, nil)
		if resp.StatusCode < 400 || strings.Contains(string(b), "<script>") || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %d %s", p, resp.StatusCode, b)
		}
	}
}

// TestHostWritesOnlyItself: a host is its key, whatever it says.
func TestHostWritesOnlyItself(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	victim, thief := w.agent("victim"), w.agent("victim")
	if victim.HostID() == thief.HostID() {
		t.Fatal("a known name or UUID gave the host of another")
	}
	var resp responseJSON
	root.ask(202, "POST", "/api/v1/responses", map[string]any{"host": victim.HostID(), "action": "terminate_process", "args": map[string]any{"pid": 9, "start_time_ns": 9}}, &resp)
	thief.post(thief.record(wire.KindOutcome, wire.Outcome{ID: resp.ID, Action: "terminate_process", Time: time.Now(), State: "done", Seen: "forged"}))
	root.ask(200, "GET", "/api/v1/responses/"+resp.ID, nil, &resp)
	if resp.State != "pending" {
		t.Errorf("another host ended the response: %+v", resp)
	}
	var host hostJSON
	root.ask(200, "GET", "/api/v1/hosts/"+thief.HostID(), nil, &host)
	if len(host.Problems) != 1 {
		t.Errorf("the forged outcome is not seen: %+v", host.Problems)
	}
	var q queryJSON
	root.ask(201, "POST", "/api/v1/queries", map[string]any{"sql": "SELECT 1", "hosts": []string{victim.HostID()}}, &q)
	err := thief.Answer(context.Background(), wire.Answer{Query: q.ID, Part: 1, Columns: []string{"a"}, Rows: []wire.Row{{wire.ValueOf("forged")}}, Done: true})
	if err != nil {
		t.Fatal(err)
	}
	root.ask(200, "GET", "/api/v1/queries/"+q.ID, nil, &q)
	if q.Rows != 0 || q.Hosts[0].State != "pending" {
		t.Errorf("another host answered: %+v", q)
	}
	// The same hit id of two hosts is two hits.
	victim.post(victim.record(wire.KindHit, hit("same", "e")))
	thief.post(thief.record(wire.KindHit, hit("same", "e")))
	var alerts struct{ Total int }
	root.ask(200, "GET", "/api/v1/alerts", nil, &alerts)
	if alerts.Total != 2 {
		t.Errorf("%d alerts, want 2", alerts.Total)
	}
}

// TestBrokenRecordIsAProblem: a body that cannot be read is said and the rest
// is kept.
func TestBrokenRecordIsAProblem(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	a := w.agent("h")
	broken := a.record(wire.KindHit, hit("x", "y"))
	broken.Body = json.RawMessage(`{"title": 5}`)
	unknown := a.record("surprise", map[string]any{})
	rows := a.record(wire.KindResult, map[string]any{"query": "q", "columns": []string{"a"}, "added": []any{"not a row"}})
	a.post(broken, unknown, rows, a.record(wire.KindHit, hit("good", "y")))
	var host hostJSON
	root.ask(200, "GET", "/api/v1/hosts/"+a.HostID(), nil, &host)
	if len(host.Problems) != 3 || host.OpenAlerts != 1 {
		t.Errorf("problems %+v, %d alerts", host.Problems, host.OpenAlerts)
	}
}

// TestOutboxSetBack: the same number with other content is kept and alerted.
func TestOutboxSetBack(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	a := w.agent("h")
	a.post(a.record(wire.KindHit, hit("one", "e")))
	a.number = 0
	a.post(a.record(wire.KindHit, hit("two", "other")))
	var alerts struct{ Alerts []alertJSON }
	root.ask(200, "GET", "/api/v1/alerts", nil, &alerts)
	rules := map[string]int{}
	for _, al := range alerts.Alerts {
		rules[al.Rule.ID]++
	}
	if rules["miner"] != 2 || rules["edr_outbox_conflict"] != 1 {
		t.Errorf("alerts by rule: %v", rules)
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	root.ask(413, "POST", "/api/v1/queries", `{"sql":"`+strings.Repeat("x", 2<<20)+`"}`, nil)
	root.ask(400, "POST", "/api/v1/queries", map[string]any{"sql": strings.Repeat("x", 100<<10), "all": true}, nil)
	root.ask(400, "POST", "/api/v1/queries", `{"sql":"SELECT 1","all":true,"surprise":1}`, nil)
	root.ask(400, "POST", "/api/v1/queries", `{"sql":"SELECT 1"} trailing`, nil)
	root.ask(400, "POST", "/api/v1/queries", map[string]any{"sql": "SELEC 1", "all": true}, nil)
	root.ask(400, "POST", "/api/v1/queries", map[string]any{"sql": "DELETE FROM processes", "all": true}, nil)
	root.ask(400, "POST", "/api/v1/queries", map[string]any{"sql": "ATTACH '/tmp/x' AS x", "all": true}, nil)
	root.ask(400, "POST", "/api/v1/responses", map[string]any{"host": "h", "action": "terminate_process", "args": map[string]any{"pid": 5}}, nil)
	root.ask(400, "POST", "/api/v1/responses", map[string]any{"host": "h", "action": "terminate_process", "args": map[string]any{"pid": 1, "start_time_ns": 1}}, nil)
	root.ask(400, "POST", "/api/v1/responses", map[string]any{"host": "h", "action": "format_disk", "args": map[string]any{}}, nil)
	root.ask(400, "POST", "/api/v1/responses", map[string]any{"host": "h", "action": "quarantine_file", "args": map[string]any{"path": "/tmp/x"}}, nil)
	root.ask(400, "POST", "/api/v1/responses", map[string]any{"host": "h", "action": "restore_file", "args": map[string]any{"id": "../../etc/passwd"}}, nil)
	root.ask(400, "POST", "/api/v1/responses", map[string]any{"host": "h", "action": "block_connection", "args": map[string]any{"remote_address": "127.0.0.1"}}, nil)
	root.ask(400, "GET", "/api/v1/hosts?limit=-5", nil, nil)
	plain := *root
	plain.head = root.head.Clone()
	plain.head.Set("Content-Type", "text/plain")
	plain.ask(415, "POST", "/api/v1/queries", `{"sql":"SELECT 1"}`, nil)

	// The agents' paths: more than the protocol allows, and bytes that are none of it.
	resp, _ := root.raw("POST", seal.PathEnrol, strings.Repeat("x", seal.MaxHandshake+1))
	if resp.StatusCode != 413 {
		t.Errorf("an oversized enrolment: status %d", resp.StatusCode)
	}
	for _, p := range []string{seal.PathOpen, seal.PathEnrol, seal.PathPost, seal.PathPoll, seal.PathAnswer} {
		resp, _ := root.raw("POST", p, "no message of the protocol")
		if resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%s: status %d", p, resp.StatusCode)
		}
	}
	if n := w.srv.seal.Counters.Total(); n < 6 {
		t.Errorf("%d refusals are counted, want 6 or more", n)
	}
}

func (w *world) browser() *client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	h := w.httpClient()
	h.Jar = jar
	return &client{t: w.t, base: w.url, h: h, head: http.Header{}}
}

func TestBrowserSession(t *testing.T) {
	w := newWorld(t)
	w.user("ann", auth.Admin)
	b := w.browser()
	b.ask(401, "GET", "/api/v1/me", nil, nil)
	resp, _ := b.raw("POST", "/api/v1/login", map[string]any{"name": "Ann", "password": testPassword})
	cookie := resp.Header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "Secure", "SameSite=Strict"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("cookie %q lacks %s", cookie, want)
		}
	}
	var me struct{ CSRF string }
	b.ask(200, "GET", "/api/v1/me", nil, &me)
	body := map[string]any{"note": "x"}
	b.ask(403, "POST", "/api/v1/enrolments", body, nil) // no CSRF header
	b.head.Set("X-EDR-CSRF", "wrong")
	b.ask(403, "POST", "/api/v1/enrolments", body, nil)
	b.head.Set("X-EDR-CSRF", me.CSRF)
	b.ask(201, "POST", "/api/v1/enrolments", body, nil)
	b.head.Set("Sec-Fetch-Site", "cross-site")
	b.ask(403, "POST", "/api/v1/enrolments", body, nil)
	b.head.Del("Sec-Fetch-Site")

	// A new password ends every other session.
	other := w.browser()
	other.ask(200, "POST", "/api/v1/login", map[string]any{"name": "ann", "password": testPassword}, nil)
	b.ask(403, "POST", "/api/v1/me/password", map[string]any{"old": "wrong", "new": "another long one"}, nil)
	b.ask(400, "POST", "/api/v1/me/password", map[string]any{"old": testPassword, "new": "short"}, nil)
	b.ask(200, "POST", "/api/v1/me/password", map[string]any{"old": testPassword, "new": "another long one"}, &me)
	other.ask(401, "GET", "/api/v1/me", nil, nil)
	b.head.Set("X-EDR-CSRF", me.CSRF)
	b.ask(200, "POST", "/api/v1/logout", map[string]any{}, nil)
	b.ask(401, "GET", "/api/v1/me", nil, nil)

	// A session ends by itself.
	b.ask(200, "POST", "/api/v1/login", map[string]any{"name": "ann", "password": "another long one"}, nil)
	b.ask(200, "GET", "/api/v1/me", nil, nil)
	w.clock.forward(12*time.Hour + time.Second)
	b.ask(401, "GET", "/api/v1/me", nil, nil)
}

func TestNewUserMustChange(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	root.ask(201, "POST", "/api/v1/users", map[string]any{"name": "new", "password": testPassword, "role": "viewer"}, nil)
	root.ask(409, "POST", "/api/v1/users", map[string]any{"name": "new", "password": testPassword, "role": "viewer"}, nil)
	root.ask(400, "POST", "/api/v1/users", map[string]any{"name": "x", "password": testPassword, "role": "god"}, nil)
	root.ask(400, "POST", "/api/v1/users", map[string]any{"name": "../x", "password": testPassword, "role": "viewer"}, nil)
	root.ask(409, "DELETE", "/api/v1/users/root", nil, nil) // the last administrator
	root.ask(409, "PATCH", "/api/v1/users/root", map[string]any{"role": "viewer"}, nil)
	b := w.browser()
	var me struct {
		CSRF string
		Must bool `json:"must_change_password"`
	}
	b.ask(200, "POST", "/api/v1/login", map[string]any{"name": "new", "password": testPassword}, &me)
	if !me.Must {
		t.Error("a new user need not change the password")
	}
	b.ask(403, "GET", "/api/v1/hosts", nil, nil)
	b.head.Set("X-EDR-CSRF", me.CSRF)
	b.ask(200, "POST", "/api/v1/me/password", map[string]any{"old": testPassword, "new": "another long one"}, nil)
	b.ask(200, "GET", "/api/v1/hosts", nil, nil)
	root.ask(200, "DELETE", "/api/v1/users/new", nil, nil)
	b.ask(401, "GET", "/api/v1/hosts", nil, nil)
}

func TestLoginsAreSlowedDown(t *testing.T) {
	w := newWorld(t)
	w.user("ann", auth.Admin)
	b := w.browser()
	b.head.Set("X-Forwarded-For", "203.0.113.7") // believed by nobody
	wrong := map[string]any{"name": "ann", "password": "wrong wrong wrong"}
	for range 5 {
		b.ask(401, "POST", "/api/v1/login", wrong, nil)
	}
	resp, _ := b.raw("POST", "/api/v1/login", wrong)
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Fatalf("after five failures: status %d", resp.StatusCode)
	}
	// The right password must wait too, and then does.
	b.ask(429, "POST", "/api/v1/login", map[string]any{"name": "ann", "password": testPassword}, nil)
	w.clock.forward(2 * time.Minute)
	b.ask(200, "POST", "/api/v1/login", map[string]any{"name": "ann", "password": testPassword}, nil)
	// Unknown names look the same as wrong passwords.
	_, one := b.raw("POST", "/api/v1/login", map[string]any{"name": "nobody", "password": "wrong wrong wrong"})
	_, two := b.raw("POST", "/api/v1/login", wrong)
	if string(one) != string(two) {
		t.Errorf("%s differs from %s", one, two)
	}
}

func TestConsole(t *testing.T) {
	w := newWorld(t)
	anyone := &client{t: t, base: w.url, h: w.httpClient(), head: http.Header{}}
	for _, p := range []string{"/", "/hosts/some-id", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"} {
		resp, b := anyone.raw("GET", p, nil)
		if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || strings.Contains(string(b), "root:") {
			t.Errorf("%s: %d %s", p, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
	}
	resp, _ := anyone.raw("GET", "/assets/none.js", nil)
	if resp.StatusCode == 200 {
		t.Error("a file that is not there answers 200")
	}
	anyone.ask(404, "GET", "/api/v1/nothing", nil, nil)
}
