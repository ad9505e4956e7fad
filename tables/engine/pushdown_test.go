package engine

import (
	"context"
	"errors"
	"iter"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aiedr/edr/tables"
)

func TestPushdown(t *testing.T) {
	var asked []tables.Query
	e := newEngine(t, listing("people", people(10), &asked))
	one := func(col string, op tables.Op, vals ...any) []tables.Constraint {
		return []tables.Constraint{{Column: col, Op: op, Values: vals}}
	}
	for _, c := range []struct {
		where string
		want  []tables.Constraint
	}{
		{"id = 3", one("id", tables.Equals, int64(3))},
		{"id = '3'", one("id", tables.Equals, int64(3))},
		{"id = 3.0", one("id", tables.Equals, 3.0)},
		{"id = 'x'", one("id", tables.Equals, "x")},
		{"id = NULL", one("id", tables.Equals, nil)},
		{"id = 1e300", nil}, // no whole number: SQLite alone decides
		{"id IN (1, '2', NULL, 4)", one("id", tables.Equals, nil, int64(1), int64(2), int64(4))},
		{"id IN (SELECT 5 UNION SELECT 6)", one("id", tables.Equals, int64(5), int64(6))},
		{"score > 1.5", one("score", tables.Greater, 1.5)},
		{"score >= 1", one("score", tables.GreaterOrEquals, int64(1))},
		{"score < 1 AND score <= 2", []tables.Constraint{
			{Column: "score", Op: tables.Less, Values: []any{int64(1)}}, {Column: "score", Op: tables.LessOrEquals, Values: []any{int64(2)}},
		}},
		{"score BETWEEN 1 AND 2", []tables.Constraint{
			{Column: "score", Op: tables.GreaterOrEquals, Values: []any{int64(1)}}, {Column: "score", Op: tables.LessOrEquals, Values: []any{int64(2)}},
		}},
		{"motto = 'x'", one("motto", tables.Equals, "x")},
		{"motto LIKE 'm%'", one("motto", tables.Like, "m%")},
		{"motto GLOB 'm*'", one("motto", tables.Glob, "m*")},
		{"motto LIKE 'm%' ESCAPE '!'", nil},
		{"motto > 'm'", nil},
		{"motto = 'X' COLLATE NOCASE", nil},
		{"motto = 5", nil},
		{"motto IS NULL", nil},
		{"motto <> 'x'", nil},
		{"name = 'n1'", nil}, // not declared for it
		{"chief = 2", one("boss", tables.Equals, int64(2))},
		{"token = 's4'", one("token", tables.Equals, "s4")},
	} {
		asked = nil
		ask(t, e, "SELECT name FROM people WHERE "+c.where)
		if len(asked) != 1 || !reflect.DeepEqual(asked[0].Constraints, c.want) {
			t.Errorf("%s:\n got %v\nwant %v", c.where, asked, c.want)
		}
	}
}

func TestOnlyUsedColumns(t *testing.T) {
	var asked []tables.Query
	e := newEngine(t, listing("people", people(3), &asked))
	for _, c := range []struct {
		sql  string
		want []int
	}{
		{"SELECT count(*) FROM people", []int{}},
		{"SELECT name FROM people WHERE id = 1", []int{0, 1}},
		{"SELECT chief FROM people ORDER BY motto", []int{4, 5}},
		{"SELECT token FROM people", []int{6}},
	} {
		asked = nil
		ask(t, e, c.sql)
		if len(asked) != 1 || !slices.Equal(asked[0].Columns, c.want) {
			t.Errorf("%s: got %v, want %v", c.sql, asked, c.want)
		}
	}
}

func TestJoinByKeyNeverScans(t *testing.T) {
	var asked []tables.Query
	type small struct {
		N int64 `col:"n" doc:"Number."`
	}
	e := newEngine(t, listing("people", people(500), &asked), listing("few", []small{{1}, {400}, {7}}, nil))
	for _, sql := range []string{
		"SELECT p.name FROM few JOIN people p ON p.id = few.n",
		"SELECT p.name FROM people p JOIN few ON p.id = few.n",
		"SELECT p.name FROM few, people p WHERE few.n = p.id AND p.name LIKE 'n%'",
	} {
		asked = nil
		if r := ask(t, e, sql); len(r.Rows) != 3 {
			t.Errorf("%s: %d rows", sql, len(r.Rows))
		}
		for _, q := range asked {
			if _, ok := q.Ints("id"); !ok {
				t.Errorf("%s: a scan without the key: %v", sql, q.Constraints)
			}
		}
		if len(asked) == 0 || len(asked) > 3 {
			t.Errorf("%s: %d scans", sql, len(asked))
		}
	}
}

// TestTheRecordIsTheOuterLoop: a table of events narrows its reading by a key,
// and still reads on; a join asks it once.
func TestTheRecordIsTheOuterLoop(t *testing.T) {
	var asked []tables.Query
	record := listing("record", people(200), &asked)
	record.Evented = true
	e := newEngine(t, listing("people", people(500), nil), record)
	for _, sql := range []string{
		"SELECT p.name FROM people p JOIN record r ON p.id = r.id",
		"SELECT p.name FROM record r JOIN people p ON p.id = r.id",
	} {
		asked = nil
		if r := ask(t, e, sql); len(r.Rows) != 200 {
			t.Errorf("%s: %d rows", sql, len(r.Rows))
		}
		if len(asked) != 1 {
			t.Errorf("%s: the record was asked %d times", sql, len(asked))
		}
	}
	asked = nil
	ask(t, e, "SELECT name FROM record WHERE id = 7")
	if _, ok := asked[0].Ints("id"); len(asked) != 1 || !ok {
		t.Errorf("a key of the record is not handed down: %v", asked)
	}
}

type located struct {
	Path string `col:"path" doc:"Path."`
	Dir  string `col:"directory" doc:"Folder."`
	Size int64  `col:"size" doc:"Size."`
}

type required struct {
	Host string `col:"host,required" doc:"Host."`
	Port int64  `col:"port,required" doc:"Port."`
}

func TestRequiredConstraints(t *testing.T) {
	scan := func(_ context.Context, q *tables.Query) iter.Seq2[located, error] {
		return func(yield func(located, error) bool) {
			paths, _ := q.Strings("path")
			likes, _ := q.Likes("path")
			for _, p := range append(paths, likes...) {
				if !yield(located{Path: strings.ReplaceAll(p, "%", "x"), Dir: "/d"}, nil) {
					return
				}
			}
		}
	}
	file := tables.New(tables.Spec[located]{
		Name: "file", Doc: "Test.", Class: tables.Inventory, RequireAny: []string{"path", "directory"}, Scan: scan,
	})
	e := newEngine(t, file, listing("target", []required{{"h", 1}}, nil), listing("people", people(4), nil))
	for _, sql := range []string{
		"SELECT * FROM file", "SELECT * FROM file WHERE size > 3", "SELECT * FROM file WHERE path <> '/'",
		"SELECT * FROM file WHERE path > '/'", "SELECT * FROM file WHERE path = '/a' OR size = 3",
		"SELECT * FROM file f LEFT JOIN people p ON p.name = f.path",
	} {
		err := askErr(t, e, sql)
		var missing *tables.MissingConstraintError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), "table file needs a constraint (= or LIKE) on path or directory") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if err := askErr(t, e, "SELECT * FROM target"); !strings.Contains(err.Error(), "table target needs a constraint (= or LIKE) on host or port") {
		t.Errorf("required: %v", err)
	}
	for sql, want := range map[string]int{
		"SELECT * FROM file WHERE path = '/a'":                                                      1,
		"SELECT * FROM file WHERE path IN ('/a','/b','/a')":                                         2,
		"SELECT * FROM file WHERE path LIKE '/a%'":                                                  1,
		"SELECT * FROM file WHERE path = '/a' OR path = '/b' OR path LIKE '/c%'":                    3,
		"SELECT * FROM file WHERE (path = '/a' OR path LIKE '/a') AND size = 0":                     1,
		"SELECT f.path FROM people p JOIN file f ON f.path = '/home/' || p.name":                    4,
		"SELECT f.path FROM file f JOIN people p ON f.path = '/home/' || p.name WHERE p.id < 2":     2,
		"SELECT (SELECT path FROM file WHERE path = p.name) FROM people p":                          4,
		"WITH t(p) AS (VALUES('/x'),('/y')) SELECT * FROM t JOIN file ON file.path = t.p":           2,
		"SELECT * FROM target WHERE host = 'h'":                                                     1,
		"SELECT * FROM file WHERE path IN (SELECT '/n/' || name FROM people) ORDER BY path LIMIT 3": 3,
	} {
		if r := ask(t, e, sql); len(r.Rows) != want {
			t.Errorf("%s: %d rows, want %d: %v", sql, len(r.Rows), want, r.Rows)
		}
	}
}

// wide has more columns than SQLite's mask of used columns has bits.
type wide struct {
	C0  int64 `col:"c0" doc:"C."`
	C1  int64 `col:"c1" doc:"C."`
	C2  int64 `col:"c2" doc:"C."`
	C3  int64 `col:"c3" doc:"C."`
	C4  int64 `col:"c4" doc:"C."`
	C5  int64 `col:"c5" doc:"C."`
	C6  int64 `col:"c6" doc:"C."`
	C7  int64 `col:"c7" doc:"C."`
	C8  int64 `col:"c8" doc:"C."`
	C9  int64 `col:"c9" doc:"C."`
	C10 int64 `col:"c10" doc:"C."`
	C11 int64 `col:"c11" doc:"C."`
	C12 int64 `col:"c12" doc:"C."`
	C13 int64 `col:"c13" doc:"C."`
	C14 int64 `col:"c14" doc:"C."`
	C15 int64 `col:"c15" doc:"C."`
	C16 int64 `col:"c16" doc:"C."`
	C17 int64 `col:"c17" doc:"C."`
	C18 int64 `col:"c18" doc:"C."`
	C19 int64 `col:"c19" doc:"C."`
	C20 int64 `col:"c20" doc:"C."`
	C21 int64 `col:"c21" doc:"C."`
	C22 int64 `col:"c22" doc:"C."`
	C23 int64 `col:"c23" doc:"C."`
	C24 int64 `col:"c24" doc:"C."`
	C25 int64 `col:"c25" doc:"C."`
	C26 int64 `col:"c26" doc:"C."`
	C27 int64 `col:"c27" doc:"C."`
	C28 int64 `col:"c28" doc:"C."`
	C29 int64 `col:"c29" doc:"C."`
	C30 int64 `col:"c30" doc:"C."`
	C31 int64 `col:"c31" doc:"C."`
	C32 int64 `col:"c32" doc:"C."`
	C33 int64 `col:"c33" doc:"C."`
	C34 int64 `col:"c34" doc:"C."`
	C35 int64 `col:"c35" doc:"C."`
	C36 int64 `col:"c36" doc:"C."`
	C37 int64 `col:"c37" doc:"C."`
	C38 int64 `col:"c38" doc:"C."`
	C39 int64 `col:"c39" doc:"C."`
	C40 int64 `col:"c40" doc:"C."`
	C41 int64 `col:"c41" doc:"C."`
	C42 int64 `col:"c42" doc:"C."`
	C43 int64 `col:"c43" doc:"C."`
	C44 int64 `col:"c44" doc:"C."`
	C45 int64 `col:"c45" doc:"C."`
	C46 int64 `col:"c46" doc:"C."`
	C47 int64 `col:"c47" doc:"C."`
	C48 int64 `col:"c48" doc:"C."`
	C49 int64 `col:"c49" doc:"C."`
	C50 int64 `col:"c50" doc:"C."`
	C51 int64 `col:"c51" doc:"C."`
	C52 int64 `col:"c52" doc:"C."`
	C53 int64 `col:"c53" doc:"C."`
	C54 int64 `col:"c54" doc:"C."`
	C55 int64 `col:"c55" doc:"C."`
	C56 int64 `col:"c56" doc:"C."`
	C57 int64 `col:"c57" doc:"C."`
	C58 int64 `col:"c58" doc:"C."`
	C59 int64 `col:"c59" doc:"C."`
	C60 int64 `col:"c60" doc:"C."`
	C61 int64 `col:"c61" doc:"C."`
	C62 int64 `col:"c62" doc:"C."`
	C63 int64 `col:"c63" doc:"C."`
	C64 int64 `col:"c64" doc:"C."`
	C65 int64 `col:"c65" doc:"C."`
	C66 int64 `col:"c66" doc:"C."`
	C67 int64 `col:"c67" doc:"C."`
	C68 int64 `col:"c68" doc:"C."`
	C69 int64 `col:"c69" doc:"C."`
}

func TestWideTables(t *testing.T) {
	var asked []tables.Query
	e := newEngine(t, listing("wide", []wide{{C0: 1, C62: 62, C63: 63, C69: 69}}, &asked))
	for _, c := range []struct {
		sql  string
		want []any
		cols int
	}{
		{"SELECT c0, c62 FROM wide", []any{int64(1), int64(62)}, 2},
		{"SELECT c63 FROM wide", []any{int64(63)}, 7},
		{"SELECT c69, c0 FROM wide", []any{int64(69), int64(1)}, 8},
	} {
		asked = nil
		if r := ask(t, e, c.sql); len(r.Rows) != 1 || !reflect.DeepEqual(r.Rows[0], c.want) || len(asked[0].Columns) != c.cols {
			t.Errorf("%s: %v from %d columns", c.sql, r.Rows, len(asked[0].Columns))
		}
	}
	if r := ask(t, e, "SELECT * FROM wide"); len(r.Rows[0]) != 70 || r.Rows[0][69] != int64(69) {
		t.Errorf("all columns: %v", r.Rows)
	}
}

type extreme struct {
	U uint64  `col:"u,index" doc:"Unsigned."`
	I int64   `col:"i,index" doc:"Signed."`
	F float64 `col:"f" doc:"Real."`
	S string  `col:"s" doc:"Text."`
	B []byte  `col:"b" doc:"Blob."`
}

func TestExtremeValues(t *testing.T) {
	rows := []extreme{
		{math.MaxUint64, math.MinInt64, math.MaxFloat64, "a\x00b", []byte{}},
		{1 << 63, math.MaxInt64, math.Inf(-1), "\xff\xfe bad utf-8", []byte("\x00")},
		{math.MaxInt64, 0, math.NaN(), "", nil},
		{7, -1, math.Copysign(0, -1), strings.Repeat("é", 300_000), []byte(strings.Repeat("\x00\xff", 1<<20))},
	}
	e := newEngine(t, listing("x", rows, nil))
	r := ask(t, e, "SELECT u, i, f, s, b FROM x")
	if len(r.Rows) != 4 {
		t.Fatalf("%d rows", len(r.Rows))
	}
	for i, want := range [][]any{
		{"18446744073709551615", int64(math.MinInt64), math.MaxFloat64, "a\x00b", []byte{}},
		{"9223372036854775808", int64(math.MaxInt64), math.Inf(-1), "\xff\xfe bad utf-8", []byte("\x00")},
		{int64(math.MaxInt64), int64(0), nil, "", []byte{}},
		{int64(7), int64(-1), 0.0, rows[3].S, rows[3].B},
	} {
		if !reflect.DeepEqual(r.Rows[i], want) {
			t.Errorf("row %d: got %.80v, want %.80v", i, r.Rows[i], want)
		}
	}
	for sql, want := range map[string]int{
		"SELECT 1 FROM x WHERE u = 18446744073709551615":   1,
		"SELECT 1 FROM x WHERE u = '18446744073709551615'": 1,
		"SELECT 1 FROM x WHERE u > 9223372036854775806":    3,
		"SELECT 1 FROM x WHERE u = 9223372036854775807":    1,
		"SELECT 1 FROM x WHERE i = -9223372036854775808":   1,
		"SELECT 1 FROM x WHERE i IN (9223372036854775807)": 1,
		"SELECT 1 FROM x WHERE i < 1e300":                  4,
		"SELECT 1 FROM x WHERE s = ''":                     1,
		"SELECT 1 FROM x WHERE length(b) = 2097152":        1,
	} {
		if r := ask(t, e, sql); len(r.Rows) != want {
			t.Errorf("%s: %d rows, want %d", sql, len(r.Rows), want)
		}
	}
}
