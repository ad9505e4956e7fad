package engine

import (
	"context"
	"iter"
	"slices"
	"testing"

	"github.com/aiedr/edr/tables"
)

func TestScansAreReadOnce(t *testing.T) {
	var asked []tables.Query
	type owned struct {
		Owner int64 `col:"owner" doc:"Number of a person."`
	}
	many := make([]owned, 3000)
	for i := range many {
		many[i].Owner = int64(i % 4)
	}
	all := people(2000)
	table := tables.New(tables.Spec[person]{
		Name: "people", Doc: "Test.", Class: tables.Inventory, Platforms: tables.AllPlatforms,
		Scan: func(_ context.Context, q *tables.Query) iter.Seq2[person, error] {
			asked = append(asked, tables.Query{Constraints: q.Constraints})
			return func(yield func(person, error) bool) {
				ids, keyed := q.Ints("id")
				for _, p := range all {
					if (!keyed || slices.Contains(ids, p.ID)) && !yield(p, nil) {
						return
					}
				}
			}
		},
	})
	e := newEngine(t, table, listing("files", many, nil))
	for _, c := range []struct {
		sql   string
		rows  int
		scans int
	}{
		// By key: each key once.
		{"SELECT p.name FROM files f JOIN people p ON p.id = f.owner", 3000, 4},
		// Without a key: streamed once, kept at the second time, and read no more.
		{"SELECT p.id FROM files f LEFT JOIN people p ON p.name = 'n' || f.owner LIMIT 8", 8, 2},
		{"SELECT count(*) FROM people", 1, 1},
	} {
		asked = nil
		r := ask(t, e, c.sql)
		if len(r.Rows) != c.rows || len(asked) != c.scans {
			t.Errorf("%s: %d rows by %d scans, want %d by %d", c.sql, len(r.Rows), len(asked), c.rows, c.scans)
		}
	}
	// Nothing is kept from one statement to the next.
	asked = nil
	ask(t, e, "SELECT count(*) FROM people")
	if len(asked) != 1 {
		t.Errorf("a second statement read the table %d times", len(asked))
	}
}

func TestCacheKeys(t *testing.T) {
	x := &table{name: "t"}
	cons := func(vals ...any) []tables.Constraint {
		return []tables.Constraint{{Column: "c", Op: tables.Equals, Values: vals}}
	}
	seen := map[string]int{}
	for i, c := range [][]tables.Constraint{
		nil, cons(), cons(nil), cons(int64(1)), cons("1"), cons([]byte("1")), cons(1.0), cons("1", "2"), cons("12"), cons("1t1:2"),
		{{Column: "c", Op: tables.Like, Values: []any{"1"}}}, {{Column: "d", Op: tables.Equals, Values: []any{"1"}}},
	} {
		key := cacheKey(x, []int{1}, c)
		if j, same := seen[key]; same {
			t.Errorf("questions %d and %d have one key: %q", i, j, key)
		}
		seen[key] = i
	}
	if cacheKey(x, []int{1, 2}, nil) == cacheKey(x, []int{12}, nil) {
		t.Error("the columns are not in the key")
	}
}

func TestCacheIsBounded(t *testing.T) {
	var c cache
	big := keep{bytes: keepBytes / 2}
	c.put("a", big)
	c.put("b", big)
	if _, ok := c.get("a"); !ok {
		t.Error("what fits is not kept")
	}
	if _, ok := c.get("b"); ok || c.bytes > keepBytes {
		t.Errorf("%d bytes are kept", c.bytes)
	}
	var k keep
	if k.add(tables.Batch{Arena: make([]byte, keepBytes)}) {
		t.Error("a batch over the bound was taken")
	}
}
