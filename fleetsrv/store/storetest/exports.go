package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

func resultItem(n uint64, rows int) store.Item {
	it := item(n, fmt.Sprintf("result %d", n))
	it.Kind = wire.KindResult
	it.Result = &store.ResultBatch{Query: "q", Pack: "p", Time: base, Epoch: 1, Counter: n, Columns: []string{"a", "b"}, Classes: 3}
	for i := range rows {
		it.Result.Added = append(it.Result.Added, json.RawMessage(fmt.Sprintf(`[%d,"x"]`, i)))
	}
	return it
}

func outcomeItem(n uint64) store.Item {
	it := item(n, fmt.Sprintf("outcome %d", n))
	it.Kind, it.Outcome = wire.KindOutcome, &wire.Outcome{ID: "r1", Action: "terminate_process", State: "done", Time: base}
	return it
}

// readAll walks the journal from a position in pages of the given size.
func readAll(t *testing.T, s store.Store, after store.ExportPosition, limit int) ([]store.ExportDocument, store.ExportPosition) {
	t.Helper()
	var out []store.ExportDocument
	for range 1000 {
		p, err := s.ReadExport(t.Context(), all, after, limit, 1<<20)
		ok(t, err)
		if len(p.Documents) > limit {
			t.Fatalf("a page of %d documents, asked for %d", len(p.Documents), limit)
		}
		out, after = append(out, p.Documents...), p.Next
		if !p.More {
			return out, after
		}
	}
	t.Fatal("the journal has no end")
	return nil, after
}

// testExports: the journal begins with the first cursor, holds what was kept
// once and in its order, and is read in pages of any size.
func testExports(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	receive(t, s, "h", hitItem(1, "before", "e", base))
	c, err := s.OpenExport(ctx, all, "sink", base)
	ok(t, err)
	none, end := readAll(t, s, c.Position, 10)
	same(t, "nothing before the cursor", len(none), 0)
	same(t, "nor behind it", end, c.Position)

	first := hitItem(2, "a", "e", base)
	receive(t, s, "h", first, resultItem(3, 5), resultItem(4, 0), outcomeItem(5))
	receive(t, s, "h", first, hitItem(6, "a", "e", base)) // the same record, and the same hit in another
	receive(t, s, "h", hitItem(7, "b", "e", base))
	_, err = s.RaiseAlert(ctx, all, "h", wire.Hit{ID: "own", Rule: wire.RuleRef{ID: "own"}, Time: base})
	ok(t, err)

	var ids []string
	for _, limit := range []int{1, 2, 3, 5, 100} {
		docs, _ := readAll(t, s, c.Position, limit)
		var kinds, now []string
		for i, d := range docs {
			kinds, now = append(kinds, string(d.Kind)), append(now, d.ID)
			same(t, "host", d.Host, "h")
			if i > 0 && (d.Position.Seq < docs[i-1].Position.Seq || d.Position.Seq == docs[i-1].Position.Seq && d.Position.Row <= docs[i-1].Position.Row) {
				t.Fatalf("document %d does not rise: %v after %v", i, d.Position, docs[i-1].Position)
			}
		}
		same(t, fmt.Sprint("kinds in pages of ", limit), words(kinds), "[hit result result result result result outcome hit hit]")
		if ids == nil {
			ids = now
		}
		if !slices.Equal(ids, now) {
			t.Fatalf("ids differ between pages of 1 and %d", limit)
		}
		same(t, "a row", words(docs[3].Row.Query, docs[3].Row.Action, docs[3].Row.Columns, docs[3].Row.Values[0].Any(), docs[3].Row.Classes), "q added [a b] 2 3")
		same(t, "a hit", docs[0].Hit.ID, "a")
		same(t, "an outcome", docs[6].Outcome.ID, "r1")
		same(t, "the server's own", docs[8].Hit.ID, "own")
	}
	slices.Sort(ids)
	same(t, "ids are one each", len(slices.Compact(ids)), 9)

	// A page is bounded by its content too, but always goes on.
	p, err := s.ReadExport(ctx, all, c.Position, 100, 1)
	ok(t, err)
	same(t, "documents of a small page", len(p.Documents), 1)
	same(t, "more", p.More, true)
	if docs, _ := readAll(t, s, store.ExportPosition{}, 100); len(docs) != 9 {
		t.Fatalf("%d documents from the beginning", len(docs))
	}
	other, err := s.ReadExport(ctx, tenant2, store.ExportPosition{}, 100, 1<<20)
	ok(t, err)
	same(t, "another tenant's", len(other.Documents), 0)
}

// testExportCursors: a cursor moves forward only, counts, and holds the
// journal until it has passed or the journal's age is over.
func testExportCursors(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	slow, err := s.OpenExport(ctx, all, "slow", base)
	ok(t, err)
	_, err = s.OpenExport(ctx, all, "fast", base)
	ok(t, err)
	receive(t, s, "h", hitItem(1, "a", "e", base), resultItem(2, 3), hitItem(3, "b", "e", base))
	docs, end := readAll(t, s, slow.Position, 100)
	same(t, "documents", len(docs), 5)

	// Inside of a record.
	ok(t, s.MoveExport(ctx, all, "slow", docs[2].Position, store.ExportCounts{Sent: 3}, base.Add(time.Minute)))
	again, err := s.OpenExport(ctx, all, "slow", base.Add(time.Hour))
	ok(t, err)
	same(t, "kept", words(again.Position == docs[2].Position, again.Sent, again.MovedAt.Equal(base.Add(time.Minute))), "true 3 true")
	rest, _ := readAll(t, s, again.Position, 100)
	same(t, "the rest", words(len(rest), rest[0].ID == docs[3].ID), "2 true")
	is(t, s.MoveExport(ctx, all, "slow", docs[0].Position, store.ExportCounts{}, base), store.ErrConflict)
	is(t, s.MoveExport(ctx, all, "nobody", docs[0].Position, store.ExportCounts{}, base), store.ErrNotFound)

	ok(t, s.MoveExport(ctx, all, "fast", end, store.ExportCounts{Sent: 4, Dead: 1}, base))
	list, err := s.ListExports(ctx, all)
	ok(t, err)
	same(t, "list", words(len(list), list[0].Sink, list[0].Behind, list[0].Sent, list[0].Dead, list[0].Oldest.IsZero(), list[1].Sink, list[1].Behind, list[1].Oldest.IsZero()),
		"2 fast 0 4 1 true slow 2 false")

	gone, err := s.PruneExports(ctx, all, time.Time{})
	ok(t, err)
	same(t, "what both have passed", gone, int64(1))
	rest, _ = readAll(t, s, again.Position, 100)
	same(t, "the rest stays", len(rest), 2)
	gone, err = s.PruneExports(ctx, all, time.Now().Add(time.Hour))
	ok(t, err)
	same(t, "what is too old", gone, int64(2))
	list, err = s.ListExports(ctx, all)
	ok(t, err)
	same(t, "missed", words(list[0].Missed, list[1].Missed), "0 2")

	// A new cursor begins at the end, also of an empty journal; sequences go on.
	fresh, err := s.OpenExport(ctx, all, "new", base)
	ok(t, err)
	receive(t, s, "h", hitItem(4, "c", "e", base))
	for _, at := range []store.ExportPosition{fresh.Position, again.Position, end} {
		docs, _ = readAll(t, s, at, 100)
		same(t, "after the gap", words(len(docs), docs[0].Hit.ID), "1 c")
	}

	for _, name := range []string{"slow", "fast", "new"} {
		ok(t, s.ForgetExport(ctx, all, name))
	}
	is(t, s.ForgetExport(ctx, all, "slow"), store.ErrNotFound)
	receive(t, s, "h", hitItem(5, "d", "e", base))
	docs, _ = readAll(t, s, end, 100)
	same(t, "nothing is kept for nobody", len(docs), 1)
}
