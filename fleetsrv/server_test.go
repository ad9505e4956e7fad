package fleetsrv

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/wire"
)

type hostJSON struct {
	ID         string `json:"id"`
	Hostname   string `json:"hostname"`
	Status     string `json:"status"`
	OpenAlerts int    `json:"open_alerts"`
	Problems   []struct {
		Source, Error string
		Count         int64
	} `json:"problems"`
	Health *wire.Health `json:"health"`
}

type alertJSON struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Title  string `json:"title"`
	Count  int64  `json:"count"`
	Rule   wire.RuleRef
	Host   struct{ ID, Hostname, Status string }
}

type responseJSON struct {
	ID, State, Seen, Error string
	Alert                  *string
}

type queryJSON struct {
	ID      string
	Done    bool
	Stopped bool
	Rows    int64
	Columns []string
	Hosts   []struct {
		ID, State, Error string
		Rows             int64
		Truncated        bool
	}
	Counts map[string]int
}

// TestDay plays one host from enrolment to a response, over TLS and sealed.
func TestDay(t *testing.T) {
	w := newWorld(t)
	admin := w.user("root", auth.Admin)
	a := w.agent("web1")

	cfg := a.command(wire.CommandConfigure)
	var conf wire.Configuration
	if err := json.Unmarshal(cfg.Args, &conf); err != nil {
		t.Fatal(err)
	}
	if conf.Serial == 0 || len(conf.Rules) == 0 || len(conf.Packs) == 0 || !slices.Contains(conf.Classes, "inventory") || slices.Contains(conf.Classes, "secret") {
		t.Fatalf("configuration: serial %d, %d rules, %d packs, classes %v", conf.Serial, len(conf.Rules), len(conf.Packs), conf.Classes)
	}

	var hosts struct {
		Hosts  []hostJSON
		Counts map[string]int
	}
	admin.ask(200, "GET", "/api/v1/hosts", nil, &hosts)
	if len(hosts.Hosts) != 1 || hosts.Hosts[0].Hostname != "web1" || hosts.Hosts[0].Status != "online" || hosts.Hosts[0].ID != a.HostID() {
		t.Fatalf("hosts: %+v", hosts)
	}

	a.post(
		a.record(wire.KindHit, hit("h1", "pid 4242")),
		a.record(wire.KindHit, hit("h2", "pid 4242")),
		a.record(wire.KindHealth, wire.Health{Time: time.Now(), Version: "test", ConfigSerial: conf.Serial, Sensors: []wire.Sensor{{Name: "process", State: "running", Lost: 3}}}),
		a.record(wire.KindProblem, wire.Problem{Time: time.Now(), Source: "pack x", Error: "no such table", Count: 2}),
		a.record(wire.KindResult, wire.Result{Query: "pack_edr_agent", Time: time.Now(), Snapshot: true, Columns: []string{"name", "n"},
			Added: []wire.Row{{wire.ValueOf("process"), wire.ValueOf(int64(1) << 60)}}}),
	)
	var alerts struct {
		Alerts []alertJSON
		Total  int
		Counts map[string]int
	}
	admin.ask(200, "GET", "/api/v1/alerts", nil, &alerts)
	if alerts.Total != 1 || alerts.Alerts[0].Count != 2 || alerts.Alerts[0].Host.ID != a.HostID() || alerts.Counts["high"] != 1 {
		t.Fatalf("two hits of one entity should be one alert of count 2: %+v", alerts)
	}
	var host hostJSON
	admin.ask(200, "GET", "/api/v1/hosts/"+a.HostID(), nil, &host)
	if host.OpenAlerts != 1 || host.Health == nil || len(host.Problems) != 1 || host.Problems[0].Count != 2 {
		t.Fatalf("host: %+v", host)
	}
	_, body := admin.raw("GET", "/api/v1/results?query=pack_edr_agent", nil)
	if !strings.Contains(string(body), `"columns":{"name":"process","n":1152921504606846976}`) {
		t.Errorf("results: %s", body)
	}

	// Kill, by hand.
	var resp responseJSON
	admin.ask(202, "POST", "/api/v1/responses", map[string]any{"host": a.HostID(), "action": "terminate_process",
		"args": map[string]any{"pid": 4242, "start_time_ns": 99}, "reason": "a miner", "alert": alerts.Alerts[0].ID}, &resp)
	if resp.State != "pending" {
		t.Fatalf("state %q", resp.State)
	}
	cmd := a.command(wire.CommandRespond)
	var r wire.Respond
	if err := json.Unmarshal(cmd.Args, &r); err != nil || r.ID != resp.ID || r.By != "root" || string(r.Args) != `{"pid":4242,"start_time_ns":99}` {
		t.Fatalf("respond: %+v, %v", r, err)
	}
	if cmd.Serial <= cfg.Serial {
		t.Errorf("serials must rise: %d after %d", cmd.Serial, cfg.Serial)
	}
	a.post(a.record(wire.KindOutcome, wire.Outcome{ID: r.ID, Action: r.Action, Time: time.Now(), State: "done", Seen: "pid 4242 is gone"}))
	admin.ask(200, "GET", "/api/v1/responses/"+resp.ID, nil, &resp)
	if resp.State != "done" || resp.Seen != "pid 4242 is gone" || resp.Alert == nil || *resp.Alert != alerts.Alerts[0].ID {
		t.Fatalf("response: %+v", resp)
	}

	// Every act is in the audit log.
	_, body = admin.raw("GET", "/api/v1/audit", nil)
	if !strings.Contains(string(body), "respond terminate_process") {
		t.Errorf("audit: %s", body)
	}
}

// TestRestart stops the server and starts it on what it has kept: what waited
// for a host still comes, above every former serial.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	admin := w.user("root", auth.Admin)
	dir, tok := t.TempDir(), w.token(1)
	a := w.agentIn("h", dir, &tok)
	first := a.command(wire.CommandConfigure)
	ask := map[string]any{"host": a.HostID(), "action": "terminate_process", "args": map[string]any{"pid": 7, "start_time_ns": 8}}
	var resp responseJSON
	admin.ask(202, "POST", "/api/v1/responses", ask, &resp)
	_ = a.Close()
	w.end()
	w.start()
	admin.base = w.url
	b := w.agentIn("h", dir, &tok)
	if b.HostID() != a.HostID() {
		t.Fatalf("the host's id changed: %s, %s", a.HostID(), b.HostID())
	}
	cmd := b.command(wire.CommandRespond)
	if cmd.Serial <= first.Serial {
		t.Errorf("serial %d after a restart, %d before", cmd.Serial, first.Serial)
	}
	// The host has it; now nothing is pending.
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := b.Poll(ctx); err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	admin.ask(200, "GET", "/api/v1/responses/"+resp.ID, nil, &resp)
	if resp.State != "sent" {
		t.Errorf("state %q, want sent", resp.State)
	}
}

func TestResponseExpires(t *testing.T) {
	w := newWorld(t)
	admin := w.user("root", auth.Admin)
	a := w.agent("away")
	var resp responseJSON
	admin.ask(202, "POST", "/api/v1/responses", map[string]any{"host": a.HostID(), "action": "terminate_process", "args": map[string]any{"pid": 7, "start_time_ns": 8}}, &resp)
	w.clock.forward(61 * time.Minute)
	w.srv.expire(context.Background())
	admin.ask(200, "GET", "/api/v1/responses/"+resp.ID, nil, &resp)
	if resp.State != "expired" || !strings.Contains(resp.Error, "did not come") {
		t.Fatalf("response: %+v", resp)
	}
	var over struct {
		Failed int `json:"failed_responses"`
	}
	admin.ask(200, "GET", "/api/v1/overview", nil, &over)
	if over.Failed != 1 {
		t.Errorf("failed responses in the overview: %d", over.Failed)
	}
}

func TestPendingHost(t *testing.T) {
	w := newWorld(t)
	admin := w.user("root", auth.Admin)
	block := w.keys.PublicKeyPEM()
	a := w.agentByKey("stranger", block)
	ctx := context.Background()
	if _, err := a.Post(ctx, []wire.Record{a.record(wire.KindHit, hit("x", "y"))}); err == nil {
		t.Fatal("a pending host could post")
	}
	var hosts struct{ Hosts []hostJSON }
	admin.ask(200, "GET", "/api/v1/hosts?status=pending", nil, &hosts)
	if len(hosts.Hosts) != 1 || hosts.Hosts[0].Status != "pending" {
		t.Fatalf("hosts: %+v", hosts)
	}
	admin.ask(409, "POST", "/api/v1/responses", map[string]any{"host": a.HostID(), "action": "terminate_process", "args": map[string]any{"pid": 7, "start_time_ns": 8}}, nil)
	admin.ask(200, "POST", "/api/v1/hosts/"+a.HostID()+"/admit", map[string]any{}, nil)
	admin.ask(409, "POST", "/api/v1/hosts/"+a.HostID()+"/admit", map[string]any{}, nil)
	a.number = 0
	a.post(a.record(wire.KindHit, hit("x", "y")))

	// Removed, its key is good for nothing.
	admin.ask(200, "DELETE", "/api/v1/hosts/"+a.HostID(), nil, nil)
	if _, err := a.Post(ctx, []wire.Record{a.record(wire.KindHit, hit("z", "y"))}); err == nil {
		t.Fatal("a removed host could post")
	}
	admin.ask(404, "GET", "/api/v1/hosts/"+a.HostID(), nil, nil)
}

func TestApprovalReachesHosts(t *testing.T) {
	w := newWorld(t)
	admin := w.user("root", auth.Admin)
	a := w.agent("h")
	a.command(wire.CommandConfigure)
	var list struct {
		Rules []struct {
			ID, Version string
			Enabled     bool
			Approved    *struct{ By string }
		}
	}
	admin.ask(200, "GET", "/api/v1/rules", nil, &list)
	r := list.Rules[0]
	admin.ask(409, "POST", "/api/v1/rules/"+r.ID+"/approve", map[string]any{"version": "another"}, nil)
	admin.ask(200, "POST", "/api/v1/rules/"+r.ID+"/approve", map[string]any{"version": r.Version}, nil)
	conf := func() (c wire.Configuration) {
		if err := json.Unmarshal(a.command(wire.CommandConfigure).Args, &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := conf()
	if len(c.Approvals) != 1 || c.Approvals[0].Rule != r.ID || c.Approvals[0].Version != r.Version || c.Approvals[0].By != "root" {
		t.Fatalf("approvals: %+v", c.Approvals)
	}
	n := len(c.Rules)
	admin.ask(200, "PATCH", "/api/v1/rules/"+r.ID, map[string]any{"enabled": false}, nil)
	if c2 := conf(); len(c2.Rules) != n-1 || len(c2.Approvals) != 0 || c2.Serial <= c.Serial {
		t.Fatalf("after disabling: %d rules, %d approvals, serial %d after %d", len(c2.Rules), len(c2.Approvals), c2.Serial, c.Serial)
	}
}

func TestHealthAndVersion(t *testing.T) {
	w := newWorld(t)
	anyone := &client{t: t, base: w.url, h: w.httpClient(), head: http.Header{}}
	anyone.ask(200, "GET", "/healthz", nil, nil)
	resp, b := anyone.raw("GET", "/version", nil)
	if resp.StatusCode != 200 || string(b) != `{"version":"test"}` {
		t.Errorf("version: %s", b)
	}
	_, b = anyone.raw("GET", "/metrics", nil)
	if !strings.Contains(string(b), `edr_hosts{status="online"} 0`) {
		t.Errorf("metrics lack the hosts")
	}
	resp, _ = anyone.raw("GET", "/debug/pprof/", nil)
	if strings.Contains(resp.Header.Get("Content-Type"), "octet") {
		t.Error("profiling endpoints are open")
	}
}

// TestClone: the state of one host on two machines is an alert.
func TestClone(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	tok, dir := w.token(1), t.TempDir()
	a := w.agentIn("h", dir, &tok)
	twin := t.TempDir()
	if err := os.CopyFS(twin, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	b := w.agentIn("h", twin, &tok)
	for range 3 {
		a.post(a.record(wire.KindHealth, wire.Health{Time: time.Now()}))
		b.number = a.number
		b.post(b.record(wire.KindHealth, wire.Health{Time: time.Now()}))
		a.number = b.number
	}
	var alerts struct{ Alerts []alertJSON }
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		root.ask(200, "GET", "/api/v1/alerts", nil, &alerts)
		if slices.ContainsFunc(alerts.Alerts, func(al alertJSON) bool { return al.Rule.ID == "edr_clone" && al.Host.ID == a.HostID() }) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no alert of a clone: %+v", alerts)
		}
	}
}

// TestRotation: hosts that run go on when the server's keys rotate.
func TestRotation(t *testing.T) {
	w := newWorld(t)
	a := w.agent("h")
	before := a.command(wire.CommandConfigure)
	if err := w.keys.Rotate(); err != nil {
		t.Fatal(err)
	}
	root := w.user("root", auth.Admin)
	root.ask(202, "POST", "/api/v1/responses", map[string]any{"host": a.HostID(), "action": "terminate_process", "args": map[string]any{"pid": 7, "start_time_ns": 8}}, nil)
	if after := a.command(wire.CommandRespond); after.Serial <= before.Serial {
		t.Errorf("serial %d after %d", after.Serial, before.Serial)
	}
	a.post(a.record(wire.KindHit, hit("x", "y")))
}
