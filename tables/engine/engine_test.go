package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/tables"
)

type person struct {
	ID     int64              `col:"id,index" doc:"Number."`
	Name   string             `col:"name" doc:"Name."`
	Score  float64            `col:"score,additional" doc:"Score."`
	Photo  []byte             `col:"photo" doc:"Photo."`
	Boss   tables.Opt[int64]  `col:"boss,additional,alias=chief" doc:"Number of the boss."`
	Motto  tables.Opt[string] `col:"motto,index" doc:"Motto."`
	Secret string             `col:"token,hidden,additional" doc:"Hidden."`
	Big    uint64             `col:"big" doc:"Large."`
}

func people(n int) []person {
	var ps []person
	for i := range n {
		p := person{ID: int64(i), Name: fmt.Sprintf("n%d", i), Score: float64(i) / 4, Photo: []byte{byte(i), 0, 1}, Secret: fmt.Sprintf("s%d", i), Big: uint64(i)}
		if i%3 == 0 {
			p.Boss = tables.Some(int64(i / 2))
		}
		if i%2 == 0 {
			p.Motto = tables.Some("motto " + p.Name)
		}
		ps = append(ps, p)
	}
	return ps
}

// scanOf yields the rows.
func scanOf[Row any](rows []Row) func(context.Context, *tables.Query) iter.Seq2[Row, error] {
	return func(context.Context, *tables.Query) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) {
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// listing makes a table of rows and remembers what its last scan was asked.
func listing[Row any](name string, rows []Row, asked *[]tables.Query) *tables.Table {
	return tables.New(tables.Spec[Row]{
		Name: name, Doc: "Test.", Class: tables.Inventory, Platforms: tables.AllPlatforms,
		Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[Row, error] {
			if asked != nil {
				*asked = append(*asked, tables.Query{Columns: q.Columns, Constraints: q.Constraints, QueryName: q.QueryName})
			}
			return func(yield func(Row, error) bool) {
				for _, r := range rows {
					if !yield(r, nil) {
						return
					}
				}
			}
		},
	})
}

func newEngine(t testing.TB, list ...*tables.Table) *Engine {
	t.Helper()
	e, err := New(list, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func ask(t testing.TB, e *Engine, sql string) *Result {
	t.Helper()
	r, err := e.Collect(context.Background(), nil, Request{SQL: sql, Classes: AllClasses(), Deadline: 30 * time.Second})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return r
}

func askErr(t testing.TB, e *Engine, sql string) error {
	t.Helper()
	r, err := e.Collect(context.Background(), nil, Request{SQL: sql, Classes: AllClasses(), Deadline: 30 * time.Second})
	if err == nil {
		t.Fatalf("%s: no error, but %d rows", sql, len(r.Rows))
	}
	return err
}

func TestValues(t *testing.T) {
	e := newEngine(t, listing("people", people(3), nil))
	r := ask(t, e, "SELECT * FROM people WHERE id = 0")
	want := []any{int64(0), "n0", 0.0, []byte{0, 0, 1}, int64(0), "motto n0", int64(0)}
	if len(r.Rows) != 1 || !reflect.DeepEqual(r.Rows[0], want) {
		t.Errorf("got %#v, want %#v", r.Rows, want)
	}
	var names []string
	for _, c := range r.Info.Columns {
		names = append(names, c.Name+" "+string(c.Type))
	}
	if got := strings.Join(names, ","); got != "id BIGINT,name TEXT,score DOUBLE,photo BLOB,boss BIGINT,motto TEXT,big UNSIGNED_BIGINT" {
		t.Errorf("columns: %s", got)
	}
	if r.Stats.Rows != 1 || r.Stats.Scanned != 3 || r.Stats.Wall <= 0 || r.Stats.MemoryPeak <= 0 {
		t.Errorf("stats: %+v", r.Stats)
	}
}

func TestErrNotSupported(t *testing.T) {
	type row struct {
		Key string `col:"key,additional" doc:"Key."`
	}
	reg := tables.New(tables.Spec[row]{
		Name: "registry", Doc: "Test.", Class: tables.Inventory, Platforms: tables.Windows,
		Scan: func(context.Context, *tables.Query) iter.Seq2[row, error] {
			return func(yield func(row, error) bool) { yield(row{}, tables.ErrNotSupported) }
		},
	})
	err := askErr(t, newEngine(t, reg), "SELECT * FROM registry WHERE key = 'x'")
	if !errors.Is(err, tables.ErrNotSupported) || !strings.Contains(err.Error(), "registry") {
		t.Errorf("got %v", err)
	}
}
