package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

func testDelivery(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	held, err := s.Held(ctx, all, "h", "o", 1, 10)
	ok(t, err)
	same(t, "nothing yet", words(held.Known, held.Others, held.Contiguous, len(held.Hashes)), "false false 0 0")
	health := item(3, "health")
	health.Health = &wire.Health{Time: base, Version: "1", ConfigSerial: 5}
	ch := receive(t, s, "h", hitItem(1, "a", "e", base), hitItem(2, "b", "other", base), health)
	same(t, "changes", words(ch.Kept, ch.Duplicates, ch.Conflicts, len(ch.Alerts), ch.Health), "3 0 0 2 true")
	ch = receive(t, s, "h", hitItem(1, "a", "e", base), hitItem(2, "b", "other", base), health)
	same(t, "the same again", words(ch.Kept, ch.Duplicates, len(ch.Alerts), ch.Health), "0 3 0 false")
	h, err := s.Host(ctx, all, "h")
	ok(t, err)
	same(t, "health", h.Health.ConfigSerial, 5)
	same(t, "open alerts", h.OpenAlerts, 2)
	held, err = s.Held(ctx, all, "h", "o", 2, 3)
	ok(t, err)
	same(t, "held", words(held.Known, held.Others, held.Contiguous, len(held.Hashes), len(held.Hashes[2])), "true false 3 2 1")
	held, err = s.Held(ctx, all, "h", "new", 1, 0)
	ok(t, err)
	same(t, "a new outbox", words(held.Known, held.Others), "false true")

	// One number with two contents: both are kept, and an alert says so.
	ch = receive(t, s, "h", hitItem(2, "c", "third", base))
	same(t, "conflict", words(ch.Kept, ch.Conflicts, len(ch.Alerts)), "1 1 2")
	held, err = s.Held(ctx, all, "h", "o", 2, 2)
	ok(t, err)
	same(t, "both hashes", len(held.Hashes[2]), 2)
	same(t, "never back", held.Contiguous, 3)

	// What was dropped is said once.
	for range 2 {
		_, err = s.Receive(ctx, all, store.Delivery{Host: "h", Outbox: "o", Contiguous: 9, Time: base, Gaps: []wire.Gap{{From: 4, To: 9, Reason: "full"}}})
		ok(t, err)
	}
	problems, err := s.Problems(ctx, all, "h", 10)
	ok(t, err)
	same(t, "problems", len(problems), 1)
	same(t, "records lost", problems[0].Count, 6)
	_, err = s.Receive(ctx, all, store.Delivery{Host: "nobody", Outbox: "o"})
	is(t, err, store.ErrNotFound)
}

// testDeliveryIsOne: a delivery that fails in its middle leaves nothing.
func testDeliveryIsOne(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	bad := item(2, "bad")
	bad.Hash = nil // what the database cannot take
	_, err := s.Receive(ctx, all, store.Delivery{Host: "h", Outbox: "o", Items: []store.Item{hitItem(1, "a", "e", base), bad}, Contiguous: 2})
	if err == nil {
		t.Fatal("a record without a hash was kept")
	}
	list, err := s.ListAlerts(ctx, all, store.AlertFilter{Limit: 10})
	ok(t, err)
	same(t, "alerts", list.Total, 0)
	held, err := s.Held(ctx, all, "h", "o", 1, 10)
	ok(t, err)
	same(t, "held", held.Known, false)
}

func testAlerts(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	host(t, s, all, "g")
	receive(t, s, "h", hitItem(1, "a", "e", base), hitItem(2, "b", "e", base.Add(time.Minute)))
	receive(t, s, "g", hitItem(1, "a", "e", base))
	list, err := s.ListAlerts(ctx, all, store.AlertFilter{Limit: 10})
	ok(t, err)
	same(t, "one alert a host", list.Total, 2)
	same(t, "open", list.Open["high"], 2)
	newest := list.Alerts[0]
	same(t, "newest", words(newest.Host, newest.Count, newest.FirstSeen.Equal(base), newest.LastSeen.Equal(base.Add(time.Minute))), "h 2 true true")
	same(t, "hostname", newest.Hostname, "name-h")
	same(t, "process", newest.Process.PID, 7)
	page, err := s.ListAlerts(ctx, all, store.AlertFilter{Limit: 10, Before: newest.ID})
	ok(t, err)
	same(t, "after the newest", words(len(page.Alerts), page.Alerts[0].Host, page.Total), "1 g 2")

	// Past the window it is another alert, and so it is when the first is closed.
	receive(t, s, "h", hitItem(3, "c", "e", base.Add(3*time.Hour)))
	ok(t, s.SetAlertStatus(ctx, all, newest.ID, store.AlertClosed))
	receive(t, s, "h", hitItem(4, "d", "e", base.Add(2*time.Minute)))
	list, err = s.ListAlerts(ctx, all, store.AlertFilter{Host: "h", Limit: 10})
	ok(t, err)
	same(t, "alerts of h", list.Total, 3)
	list, err = s.ListAlerts(ctx, all, store.AlertFilter{Host: "h", Status: store.AlertClosed, Severity: "high", Text: "rul", Limit: 10})
	ok(t, err)
	same(t, "closed", list.Total, 1)
	is(t, s.SetAlertStatus(ctx, all, 9999, store.AlertClosed), store.ErrNotFound)
	_, err = s.Alert(ctx, all, 9999)
	is(t, err, store.ErrNotFound)

	id, err := s.RaiseAlert(ctx, all, "h", wire.Hit{ID: "own", Rule: wire.RuleRef{ID: "clone"}, Severity: wire.High, Time: base, Entity: "k"})
	ok(t, err)
	a, err := s.Alert(ctx, all, id)
	ok(t, err)
	same(t, "an alert of the server's own", words(a.Rule.ID, a.Count, a.Process == nil), "clone 1 true")
}

func rows(n int) []json.RawMessage {
	out := make([]json.RawMessage, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, `[%d,"x"]`, i)
	}
	return out
}

func testResults(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	first, second := item(1, "one"), item(2, "two")
	first.Result = &store.ResultBatch{Query: "q", Time: base, Columns: []string{"n", "t"}, Added: rows(3), Removed: rows(1), Classes: 1}
	second.Result = &store.ResultBatch{Query: "snap", Time: base, Snapshot: true, Columns: []string{"n", "t"}, Added: rows(2), Classes: 3}
	ch := receive(t, s, "h", first, second)
	same(t, "rows", ch.Rows, 6)
	list, err := s.ListResults(ctx, all, store.ResultFilter{Query: "q", Classes: 1, Limit: 10})
	ok(t, err)
	same(t, "rows of q", len(list), 4)
	same(t, "newest", list[0].Action+string(list[0].Values)+words(list[0].Columns)+list[0].Hostname, `removed[0,"x"][n t]name-h`)
	same(t, "an added one", list[1].Action+string(list[1].Values), `added[2,"x"]`)
	list, err = s.ListResults(ctx, all, store.ResultFilter{Host: "h", Classes: 1, Limit: 10})
	ok(t, err)
	same(t, "without the class", len(list), 4)
	list, err = s.ListResults(ctx, all, store.ResultFilter{Classes: 3, Limit: 10})
	ok(t, err)
	same(t, "with it", words(len(list), list[0].Action), "6 snapshot")
	list, err = s.ListResults(ctx, all, store.ResultFilter{Classes: 3, Before: list[1].ID, Limit: 2})
	ok(t, err)
	same(t, "a page", words(len(list), list[0].Action), "2 removed")
}

func response(id, host string) store.Response {
	return store.Response{ID: id, Host: host, Action: "terminate_process", Args: []byte(`{"pid":1}`), By: "ann", CreatedAt: base, ExpiresAt: base.Add(time.Hour)}
}

func testOutcomes(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	host(t, s, all, "thief")
	ok(t, s.AddResponse(ctx, all, response("r1", "h")))
	outcome := func(n uint64, o wire.Outcome) store.Item {
		it := item(n, fmt.Sprint(n, o))
		it.Outcome = &o
		return it
	}
	done := wire.Outcome{ID: "r1", Time: base, State: "done", Plan: "p", Seen: "s", Undo: []byte(`{"u":1}`), Args: []byte(`{"pid":2}`)}
	ch := receive(t, s, "thief", outcome(1, done))
	same(t, "another host's", len(ch.Responses), 0)
	ch = receive(t, s, "h", outcome(1, done))
	same(t, "its own", words(ch.Responses), "[r1]")
	done.State = "failed"
	ch = receive(t, s, "h", outcome(2, done))
	same(t, "a second outcome", len(ch.Responses), 0)
	r, err := s.Response(ctx, all, "r1")
	ok(t, err)
	same(t, "response", r.State+r.Plan+r.Seen+string(r.Undo), `doneps{"u":1}`)
	same(t, "its arguments", string(r.Args), `{"pid":1}`)
	dry := response("dry", "h")
	dry.DryRun = true
	ok(t, s.AddResponse(ctx, all, dry))
	receive(t, s, "h", outcome(6, wire.Outcome{ID: "dry", State: "planned", Plan: "p", Args: []byte(`{"pid":1,"more":2}`)}))
	r, err = s.Response(ctx, all, "dry")
	ok(t, err)
	same(t, "a dry run's arguments, completed", string(r.Args), `{"pid":1,"more":2}`)
	ok(t, s.AddResponse(ctx, all, response("r2", "h")))
	receive(t, s, "h", outcome(3, wire.Outcome{ID: "r2", State: "exploded"}))
	r, err = s.Response(ctx, all, "r2")
	ok(t, err)
	same(t, "an unknown state", r.State, store.ResponseFailed)

	// A rule's action is written into the alert of its hit.
	receive(t, s, "h", hitItem(4, "hit", "e", base))
	ch = receive(t, s, "h", outcome(5, wire.Outcome{Hit: "hit", Action: "terminate_process", State: "done", Seen: "gone"}))
	same(t, "alerts", len(ch.Alerts), 1)
	a, err := s.Alert(ctx, all, ch.Alerts[0])
	ok(t, err)
	same(t, "action", words(len(a.Actions), a.Actions[0].Action, a.Actions[0].State, a.Actions[0].Detail), "1 terminate_process done gone")
	for host, want := range map[string]int{"thief": 1, "h": 1} {
		problems, err := s.Problems(ctx, all, host, 10)
		ok(t, err)
		same(t, "problems of "+host, len(problems), want)
	}
}
