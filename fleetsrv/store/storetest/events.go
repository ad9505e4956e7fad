package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
)

// eventIDs walks the list of events in pages of the given size.
func eventIDs(t *testing.T, s store.Store, sc store.Scope, f store.EventFilter, limit int) []string {
	t.Helper()
	var out []string
	f.Limit = limit
	for range 1000 {
		p, err := s.ListEvents(t.Context(), sc, f)
		ok(t, err)
		for _, e := range p.Events {
			if e.Hit != nil {
				out = append(out, "hit:"+e.Hit.ID)
			} else {
				out = append(out, fmt.Sprintf("row:%s", e.Result.Values))
			}
		}
		if p.Next == nil {
			return out
		}
		f.Before = p.Next
	}
	t.Fatal("the list of events does not end")
	return nil
}

func testEvents(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h1", "a")
	host(t, s, all, "h2")
	rows := func(n uint64, at time.Time, count int) store.Item {
		it := resultItem(n, count)
		it.Result.Time = at
		return it
	}
	receive(t, s, "h1", hitItem(1, "i1", "e", base), rows(2, base.Add(time.Minute), 2), hitItem(3, "i2", "e", base.Add(time.Minute)))
	receive(t, s, "h2", rows(1, base.Add(2*time.Minute), 1), hitItem(2, "i3", "e", base.Add(-time.Minute)))
	every := store.EventFilter{Classes: 3}
	want := `row:[0,"x"] hit:i2 row:[1,"x"] row:[0,"x"] hit:i1 hit:i3`
	for _, limit := range []int{1, 2, 3, 100} {
		same(t, fmt.Sprint("events in pages of ", limit), strings.Join(eventIDs(t, s, all, every, limit), " "), want)
	}
	yes, no := true, false
	for _, c := range []struct {
		name string
		f    store.EventFilter
		want string
	}{
		{"hits", store.EventFilter{Kind: store.EventHit}, "hit:i2 hit:i1 hit:i3"},
		{"results", store.EventFilter{Kind: store.EventResult, Classes: 3}, `row:[0,"x"] row:[1,"x"] row:[0,"x"]`},
		{"a class too few", store.EventFilter{Kind: store.EventResult, Classes: 1}, ""},
		{"host", store.EventFilter{Host: "h2", Classes: 3}, `row:[0,"x"] hit:i3`},
		{"group", store.EventFilter{Group: "a", Kind: store.EventHit}, "hit:i2 hit:i1"},
		{"rule", store.EventFilter{Rule: "r", Classes: 3}, "hit:i2 hit:i1 hit:i3"},
		{"another rule", store.EventFilter{Rule: "other", Classes: 3}, ""},
		{"severity", store.EventFilter{Severity: "low", Classes: 3}, ""},
		{"query", store.EventFilter{Query: "q", Host: "h2", Classes: 3}, `row:[0,"x"]`},
		{"time", store.EventFilter{From: base, To: base.Add(time.Minute), Classes: 3}, "hit:i1"},
		{"match", store.EventFilter{Classes: 3, Match: func(e *store.Event) bool { return e.Hit != nil && e.Hit.ID == "i3" }, Scan: 1}, "hit:i3"},
		{"not handled", store.EventFilter{Handled: &no, Kind: store.EventHit}, "hit:i2 hit:i1 hit:i3"},
		{"handled", store.EventFilter{Handled: &yes, Classes: 3}, ""},
	} {
		same(t, c.name, strings.Join(eventIDs(t, s, all, c.f, 2), " "), c.want)
	}
	same(t, "of a group", strings.Join(eventIDs(t, s, groupA, store.EventFilter{Kind: store.EventHit}, 10), " "), "hit:i2 hit:i1")
	same(t, "of no group", len(eventIDs(t, s, none, every, 10)), 0)
	same(t, "of another tenant", len(eventIDs(t, s, tenant2, every, 10)), 0)

	// Marks.
	page, err := s.ListEvents(ctx, all, store.EventFilter{Classes: 3, Limit: 2})
	ok(t, err)
	row, hit := page.Events[0].EventID, page.Events[1].EventID
	for _, id := range []store.EventID{row, hit} {
		is(t, s.MarkEvent(ctx, none, id, &store.Mark{By: "ann", At: base}), store.ErrNotFound)
		ok(t, s.MarkEvent(ctx, all, id, &store.Mark{By: "ann", At: base, Note: "n"}))
		e, err := s.Event(ctx, all, id, 3)
		ok(t, err)
		same(t, "mark", words(e.Handled.By, e.Handled.At.Equal(base), e.Handled.Note), "ann true n")
	}
	same(t, "handled", len(eventIDs(t, s, all, store.EventFilter{Handled: &yes, Classes: 3}, 10)), 2)
	ok(t, s.MarkEvent(ctx, all, hit, nil))
	same(t, "handled no longer", len(eventIDs(t, s, all, store.EventFilter{Handled: &yes, Classes: 3}, 10)), 1)
	_, err = s.Event(ctx, all, row, 1)
	is(t, err, store.ErrNotFound)
	_, err = s.Event(ctx, none, hit, 3)
	is(t, err, store.ErrNotFound)
	_, err = s.Event(ctx, all, store.EventID{Kind: "other", ID: 1}, 3)
	is(t, err, store.ErrNotFound)
	is(t, s.MarkEvent(ctx, all, store.EventID{Kind: store.EventHit, ID: 999}, nil), store.ErrNotFound)

	// The same hit again is no second event.
	receive(t, s, "h1", hitItem(9, "i1", "e", base))
	same(t, "hits once", len(eventIDs(t, s, all, store.EventFilter{Kind: store.EventHit}, 10)), 3)
}

func testNotes(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h", "a")
	receive(t, s, "h", hitItem(1, "i1", "e", base), hitItem(2, "i2", "e", base.Add(time.Second)))
	l, err := s.ListAlerts(ctx, all, store.AlertFilter{Limit: 10})
	ok(t, err)
	same(t, "alerts", len(l.Alerts), 1)
	id := l.Alerts[0].ID
	hits, total, err := s.AlertHits(ctx, all, id, 1)
	ok(t, err)
	same(t, "hits", words(len(hits), total, hits[0].Hit.ID, hits[0].Alert == id, hits[0].Hit.Process.PID), "1 2 i2 true 7")
	hits, total, err = s.AlertHits(ctx, none, id, 10)
	ok(t, err)
	same(t, "hits of no group", len(hits)+total, 0)

	status, assignee, verdict := store.AlertClosed, "ann", store.Benign
	ok(t, s.ChangeAlert(ctx, all, id, store.AlertChange{Assignee: &assignee}))
	ok(t, s.ChangeAlert(ctx, groupA, id, store.AlertChange{Status: &status, Verdict: &verdict}))
	is(t, s.ChangeAlert(ctx, none, id, store.AlertChange{Status: &status}), store.ErrNotFound)
	n, err := s.AddNote(ctx, all, id, store.Note{By: "ann", Time: base, Text: "one"})
	ok(t, err)
	_, err = s.AddNote(ctx, none, id, store.Note{By: "ann", Text: "two"})
	is(t, err, store.ErrNotFound)
	_, err = s.AddNote(ctx, groupA, id, store.Note{By: "bob", Time: base, Text: "three"})
	ok(t, err)
	notes, err := s.ListNotes(ctx, all, id)
	ok(t, err)
	same(t, "notes", words(len(notes), notes[0].ID == n.ID, notes[0].By, notes[0].Text, notes[0].Time.Equal(base), notes[1].Text), "2 true ann one true three")
	notes, err = s.ListNotes(ctx, tenant2, id)
	ok(t, err)
	same(t, "notes of another tenant", len(notes), 0)
	a, err := s.Alert(ctx, all, id)
	ok(t, err)
	same(t, "alert", words(a.Status, a.Assignee, a.Verdict, a.Notes), "closed ann benign 2")
	for _, c := range []struct {
		f    store.AlertFilter
		want int
	}{{store.AlertFilter{Assignee: "ann"}, 1}, {store.AlertFilter{Assignee: "bob"}, 0}, {store.AlertFilter{Rule: "r"}, 1}, {store.AlertFilter{Rule: "s"}, 0},
		{store.AlertFilter{Technique: "T1"}, 0}, {store.AlertFilter{Group: "a"}, 1}, {store.AlertFilter{Group: "b"}, 0},
		{store.AlertFilter{From: base.Add(time.Second)}, 1}, {store.AlertFilter{From: base.Add(2 * time.Second)}, 0}, {store.AlertFilter{To: base.Add(time.Second)}, 0}} {
		c.f.Limit = 10
		l, err := s.ListAlerts(ctx, all, c.f)
		ok(t, err)
		same(t, fmt.Sprintf("alerts by %+v", c.f), len(l.Alerts), c.want)
	}
}
