package engine

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"
)

// FuzzSQL holds any text to this: nothing crashes, nothing is written, and a
// statement that runs has passed as one that reads.
func FuzzSQL(f *testing.F) {
	for _, sql := range []string{
		"SELECT 1", "SELECT * FROM people WHERE id IN (1,2) OR motto LIKE '%a'", "ATTACH 'x.db' AS x", "VACUUM INTO 'x.db'",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT * FROM n",
		"SELECT regex_match(name, '(', 1), split(name, ',', 0) FROM people", "PRAGMA table_info(people)", "SELECT * FROM sqlite_temp_master",
		"SELECT a.id FROM people a FULL JOIN people b ON a.boss=b.id GROUP BY 1 ORDER BY 1 LIMIT 3", "EXPLAIN SELECT * FROM people",
		"SELECT group_concat(token) OVER (PARTITION BY boss) FROM people", "select '\xff", "SELECT 1;;; -- x\n/*", "SELECT ?", "",
		"CREATE TABLE x(a)", "SELECT writefile('x','y')", "SELECT * FROM json_tree('{\"a\":[1]}')", "SELECT printf('%1000000d', 1)",
	} {
		f.Add(sql)
	}
	// A relative name in a statement would lie in the package's folder.
	here := func() (names []string) {
		list, err := os.ReadDir(".")
		if err != nil {
			f.Fatal(err)
		}
		for _, x := range list {
			if x.Name() != "testdata" { // the fuzzer's own
				names = append(names, x.Name())
			}
		}
		return names
	}
	before := here()
	e := newEngine(f, listing("people", people(20), nil))
	f.Fuzz(func(t *testing.T, sql string) {
		// The cost of a hostile statement is bounded; here tightly.
		r, err := e.Query(context.Background(), nil, Request{
			SQL: sql, Classes: AllClasses(), MaxRows: 1000, MaxHeap: 8 << 20, Deadline: 300 * time.Millisecond,
		})
		if err == nil {
			if len(r.Info().Columns) == 0 {
				t.Errorf("%q ran and answers no columns", sql)
			}
			for range r.All() {
			}
		}
		if after := here(); !slices.Equal(before, after) {
			t.Errorf("%q changed the folder's files from %v to %v", sql, before, after)
		}
	})
}
