package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

func testResponses(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	is(t, s.AddResponse(ctx, all, response("x", "nobody")), store.ErrNotFound)
	ok(t, s.AddResponse(ctx, all, response("r1", "h")))
	later := response("r2", "h")
	later.ExpiresAt, later.Alert, later.DryRun, later.Reason = base.Add(2*time.Hour), 5, true, "why"
	ok(t, s.AddResponse(ctx, all, later))
	ok(t, s.SetResponseState(ctx, all, "r1", store.ResponseSent, store.ResponsePending))
	is(t, s.SetResponseState(ctx, all, "r1", store.ResponseSent, store.ResponsePending), store.ErrConflict)
	list, err := s.ListResponses(ctx, all, store.ResponseFilter{Host: "h", States: []string{store.ResponsePending}, Limit: 10})
	ok(t, err)
	same(t, "pending", words(len(list), list[0].ID, list[0].Alert, list[0].DryRun, list[0].Reason, string(list[0].Args)), `1 r2 5 true why {"pid":1}`)
	over, err := s.ExpireResponses(ctx, all, base.Add(time.Hour))
	ok(t, err)
	same(t, "expired", words(len(over), over[0].ID, over[0].State, over[0].Error != ""), "1 r1 expired true")
	over, err = s.ExpireResponses(ctx, all, base.Add(time.Hour))
	ok(t, err)
	same(t, "expired again", len(over), 0)
	n, err := s.FailedResponses(ctx, all, base)
	ok(t, err)
	same(t, "failed", n, 1)
	list, err = s.ListResponses(ctx, all, store.ResponseFilter{Alert: 5, Limit: 10})
	ok(t, err)
	same(t, "of the alert", len(list), 1)
	ok(t, s.RemoveHost(ctx, all, "h"))
	r, err := s.Response(ctx, all, "r2")
	ok(t, err)
	same(t, "of a removed host", r.State, store.ResponseExpired)
}

func query(id string) store.Query {
	return store.Query{ID: id, SQL: "SELECT 1", By: "ann", CreatedAt: base, DeadlineAt: base.Add(time.Minute), MaxRows: 5,
		Classes: []string{"inventory"}, ByClasses: []string{"inventory", "network"}}
}

func testQueries(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	host(t, s, all, "g")
	is(t, s.AddQuery(ctx, all, query("bad"), []store.QueryHost{{Host: "nobody", State: store.QueryPending}}), store.ErrNotFound)
	_, err := s.Query(ctx, all, "bad")
	is(t, err, store.ErrNotFound) // all or nothing
	ok(t, s.AddQuery(ctx, all, query("q"), []store.QueryHost{{Host: "h", State: store.QueryPending}, {Host: "g", State: store.QueryOffline}}))
	moved, err := s.MoveQueryHosts(ctx, all, "q", []string{"h", "g"}, store.QuerySent, store.QueryPending)
	ok(t, err)
	same(t, "moved", words(moved), "[h]")

	answer := func(host string, part int, n int, done bool) (store.QueryPart, store.QueryHost, bool) {
		t.Helper()
		p, qh, fresh, err := s.AddAnswer(ctx, all, host, store.Answer{Query: "q", Part: part, Columns: []string{"n", "t"}, Rows: rows(n), Done: done, WallNS: 5, Warnings: []string{"w"}})
		ok(t, err)
		return p, qh, fresh
	}
	p, qh, fresh := answer("h", 1, 3, false)
	same(t, "first part", words(p.First, p.Hostname, len(p.Rows), qh.State, qh.Rows, fresh), "1 name-h 3 sent 3 true")
	_, _, fresh = answer("h", 1, 3, false)
	same(t, "again", fresh, false)
	_, qh, _ = answer("h", 2, 4, true)
	same(t, "cut off", words(qh.State, qh.Rows, qh.Truncated), "rows 5 true")
	_, _, fresh = answer("h", 3, 1, true)
	same(t, "after the last word", fresh, false)
	_, _, fresh, err = s.AddAnswer(ctx, all, "nobody", store.Answer{Query: "q", Part: 1})
	ok(t, err)
	same(t, "a host not asked", fresh, false)
	_, qh, _ = answer("g", 1, 0, true)
	same(t, "no rows, and back from offline", qh.State, store.QueryNone)

	q, err := s.Query(ctx, all, "q")
	ok(t, err)
	same(t, "query", words(q.Columns, q.Rows, q.Classes, q.ByClasses, len(q.Hosts), q.Counts), "[n t] 5 [inventory] [inventory network] 2 map[none:1 rows:1]")
	same(t, "warnings", words(q.Hosts[1].Warnings), "[w]")
	var got []string
	for after := int64(0); ; {
		parts, err := s.QueryParts(ctx, all, "q", after, 2)
		ok(t, err)
		if len(parts) == 0 {
			break
		}
		for _, p := range parts {
			for i, r := range p.Rows {
				after = p.First + int64(i)
				got = append(got, fmt.Sprint(after, string(r)))
			}
		}
	}
	same(t, "rows", words(got), `[1[0,"x"] 2[1,"x"] 3[2,"x"] 4[0,"x"] 5[1,"x"]]`)
	parts, err := s.QueryParts(ctx, all, "q", 1, 10)
	ok(t, err)
	same(t, "from the middle of a part", words(parts[0].First, len(parts[0].Rows)), "2 2")
}

func testQueryEnds(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	ok(t, s.AddQuery(ctx, all, query("q"), []store.QueryHost{{Host: "h", State: store.QueryPending}}))
	second := query("q2")
	second.CreatedAt = base.Add(time.Second)
	ok(t, s.AddQuery(ctx, all, second, []store.QueryHost{{Host: "h", State: store.QueryPending}}))
	open, err := s.OpenQueries(ctx, all)
	ok(t, err)
	same(t, "open", len(open), 2)
	ok(t, s.EndQuery(ctx, all, "q", true))
	moved, err := s.MoveQueryHosts(ctx, all, "q", []string{"h"}, store.QuerySent, store.QueryPending)
	ok(t, err)
	same(t, "handed over too late", len(moved), 0)
	moved, err = s.MoveQueryHosts(ctx, all, "q", nil, store.QueryExpired, store.QueryPending, store.QuerySent)
	ok(t, err)
	same(t, "ended", words(moved), "[h]")
	_, _, fresh, err := s.AddAnswer(ctx, all, "h", store.Answer{Query: "q", Part: 1, Columns: []string{"n"}, Rows: []json.RawMessage{[]byte("[1]")}})
	ok(t, err)
	same(t, "an answer after the end", fresh, false)
	q, err := s.Query(ctx, all, "q")
	ok(t, err)
	same(t, "query", words(q.Done, q.Stopped, q.Rows, q.Hosts[0].State), "true true 0 expired")
	list, err := s.ListQueries(ctx, all, 10)
	ok(t, err)
	same(t, "newest first", words(len(list), list[0].ID, list[0].Done, list[1].Counts), "2 q2 false map[expired:1]")
	is(t, s.EndQuery(ctx, all, "none", true), store.ErrNotFound)
}

// testScope holds every way to a host's things to the scope.
func testScope(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "in", "a")
	host(t, s, all, "out", "b")
	for _, h := range []string{"in", "out"} {
		res := item(2, "res")
		res.Result = &store.ResultBatch{Query: "q", Time: base, Columns: []string{"n"}, Added: rows(1)}
		receive(t, s, h, hitItem(1, "a", "e", base), res)
		ok(t, s.AddResponse(ctx, all, response("r-"+h, h)))
		ok(t, s.AddQuery(ctx, all, query("q-"+h), []store.QueryHost{{Host: h, State: store.QueryPending}}))
		ok(t, s.AddProblem(ctx, all, h, problemOf(h)))
	}
	ok(t, s.AddQuery(ctx, all, query("q-both"), []store.QueryHost{{Host: "in", State: store.QueryPending}, {Host: "out", State: store.QueryPending}}))
	for _, c := range []struct {
		name string
		sc   store.Scope
		want int // hosts that are seen
	}{{"all", all, 2}, {"group a", groupA, 1}, {"no group", none, 0}, {"another tenant", tenant2, 0}} {
		t.Run(c.name, func(t *testing.T) {
			list, err := s.ListHosts(ctx, c.sc, store.HostFilter{Limit: 10})
			ok(t, err)
			same(t, "hosts", words(len(list.Hosts), list.Total), fmt.Sprint(c.want, c.want))
			ids, err := s.HostIDs(ctx, c.sc)
			ok(t, err)
			same(t, "ids", len(ids), c.want)
			alerts, err := s.ListAlerts(ctx, c.sc, store.AlertFilter{Limit: 10})
			ok(t, err)
			same(t, "alerts", words(len(alerts.Alerts), alerts.Total, alerts.Open["high"]), fmt.Sprint(c.want, c.want, c.want))
			results, err := s.ListResults(ctx, c.sc, store.ResultFilter{Limit: 10})
			ok(t, err)
			same(t, "results", len(results), c.want)
			responses, err := s.ListResponses(ctx, c.sc, store.ResponseFilter{Limit: 10})
			ok(t, err)
			same(t, "responses", len(responses), c.want)
			queries, err := s.ListQueries(ctx, c.sc, 10)
			ok(t, err)
			if c.want == 2 {
				same(t, "queries", len(queries), 3)
				return
			}
			same(t, "queries", len(queries), c.want)
			// Nothing of the host outside by its id.
			_, err = s.Host(ctx, c.sc, "out")
			is(t, err, store.ErrNotFound)
			_, err = s.HostByKey(ctx, c.sc, "fp-out")
			is(t, err, store.ErrNotFound)
			_, err = s.Response(ctx, c.sc, "r-out")
			is(t, err, store.ErrNotFound)
			for _, q := range []string{"q-out", "q-both"} {
				_, err = s.Query(ctx, c.sc, q)
				is(t, err, store.ErrNotFound)
			}
			problems, err := s.Problems(ctx, c.sc, "out", 10)
			ok(t, err)
			same(t, "problems", len(problems), 0)
			is(t, s.RemoveHost(ctx, c.sc, "out"), store.ErrNotFound)
			is(t, s.AdmitHost(ctx, c.sc, "out"), store.ErrNotFound)
			is(t, s.AddResponse(ctx, c.sc, response("x-"+c.name, "out")), store.ErrNotFound)
			is(t, s.AddQuery(ctx, c.sc, query("x-"+c.name), []store.QueryHost{{Host: "out", State: store.QueryPending}}), store.ErrNotFound)
			for id := range int64(5) {
				a, err := s.Alert(ctx, c.sc, id)
				if err == nil && a.Host == "out" {
					t.Errorf("alert %d of the host outside is seen", id)
				}
				if err != nil {
					is(t, s.SetAlertStatus(ctx, c.sc, id, store.AlertClosed), store.ErrNotFound)
				}
			}
		})
	}
}

func problemOf(host string) wire.Problem {
	return wire.Problem{Time: base, Source: "s", Error: "of " + host, Count: 1}
}
