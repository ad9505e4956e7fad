package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
)

func testTrends(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h1", "a")
	host(t, s, all, "h2")
	at := func(n uint64, entity string, d time.Duration) store.Item {
		it := hitItem(n, fmt.Sprint(entity, n), entity, base.Add(d))
		it.Hit.Attack = []string{"T1059", "T1105"}
		return it
	}
	receive(t, s, "h1", at(1, "x", 0), at(2, "y", 90*time.Minute), at(3, "before", -3*time.Hour))
	low := at(1, "z", 91*time.Minute)
	low.Hit.Severity, low.Hit.Attack = "low", []string{"T1059"}
	receive(t, s, "h2", low)
	tr, err := s.Trends(ctx, all, base, time.Hour, 3)
	ok(t, err)
	same(t, "buckets", fmt.Sprint(tr.Buckets), "[map[high:1] map[high:1 low:1] map[]]")
	same(t, "techniques", fmt.Sprint(tr.Techniques), "[{T1059 T1059 3} {T1105 T1105 2}]")
	same(t, "rules", fmt.Sprint(tr.Rules), "[{r Rule 3}]")
	same(t, "hosts", fmt.Sprint(tr.Hosts), "[{h1 name-h1 2} {h2 name-h2 1}]")
	tr, err = s.Trends(ctx, groupA, base, time.Hour, 1)
	ok(t, err)
	same(t, "of a group", fmt.Sprint(tr.Buckets, tr.Hosts), "[map[high:1]] [{h1 name-h1 1}]")
	tr, err = s.Trends(ctx, none, base, time.Hour, 1)
	ok(t, err)
	same(t, "of no group", fmt.Sprint(tr.Buckets, len(tr.Hosts)), "[map[]] 0")
}

func testPruning(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	_, err := s.OpenExport(ctx, all, "slow", base)
	ok(t, err)
	row := func(n uint64, d time.Duration) store.Item {
		it := resultItem(n, 2)
		it.Result.Time = base.Add(d)
		return it
	}
	receive(t, s, "h", row(1, 0), row(2, time.Hour), row(3, 48*time.Hour), hitItem(4, "old", "e", base), hitItem(5, "new", "f", base.Add(48*time.Hour)))
	old := store.Pruning{Before: base.Add(24 * time.Hour), Limit: 1}
	left := func(what string, want int) {
		t.Helper()
		same(t, what, len(eventIDs(t, s, all, store.EventFilter{Classes: 3}, 100)), want)
	}
	// What the sink has not been sent is held back.
	p, err := s.PruneResults(ctx, all, old)
	ok(t, err)
	same(t, "held back", words(p.Deleted, p.HeldBack, p.More), "0 2 false")
	left("held back", 8)
	// Sent up to the first: that one goes.
	page, err := s.ReadExport(ctx, all, store.ExportPosition{}, 2, 1<<20)
	ok(t, err)
	ok(t, s.MoveExport(ctx, all, "slow", store.ExportPosition{Seq: page.Documents[1].Position.Seq, Row: 1 << 62}, store.ExportCounts{Sent: 2}, base))
	p, err = s.PruneResults(ctx, all, old)
	ok(t, err)
	same(t, "the sent one", words(p.Deleted, p.HeldBack, p.More), "2 1 true")
	left("without the sent one", 6)
	// Beyond the bound it goes unsent, and the sink's next page says so.
	old.UnsentBefore = base.Add(2 * time.Hour)
	p, err = s.PruneResults(ctx, all, old)
	ok(t, err)
	same(t, "beyond the bound", words(p.Deleted, p.HeldBack), "2 0")
	next, err := s.ReadExport(ctx, all, store.ExportPosition{Seq: page.Documents[1].Position.Seq, Row: 1 << 62}, 10, 1<<20)
	ok(t, err)
	same(t, "missed", next.Missed, 1)
	left("of results", 4)
	p, err = s.PruneResults(ctx, tenant2, old)
	ok(t, err)
	same(t, "another tenant's", p.Deleted, 0)

	p, err = s.PruneHits(ctx, all, old)
	ok(t, err)
	same(t, "hits", words(p.Deleted, p.More), "1 true")
	p, err = s.PruneHits(ctx, all, old)
	ok(t, err)
	same(t, "hits again", words(p.Deleted, p.More), "0 false")
	left("of hits", 3)

	// Open alerts stay, however old.
	p, err = s.PruneAlerts(ctx, all, old)
	ok(t, err)
	same(t, "open alerts", p.Deleted, 0)
	l, err := s.ListAlerts(ctx, all, store.AlertFilter{Limit: 10})
	ok(t, err)
	for _, a := range l.Alerts {
		ok(t, s.SetAlertStatus(ctx, all, a.ID, store.AlertClosed))
		_, err := s.AddNote(ctx, all, a.ID, store.Note{By: "ann", Text: "n"})
		ok(t, err)
	}
	p, err = s.PruneAlerts(ctx, all, old)
	ok(t, err)
	same(t, "closed alerts", words(p.Deleted, p.More), "1 true")
	l, err = s.ListAlerts(ctx, all, store.AlertFilter{Limit: 10})
	ok(t, err)
	same(t, "alerts left", words(len(l.Alerts), l.Alerts[0].Entity, l.Alerts[0].Notes), "1 f 1")

	for i, id := range []string{"q1", "q2"} {
		ok(t, s.AddQuery(ctx, all, store.Query{ID: id, CreatedAt: base, DeadlineAt: base}, []store.QueryHost{{Host: "h", State: store.QueryPending}}))
		if i == 0 {
			ok(t, s.EndQuery(ctx, all, id, false))
		}
	}
	p, err = s.PruneQueries(ctx, all, old)
	ok(t, err)
	same(t, "ended queries", p.Deleted, 1)
	_, err = s.Query(ctx, all, "q1")
	is(t, err, store.ErrNotFound)
	_, err = s.Query(ctx, all, "q2")
	ok(t, err)
}

func testQuota(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	host(t, s, all, "other")
	ok(t, s.SetSetting(ctx, all, store.SettingAlertQuota, "10"))
	for i := range uint64(15) {
		receive(t, s, "h", hitItem(i+1, fmt.Sprint("i", i), fmt.Sprint("entity ", i), base.Add(time.Duration(i)*3*time.Hour)))
	}
	receive(t, s, "other", hitItem(1, "o", "e", base))
	l, err := s.ListAlerts(ctx, all, store.AlertFilter{Host: "h", Limit: 100})
	ok(t, err)
	same(t, "alerts", len(l.Alerts), 11)
	l, err = s.ListAlerts(ctx, all, store.AlertFilter{Rule: store.QuotaRule, Limit: 100})
	ok(t, err)
	same(t, "the alert of what is beyond", words(len(l.Alerts), l.Alerts[0].Count, l.Alerts[0].Process == nil), "1 5 true")
	same(t, "events", len(eventIDs(t, s, all, store.EventFilter{Host: "h", Rule: "r"}, 100)), 15)
	// An alert that is there goes on counting, and closing makes room.
	receive(t, s, "h", hitItem(16, "again", "entity 0", base.Add(time.Minute)))
	closed := store.AlertClosed
	for _, a := range l.Alerts {
		ok(t, s.ChangeAlert(ctx, all, a.ID, store.AlertChange{Status: &closed}))
	}
	l, err = s.ListAlerts(ctx, all, store.AlertFilter{Host: "h", Status: store.AlertOpen, Limit: 100})
	ok(t, err)
	ok(t, s.ChangeAlert(ctx, all, l.Alerts[0].ID, store.AlertChange{Status: &closed}))
	receive(t, s, "h", hitItem(17, "fresh", "fresh", base.Add(100*time.Hour)))
	l, err = s.ListAlerts(ctx, all, store.AlertFilter{Host: "h", Text: "fresh", Limit: 100})
	ok(t, err)
	same(t, "a fresh alert", len(l.Alerts), 1)
	same(t, "counted", l.Alerts[0].Rule.ID, "r")
}

func testConfigSerials(t *testing.T, s store.Store) {
	ctx := t.Context()
	ok(t, s.SetSetting(ctx, all, "config_serial", "41")) // of a server before this one
	for _, c := range []struct {
		hash string
		want uint64
	}{{"a", 42}, {"b", 43}, {"a", 42}, {"c", 44}, {"b", 43}} {
		n, err := s.ConfigSerial(ctx, all, c.hash)
		ok(t, err)
		same(t, "serial of "+c.hash, n, c.want)
	}
	n, err := s.ConfigSerial(ctx, tenant2, "a")
	ok(t, err)
	same(t, "another tenant's", n, 1)
}
