package main

import (
	"context"
	"fmt"
	"iter"

	"github.com/aiedr/edr/tables"
)

// benchRow has the twelve columns of the design's figure: five whole numbers,
// six texts and a real.
type benchRow struct {
	A int64   `col:"a,index" doc:"Number."`
	B int64   `col:"b" doc:"Number."`
	C int64   `col:"c" doc:"Number."`
	D int64   `col:"d" doc:"Number."`
	E int64   `col:"e" doc:"Number."`
	F string  `col:"f" doc:"Text."`
	G string  `col:"g" doc:"Text."`
	H string  `col:"h" doc:"Text."`
	I string  `col:"i" doc:"Text."`
	J string  `col:"j" doc:"Text."`
	K string  `col:"k" doc:"Text."`
	L float64 `col:"l" doc:"Real."`
}

const benchRows = 10_000

// benchStatements are run over the same rows by each engine.
var benchStatements = []struct{ name, sql string }{
	{"12 aggregates", "SELECT max(a),max(b),max(c),max(d),max(e),max(f),max(g),max(h),max(i),max(j),max(k),sum(l) FROM t"},
	{"count(*)", "SELECT count(*) FROM t"},
	{"LIKE on one column", "SELECT count(*) FROM t WHERE g LIKE '%77%'"},
	{"all rows to Go", "SELECT * FROM t"},
}

func makeBenchRows() []benchRow {
	rows := make([]benchRow, benchRows)
	for i := range rows {
		n := int64(i)
		rows[i] = benchRow{
			n, n * 3, n % 7, n << 20, -n, fmt.Sprintf("name-%d", i), fmt.Sprintf("/usr/bin/tool-%d", i),
			fmt.Sprintf("/usr/bin/tool-%d --flag value-%d", i, i), "S", "/", "root", float64(i) / 3,
		}
	}
	return rows
}

func benchTable(rows []benchRow) *tables.Table {
	return tables.New(tables.Spec[benchRow]{
		Name: "t", Doc: "Rows of a benchmark.", Class: tables.Inventory, Platforms: tables.AllPlatforms,
		Scan: func(_ context.Context, q *tables.Query) iter.Seq2[benchRow, error] {
			return func(yield func(benchRow, error) bool) {
				if ids, ok := q.Ints("a"); ok {
					for _, id := range ids {
						if id >= 0 && id < int64(len(rows)) && !yield(rows[id], nil) {
							return
						}
					}
					return
				}
				for i := range rows {
					if !yield(rows[i], nil) {
						return
					}
				}
			}
		},
	})
}
