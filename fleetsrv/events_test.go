package fleetsrv

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

type eventJSON struct {
	ID, Kind, Title, Alert, Query string
	Values                        map[string]any
	Withheld                      bool
	Process                       *struct {
		PID       int64
		StartText string `json:"start_time_text"`
	}
	Handled *struct{ By, Note string }
}

type eventsJSON struct {
	Events     []eventJSON
	Next       string
	SearchedTo *time.Time `json:"searched_to"`
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	root, viewer := w.user("root", auth.Admin), w.user("vera", auth.Viewer)
	a := w.agent("h")
	var records []wire.Record
	for i := range 5 {
		h := hit(fmt.Sprint("h", i), "same")
		h.Time = time.Now().Add(time.Duration(i-10) * time.Second)
		h.Process.PID = int64(100 + i)
		records = append(records, a.record("hit", h))
	}
	packHit := hit("secret", "pack entity")
	packHit.Rule = wire.RuleRef{ID: "pack_gone_q", Name: "q", Version: "v", Pack: "gone"}
	records = append(records, a.record("hit", packHit),
		a.record("result", map[string]any{"query": "q1", "time": time.Now().Add(-time.Hour), "columns": []string{"x"}, "added": [][]any{{"needle"}, {"hay"}}}))
	a.post(records...)

	var all eventsJSON
	root.ask(200, "GET", "/api/v1/events", nil, &all)
	if len(all.Events) != 8 || all.Next != "" {
		t.Fatalf("%d events, next %q", len(all.Events), all.Next)
	}
	var paged []string
	next := ""
	for range 10 {
		var p eventsJSON
		root.ask(200, "GET", "/api/v1/events?limit=3&before="+next, nil, &p)
		for _, e := range p.Events {
			paged = append(paged, e.ID)
		}
		if next = p.Next; next == "" {
			break
		}
	}
	for i, e := range all.Events {
		if i >= len(paged) || paged[i] != e.ID {
			t.Fatalf("pages %v do not make the list %v", paged, all.Events)
		}
	}
	for q, want := range map[string]int{"q=NEEDLE": 1, "q=xmrig": 6, "kind=hit": 6, "kind=result": 2, "query=q1": 2, "rule=miner": 5, "severity=high": 6,
		"severity=low": 0, "host=" + a.HostID(): 8, "host=none": 0, "handled=true": 0, "handled=false": 8,
		"from=" + url.QueryEscape(time.Now().Add(-30*time.Minute).Format(time.RFC3339)): 6} {
		var l eventsJSON
		root.ask(200, "GET", "/api/v1/events?"+q, nil, &l)
		if len(l.Events) != want {
			t.Errorf("%s: %d events, want %d", q, len(l.Events), want)
		}
	}
	for _, q := range []string{"kind=other", "severity=odd", "handled=maybe", "from=yesterday", "before=zzz", "limit=x"} {
		root.ask(400, "GET", "/api/v1/events?"+q, nil, nil)
	}

	// What a viewer may not read of a pack's query is not shown, nor found.
	var seen eventsJSON
	viewer.ask(200, "GET", "/api/v1/events", nil, &seen)
	withheld := 0
	for _, e := range seen.Events {
		if e.Kind == "result" {
			t.Errorf("a viewer reads personal results: %+v", e)
		}
		if e.Withheld {
			withheld++
			if len(e.Values) > 0 || e.Process != nil {
				t.Errorf("withheld and shown: %+v", e)
			}
		}
	}
	if len(seen.Events) != 6 || withheld != 1 {
		t.Errorf("%d events, %d withheld", len(seen.Events), withheld)
	}
	viewer.ask(200, "GET", "/api/v1/events?q=pack+entity", nil, &seen)
	if len(seen.Events) != 0 {
		t.Errorf("what is withheld is found: %+v", seen.Events)
	}

	// Handled.
	id := all.Events[0].ID
	viewer.ask(403, "PATCH", "/api/v1/events/"+id, map[string]any{"handled": true}, nil)
	root.ask(400, "PATCH", "/api/v1/events/"+id, map[string]any{"note": "x"}, nil)
	root.ask(404, "PATCH", "/api/v1/events/h999", map[string]any{"handled": true}, nil)
	root.ask(404, "PATCH", "/api/v1/events/x1", map[string]any{"handled": true}, nil)
	var e eventJSON
	root.ask(200, "PATCH", "/api/v1/events/"+id, map[string]any{"handled": true, "note": "mine"}, &e)
	if e.Handled == nil || e.Handled.By != "root" || e.Handled.Note != "mine" {
		t.Errorf("%+v", e)
	}
	root.ask(200, "PATCH", "/api/v1/events/"+id, map[string]any{"handled": false}, &e)
}

// TestAlertWork is an alert from its hits to its verdict.
func TestAlertWork(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	a := w.agent("h")
	for i := range 3 {
		h := hit(fmt.Sprint("h", i), "same")
		h.Process = &wire.Process{PID: int64(100 + i), StartTime: 1<<60 + int64(i), Name: "xmrig"}
		a.post(a.record("hit", h))
	}
	type alertJSON struct {
		ID, Status, Assignee, Verdict string
		Notes                         []struct{ By, Text string }
		NotesCount                    int `json:"notes_count"`
		HitsTotal                     int `json:"hits_total"`
		Hits                          []struct {
			Process struct {
				PID       int64
				StartText string `json:"start_time_text"`
			}
		}
	}
	var al alertJSON
	root.ask(200, "GET", "/api/v1/alerts/1", nil, &al)
	if al.HitsTotal != 3 || len(al.Hits) != 3 || al.Hits[0].Process.PID != 102 || al.Hits[0].Process.StartText != fmt.Sprint(1<<60+2) {
		t.Fatalf("%+v", al)
	}
	for body, want := range map[string]string{`{}`: "nothing", `{"status":"odd"}`: "odd", `{"assignee":"nobody"}`: "nobody", `{"verdict":"odd"}`: "odd"} {
		resp, b := root.raw("PATCH", "/api/v1/alerts/1", body)
		if resp.StatusCode != 400 || !strings.Contains(string(b), want) {
			t.Errorf("%s: %d %s", body, resp.StatusCode, b)
		}
	}
	root.ask(200, "PATCH", "/api/v1/alerts/1", map[string]any{"assignee": "root", "verdict": "benign", "status": "acknowledged"}, &al)
	if al.Assignee != "root" || al.Verdict != "benign" || al.Status != "acknowledged" {
		t.Errorf("%+v", al)
	}
	root.ask(400, "POST", "/api/v1/alerts/1/notes", map[string]any{"text": "  "}, nil)
	root.ask(404, "POST", "/api/v1/alerts/9/notes", map[string]any{"text": "x"}, nil)
	root.ask(201, "POST", "/api/v1/alerts/1/notes", map[string]any{"text": "looked at it"}, nil)
	root.ask(200, "GET", "/api/v1/alerts/1", nil, &al)
	if al.NotesCount != 1 || len(al.Notes) != 1 || al.Notes[0].By != "root" || al.Notes[0].Text != "looked at it" {
		t.Errorf("%+v", al)
	}
	var notes struct{ Notes []struct{ Text string } }
	root.ask(200, "GET", "/api/v1/alerts/1/notes", nil, &notes)
	root.ask(404, "GET", "/api/v1/alerts/9/notes", nil, nil)
	var l struct{ Alerts []alertJSON }
	for q, want := range map[string]int{"assignee=root": 1, "assignee=vera": 0, "technique=T1496": 1, "technique=T1": 0, "rule=miner": 1} {
		if root.ask(200, "GET", "/api/v1/alerts?"+q, nil, &l); len(l.Alerts) != want {
			t.Errorf("%s: %d alerts, want %d", q, len(l.Alerts), want)
		}
	}
	var people struct{ People []string }
	if root.ask(200, "GET", "/api/v1/people", nil, &people); len(people.People) != 1 {
		t.Errorf("%v", people)
	}
	type overviewJSON struct {
		Range  string
		Bucket int64 `json:"bucket_s"`
		Alerts struct {
			OverTime []struct {
				Time   time.Time
				Counts map[string]int
			} `json:"over_time"`
		}
		Techniques []struct {
			ID    string
			Count int
		} `json:"top_techniques"`
		Hosts []struct {
			Hostname string
			Count    int
		} `json:"top_hosts"`
	}
	for r, buckets := range map[string]int{"24h": 24, "7d": 28, "30d": 30} {
		var o overviewJSON
		root.ask(200, "GET", "/api/v1/overview?range="+r, nil, &o)
		n := 0
		for _, b := range o.Alerts.OverTime {
			n += b.Counts["high"]
		}
		if o.Range != r || len(o.Alerts.OverTime) != buckets || n != 1 || len(o.Techniques) != 1 || o.Techniques[0].ID != "T1496" || o.Hosts[0].Hostname != "h" {
			t.Errorf("%s: %+v", r, o)
		}
	}
	root.ask(400, "GET", "/api/v1/overview?range=1y", nil, nil)
}

// TestRetention deletes by the settings, and never what a sink waits for
// unless it is told to.
func TestRetention(t *testing.T) {
	w := newWorld(t)
	root := w.user("root", auth.Admin)
	a := w.agent("h")
	ctx := context.Background()
	if _, err := w.db.OpenExport(ctx, store.Everything(), "sink", time.Now()); err != nil {
		t.Fatal(err)
	}
	a.post(a.record("hit", hit("h1", "e")), a.record("result", map[string]any{"query": "q", "columns": []string{"x"}, "added": [][]any{{"1"}, {"2"}}}))
	root.ask(200, "PATCH", "/api/v1/alerts/1", map[string]any{"status": "closed"}, nil)
	for body, want := range map[string]string{`{}`: "nothing", `{"odd":1}`: "the settings are", `{"session_hours":0}`: "from 1 to", `{"retention_hits_days":-1}`: "from 1"} {
		resp, b := root.raw("PATCH", "/api/v1/settings", body)
		if resp.StatusCode != 400 || !strings.Contains(string(b), want) {
			t.Errorf("%s: %d %s", body, resp.StatusCode, b)
		}
	}
	var s struct {
		Settings map[string]int64
		LastRun  *struct {
			Deleted  map[string]int64
			HeldBack int64 `json:"held_back"`
			Error    string
		} `json:"last_run"`
	}
	root.ask(200, "PATCH", "/api/v1/settings", map[string]any{"retention_results_days": 1, "retention_hits_days": 1, "retention_alerts_days": 1}, &s)
	if s.Settings["retention_results_days"] != 1 || s.Settings["retention_queries_days"] != 14 {
		t.Errorf("%+v", s)
	}
	w.clock.forward(48 * time.Hour)
	run := w.srv.retention.Once(ctx)
	if run.Deleted.Results != 0 || run.HeldBack != 1 || run.Deleted.Hits != 1 || run.Deleted.Alerts != 1 || run.Error != "" {
		t.Fatalf("%+v", run)
	}
	root.ask(200, "PATCH", "/api/v1/settings", map[string]any{"retention_unsent_days": 1}, nil)
	if run = w.srv.retention.Once(ctx); run.Deleted.Results != 2 || run.HeldBack != 0 {
		t.Fatalf("%+v", run)
	}
	page, err := w.db.ReadExport(ctx, store.Everything(), store.ExportPosition{}, 10, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	// The hit itself is still there for the sink; the result is counted as missed.
	if len(page.Documents) != 1 || page.Documents[0].Hit == nil || page.Missed != 1 {
		t.Errorf("%+v", page)
	}
	root.ask(200, "GET", "/api/v1/settings", nil, &s)
	if s.LastRun == nil || s.LastRun.Deleted["results"] != 2 {
		t.Errorf("%+v", s.LastRun)
	}
	// A login lasts as long as the setting says.
	root.ask(200, "PATCH", "/api/v1/settings", map[string]any{"session_hours": 1}, nil)
	b := w.browser()
	b.ask(200, "POST", "/api/v1/login", map[string]any{"name": "root", "password": testPassword}, nil)
	w.clock.forward(2 * time.Hour)
	b.ask(401, "GET", "/api/v1/me", nil, nil)
}
