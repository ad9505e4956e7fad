package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/engine"
)

// Engine prints what a row costs in our engine, and in the virtual table
// module that go-sqlite3 offers, over the same rows and statements.
func Engine(w io.Writer) error {
	rows := makeBenchRows()
	e, err := engine.New([]*tables.Table{benchTable(rows)}, engine.Options{})
	if err != nil {
		return err
	}
	ours := func(sql string) (int, error) {
		r, err := e.Query(context.Background(), nil, engine.Request{SQL: sql, Classes: engine.AllClasses()})
		if err != nil {
			return 0, err
		}
		defer r.Close()
		n := 0
		for _, err := range r.All() {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	peer, close, err := enginePeer(rows)
	if err != nil {
		return err
	}
	defer close()
	fmt.Fprintf(w, "%d rows of 12 columns; wall and CPU time of the process for each row\n", benchRows)
	if peer == nil {
		fmt.Fprintln(w, "the peer, go-sqlite3's own module, needs -tags sqlite_vtable")
	}
	for _, s := range benchStatements {
		wall, cpu, n, err := timeStatement(ours, s.sql)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%-20s engine %7.0f ns wall %7.0f ns CPU", s.name, wall, cpu)
		if peer != nil {
			pwall, pcpu, pn, err := timeStatement(peer, s.sql)
			if err != nil {
				return err
			}
			if pn != n {
				return fmt.Errorf("%s: %d rows from the engine, %d from the peer", s.name, n, pn)
			}
			fmt.Fprintf(w, "   go-sqlite3 module %7.0f ns wall %7.0f ns CPU   ratio %.2f wall %.2f CPU", pwall, pcpu, pwall/wall, pcpu/cpu)
		}
		fmt.Fprintln(w)
	}
	const outer = 2000
	join := fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<%d) SELECT count(*) FROM n JOIN t ON t.a=n.i", outer-1)
	wall, cpu, _, err := timeStatement(ours, join)
	if err != nil {
		return err
	}
	scale := float64(benchRows) / outer
	fmt.Fprintf(w, "%-20s engine %7.0f ns wall %7.0f ns CPU for each of %d keys\n", "join by key", wall*scale, cpu*scale, outer)
	return nil
}

// timeStatement runs a statement for about a second and answers nanoseconds
// for each row of the table, by the best of its runs.
func timeStatement(run func(string) (int, error), sql string) (wall, cpu float64, rows int, err error) {
	if rows, err = run(sql); err != nil {
		return 0, 0, 0, fmt.Errorf("%s: %w", sql, err)
	}
	for until := time.Now().Add(time.Second); time.Now().Before(until); {
		began, before := time.Now(), processCPU()
		if _, err = run(sql); err != nil {
			return 0, 0, 0, err
		}
		w, c := float64(time.Since(began))/benchRows, float64(processCPU()-before)/benchRows
		if wall == 0 || w < wall {
			wall, cpu = w, c
		}
	}
	return wall, cpu, rows, nil
}
