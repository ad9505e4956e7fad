package fleetsrv

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/command"
	"github.com/aiedr/edr/wire"
)

func TestLiveQuery(t *testing.T) {
	w := newWorld(t)
	an := w.user("ann", auth.Analyst)
	rows, none, fails := w.agent("rows"), w.agent("none"), w.agent("fails")
	gone := w.agent("gone") // enrols and never comes back
	for _, a := range []*agent{rows, none, fails} {
		a.command(wire.CommandConfigure)
	}
	w.clock.forward(command.OnlineFor + time.Second)
	for _, a := range []*agent{rows, none, fails} {
		a.post(a.record(wire.KindHealth, wire.Health{Time: time.Now()}))
	}

	var q queryJSON
	an.ask(201, "POST", "/api/v1/queries", map[string]any{"sql": "SELECT pid, name FROM processes", "all": true, "max_rows": 3}, &q)
	if q.Done || len(q.Hosts) != 4 || q.Counts["pending"] != 3 || q.Counts["offline"] != 1 {
		t.Fatalf("query: %+v", q)
	}
	stream := w.stream(an, "/api/v1/queries/"+q.ID+"/stream", "")

	lq := func(a *agent) wire.LiveQuery {
		var l wire.LiveQuery
		if err := json.Unmarshal(a.command(wire.CommandQuery).Args, &l); err != nil {
			t.Fatal(err)
		}
		if l.ID != q.ID || l.MaxRows != 3 || slices.Contains(l.Classes, "secret") {
			t.Fatalf("live query: %+v", l)
		}
		return l
	}
	ctx := context.Background()
	send := func(a *agent, ans wire.Answer) {
		t.Helper()
		if err := a.Answer(ctx, ans); err != nil {
			t.Fatal(err)
		}
	}
	row := func(pid int64, name string) wire.Row { return wire.Row{wire.ValueOf(pid), wire.ValueOf(name)} }
	lq(rows)
	part := wire.Answer{Query: q.ID, Part: 1, Columns: []string{"pid", "name"}, Rows: []wire.Row{row(1, "init"), row(2, "=cmd|calc")}}
	send(rows, part)
	send(rows, part) // again, as after a lost acknowledgement
	send(rows, wire.Answer{Query: q.ID, Part: 2, Columns: []string{"pid", "name"}, Rows: []wire.Row{row(3, "a"), row(4, "b")}, Done: true})
	send(rows, wire.Answer{Query: q.ID, Part: 3, Columns: []string{"pid", "name"}, Rows: []wire.Row{row(5, "c")}, Done: true}) // after the end
	lq(none)
	send(none, wire.Answer{Query: q.ID, Part: 1, Columns: []string{"pid", "name"}, Done: true})
	// A host that was not asked, or names another host's part, changes nothing.
	lq(fails)
	send(fails, wire.Answer{Query: "q-unknown", Part: 1, Done: true})
	send(fails, wire.Answer{Query: q.ID, Part: 1, Error: "no such table", Done: true})

	an.ask(200, "GET", "/api/v1/queries/"+q.ID, nil, &q)
	state := map[string]string{}
	for _, h := range q.Hosts {
		state[h.ID] = h.State
		if h.ID == rows.HostID() && (h.Rows != 3 || !h.Truncated) {
			t.Errorf("the cap of 3 rows is the server's to hold: %+v", h)
		}
	}
	want := map[string]string{rows.HostID(): "rows", none.HostID(): "none", fails.HostID(): "error", gone.HostID(): "offline"}
	for id, s := range want {
		if state[id] != s {
			t.Errorf("host %s is %q, want %q", id, state[id], s)
		}
	}
	if !q.Done || q.Rows != 3 {
		t.Errorf("done %v, %d rows; want done and 3", q.Done, q.Rows)
	}

	// What was streamed is what is kept, each row once and in order.
	events := stream.until("done")
	var seqs []int64
	for _, e := range events {
		if e.name != "rows" {
			continue
		}
		var p struct {
			Rows []struct {
				Seq    int64
				Host   string
				Values json.RawMessage
			}
		}
		if err := json.Unmarshal([]byte(e.data), &p); err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Rows {
			seqs = append(seqs, r.Seq)
			if r.Host != rows.HostID() {
				t.Errorf("row of %s", r.Host)
			}
		}
	}
	if !slices.Equal(seqs, []int64{1, 2, 3}) {
		t.Errorf("streamed sequences %v", seqs)
	}
	// A page that reloads asks for what comes after the last it has.
	later := w.stream(an, "/api/v1/queries/"+q.ID+"/stream", "2").until("done")
	n := 0
	for _, e := range later {
		if e.name == "rows" {
			n++
			if !strings.Contains(e.data, `"seq":3`) || strings.Contains(e.data, `"seq":2`) || e.id != "3" {
				t.Errorf("after 2: id %s %s", e.id, e.data)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d row events after 2", n)
	}
	var page struct {
		Rows []json.RawMessage
		Next int64
		Done bool
	}
	an.ask(200, "GET", "/api/v1/queries/"+q.ID+"/rows?after=1&limit=1", nil, &page)
	if len(page.Rows) != 1 || page.Next != 2 || !page.Done {
		t.Errorf("page: %+v", page)
	}
	res, csv := an.raw("GET", "/api/v1/queries/"+q.ID+"/export?format=csv", nil)
	if !strings.Contains(string(csv), ",2,'=cmd|calc\n") || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/csv") {
		t.Errorf("csv: %s %s", res.Header.Get("Content-Type"), csv)
	}
	var exported []struct {
		Values map[string]any
	}
	an.ask(200, "GET", "/api/v1/queries/"+q.ID+"/export?format=json", nil, &exported)
	if len(exported) != 3 || exported[1].Values["name"] != "=cmd|calc" {
		t.Errorf("json: %+v", exported)
	}
}

func TestQueryStopsAndExpires(t *testing.T) {
	w := newWorld(t)
	an := w.user("ann", auth.Analyst)
	a := w.agent("slow")
	a.command(wire.CommandConfigure)
	var q queryJSON
	body := map[string]any{"sql": "SELECT 1", "hosts": []string{a.HostID()}, "deadline_s": 30}
	an.ask(201, "POST", "/api/v1/queries", body, &q)
	a.command(wire.CommandQuery)
	an.ask(200, "POST", "/api/v1/queries/"+q.ID+"/stop", map[string]any{}, &q)
	if !q.Done || !q.Stopped || q.Hosts[0].State != "expired" {
		t.Fatalf("stopped: %+v", q)
	}
	var c wire.Cancel
	if err := json.Unmarshal(a.command(wire.CommandCancel).Args, &c); err != nil || c.ID != q.ID {
		t.Fatalf("cancel: %+v %v", c, err)
	}
	// Too late: a stopped query takes no more rows.
	if err := a.Answer(context.Background(), wire.Answer{Query: q.ID, Part: 1, Columns: []string{"1"}, Rows: []wire.Row{{wire.ValueOf(1)}}, Done: true}); err != nil {
		t.Fatal(err)
	}
	an.ask(200, "GET", "/api/v1/queries/"+q.ID, nil, &q)
	if q.Rows != 0 {
		t.Errorf("%d rows after the stop", q.Rows)
	}

	an.ask(201, "POST", "/api/v1/queries", body, &q)
	a.command(wire.CommandQuery)
	w.clock.forward(34 * time.Second)
	w.srv.queries.Expire(context.Background())
	an.ask(200, "GET", "/api/v1/queries/"+q.ID, nil, &q)
	if !q.Done || q.Stopped || q.Hosts[0].State != "expired" {
		t.Fatalf("past its deadline: %+v", q)
	}
}
