package engine

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/tables"
)

// thing has a column of each type, some of whose constraints are handed down.
type thing struct {
	ID    int64               `col:"id,index,optimized" doc:"Key, not unique."`
	N     tables.Opt[int32]   `col:"n,additional" doc:"Small number or NULL."`
	Wide  int64               `col:"wide,additional" doc:"Numbers to the ends of the range."`
	Name  string              `col:"name,index" doc:"Text, also text that looks like a number."`
	Note  tables.Opt[string]  `col:"note,additional,alias=remark" doc:"Text or NULL."`
	Real  tables.Opt[float64] `col:"real,additional" doc:"Number or NULL."`
	Bytes []byte              `col:"bytes,index" doc:"Blob."`
	Plain string              `col:"plain" doc:"Not handed down."`
	Hid   int64               `col:"hid,hidden,index" doc:"Hidden."`
}

var (
	diffTexts = []string{"", "5", "05", "5.0", " 5", "abc", "ABC", "äöü", "日本", "a%b", "a_b", "a\x00b", "1e2", "-1", "x'00'"}
	diffInts  = []int64{0, 1, 2, 3, 4, 5, -1, 100, math.MaxInt64, math.MinInt64, 1 << 53, 1<<53 + 1}
	diffReals = []float64{0, 0.5, 5, -1, 1e300, -1e300, 4.999, math.Inf(1), 1 << 62}
)

func randomThings(r *rand.Rand, n int) []thing {
	pick := func() string { return diffTexts[r.IntN(len(diffTexts))] }
	var out []thing
	for range n {
		x := thing{
			ID: int64(r.IntN(8)), Wide: diffInts[r.IntN(len(diffInts))], Name: pick(),
			Bytes: []byte(pick()), Plain: pick(), Hid: int64(r.IntN(4)),
		}
		if r.IntN(3) > 0 {
			x.N = tables.Some(int32(r.IntN(6) - 1))
		}
		if r.IntN(3) > 0 {
			x.Note = tables.Some(pick())
		}
		if r.IntN(3) > 0 {
			x.Real = tables.Some(diffReals[r.IntN(len(diffReals))])
		}
		out = append(out, x)
		if r.IntN(4) == 0 {
			out = append(out, x) // the same row twice
		}
	}
	return out
}

// thingTable filters as a real table does: by what it can make use of.
func thingTable(name string, rows []thing, filter bool) *tables.Table {
	return tables.New(tables.Spec[thing]{
		Name: name, Doc: "Test.", Class: tables.Inventory, Platforms: tables.AllPlatforms,
		Scan: func(_ context.Context, q *tables.Query) iter.Seq2[thing, error] {
			return func(yield func(thing, error) bool) {
				for _, x := range rows {
					if filter && !wanted(q, x) {
						continue
					}
					if !yield(x, nil) {
						return
					}
				}
			}
		},
	})
}

func wanted(q *tables.Query, x thing) bool {
	if ids, ok := q.Ints("id"); ok && !slices.Contains(ids, x.ID) {
		return false
	}
	if hids, ok := q.Ints("hid"); ok && !slices.Contains(hids, x.Hid) {
		return false
	}
	for _, col := range []struct {
		name  string
		value int64
		known bool
	}{{"id", x.ID, true}, {"n", int64(x.N.V), x.N.Known}, {"wide", x.Wide, true}} {
		low, high := q.IntRange(col.name)
		if col.known && (col.value < low || col.value > high) {
			return false
		}
	}
	if names, ok := q.Strings("name"); ok && !slices.Contains(names, x.Name) {
		return false
	}
	if notes, ok := q.Strings("note"); ok && (!x.Note.Known || !slices.Contains(notes, x.Note.V)) {
		return false
	}
	if bytes, ok := q.Strings("bytes"); ok && !slices.Contains(bytes, string(x.Bytes)) {
		return false
	}
	return true
}

func fillPlain(t *testing.T, db *sql.DB, name string, rows []thing) {
	t.Helper()
	if _, err := db.Exec("CREATE TABLE " + name + "(id BIGINT, n INTEGER, wide BIGINT, name TEXT, note TEXT, real DOUBLE, bytes BLOB, plain TEXT, hid BIGINT, remark TEXT)"); err != nil {
		t.Fatal(err)
	}
	opt := func(known bool, v any) any {
		if known {
			return v
		}
		return nil
	}
	for _, x := range rows {
		note := opt(x.Note.Known, x.Note.V)
		if _, err := db.Exec("INSERT INTO "+name+" VALUES(?,?,?,?,?,?,?,?,?,?)", x.ID, opt(x.N.Known, int64(x.N.V)), x.Wide, x.Name,
			note, opt(x.Real.Known, x.Real.V), x.Bytes, x.Plain, x.Hid, note); err != nil {
			t.Fatal(err)
		}
	}
}

// writer makes random statements.
type writer struct{ *rand.Rand }

func (w writer) of(list ...string) string { return list[w.IntN(len(list))] }

func (w writer) literal() string {
	switch w.IntN(10) {
	case 0:
		return "NULL"
	case 1, 2, 3:
		return fmt.Sprint(w.IntN(7) - 1)
	case 4:
		return fmt.Sprint(diffInts[w.IntN(len(diffInts)-3)])
	case 5:
		return w.of("0.5", "5.0", "1e300", "-1e300", "4.5", "9223372036854775807.0")
	case 6:
		return w.of("x'616263'", "x''", "x'35'", "CAST('abc' AS BLOB)")
	}
	s := strings.ReplaceAll(diffTexts[w.IntN(len(diffTexts))], "'", "''")
	if strings.ContainsRune(s, 0) {
		s = "abc"
	}
	return "'" + s + "'"
}

var diffColumns = []string{"id", "n", "wide", "name", "note", "real", "bytes", "plain", "hid", "remark"}

func (w writer) column(alias string) string { return alias + "." + w.of(diffColumns...) }

func (w writer) condition(aliases []string, depth int) string {
	a := aliases[w.IntN(len(aliases))]
	switch w.IntN(14) {
	case 0, 1, 2, 3:
		return w.column(a) + " " + w.of("=", "=", "=", "<", "<=", ">", ">=", "<>", "IS", "IS NOT") + " " + w.literal()
	case 4, 5:
		n := w.IntN(5)
		var list []string
		for range n {
			list = append(list, w.literal())
		}
		return w.column(a) + w.of(" IN (", " IN (", " NOT IN (") + strings.Join(list, ",") + ")"
	case 6:
		return w.column(a) + w.of(" LIKE ", " GLOB ", " NOT LIKE ") + "'" + w.of("a%", "%b%", "A_C", "5", "*b*", "a?c", "[a-c]*", "%") + "'"
	case 7:
		return w.column(a) + " BETWEEN " + w.literal() + " AND " + w.literal()
	case 8:
		return w.column(a) + w.of(" IS NULL", " IS NOT NULL")
	case 9:
		b := aliases[w.IntN(len(aliases))]
		return w.column(a) + w.of(" = ", " < ", " >= ") + w.column(b)
	case 10:
		return w.column(a) + " IN (SELECT " + w.of(diffColumns...) + " FROM b WHERE " + w.condition([]string{"b"}, 0) + ")"
	case 11:
		return w.column(a) + " = " + w.literal() + " COLLATE NOCASE"
	}
	if depth <= 0 {
		return w.column(a) + " = " + w.literal()
	}
	return "(" + w.condition(aliases, depth-1) + w.of(" AND ", " OR ", " OR ") + w.condition(aliases, depth-1) + ")"
}

func (w writer) statement() string {
	where := func(aliases ...string) string {
		if w.IntN(8) == 0 {
			return ""
		}
		return " WHERE " + w.condition(aliases, 3)
	}
	t := w.of("a", "b")
	all := func(alias string) string {
		var cols []string
		for _, c := range diffColumns {
			cols = append(cols, alias+"."+c)
		}
		return strings.Join(cols, ",")
	}
	switch w.IntN(9) {
	case 0, 1:
		return "SELECT " + all(t) + " FROM " + t + where(t)
	case 2:
		c := w.of(diffColumns...)
		return "SELECT " + c + ",count(*),min(wide),max(name),total(n) FROM " + t + where(t) + " GROUP BY " + c + " HAVING count(*) >= " + fmt.Sprint(w.IntN(3))
	case 3:
		return "SELECT x.id,x.name,y.id,y.note,y.hid FROM a x " + w.of("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN") + " b y ON " +
			w.condition([]string{"x", "y"}, 2) + where("x", "y")
	case 4:
		return "SELECT x.name,y.name FROM a x JOIN a y USING(" + w.of("id", "name", "n", "note", "hid") + ")" + where("x")
	case 5:
		// Ordered by every column: the order is the same, and so is the cut.
		return "SELECT " + all(t) + " FROM " + t + where(t) + " ORDER BY " + w.of("id", "note DESC", "real", "bytes") +
			",1,2,3,4,5,6,7,8,9 LIMIT " + fmt.Sprint(w.IntN(20)) + " OFFSET " + fmt.Sprint(w.IntN(4))
	case 6:
		return "SELECT DISTINCT " + w.column(t) + "," + w.column(t) + " FROM " + t + where(t)
	case 7:
		return "SELECT id,name FROM a" + where("a") + w.of(" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT ") + "SELECT id,name FROM b" + where("b")
	}
	return "WITH c AS " + w.of("MATERIALIZED ", "") + "(SELECT * FROM " + t + where(t) + ") SELECT c.id,c.name,(SELECT count(*) FROM b WHERE b." +
		w.of("id=c.id", "name=c.name", "n=c.wide", "bytes=c.bytes", "name=c.n") + ") FROM c"
}

func canonical(rows [][]any, ordered bool) []string {
	out := make([]string, 0, len(rows))
	for _, row := range rows {
		out = append(out, fmt.Sprintf("%#v", row))
	}
	if !ordered {
		slices.Sort(out)
	}
	return out
}

func plainRows(db *sql.DB, q string) ([][]any, error) {
	rows, err := db.Query(q)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	cols, _ := rows.Columns()
	var out [][]any
	for rows.Next() {
		row := make([]any, len(cols))
		ptr := make([]any, len(cols))
		for i := range row {
			ptr[i] = &row[i]
		}
		if err := rows.Scan(ptr...); err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

// TestAgainstPlainTables holds the module to SQLite's own tables: the same
// rows and the same statement must give the same answer.
func TestAgainstPlainTables(t *testing.T) {
	const statements = 3000
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	w := writer{r}
	var e *Engine
	var db *sql.DB
	answered := 0
	for i := range statements {
		if i%500 == 0 {
			if db != nil {
				db.Close()
			}
			a, b := randomThings(r, 40), randomThings(r, 30)
			e = newEngine(t, thingTable("a", a, true), thingTable("b", b, i%1000 == 0))
			var err error
			if db, err = sql.Open("sqlite3", "file::memory:"); err != nil {
				t.Fatal(err)
			}
			db.SetMaxOpenConns(1)
			fillPlain(t, db, "a", a)
			fillPlain(t, db, "b", b)
		}
		q := w.statement()
		want, err := plainRows(db, q)
		if err != nil {
			t.Fatalf("the plain tables answer %q with %v", q, err)
		}
		got := ask(t, e, q)
		ordered := strings.Contains(q, " ORDER BY ")
		if g, p := canonical(got.Rows, ordered), canonical(want, ordered); !slices.Equal(g, p) {
			t.Fatalf("statement %d, seed %d: %s\nengine %d rows, plain %d rows\nengine: %.2000s\nplain:  %.2000s", i, seed, q, len(g), len(p),
				strings.Join(g, "\n"), strings.Join(p, "\n"))
		}
		if len(want) > 0 {
			answered++
		}
	}
	db.Close()
	if answered < statements/4 {
		t.Errorf("only %d of %d statements had rows: the test says little", answered, statements)
	}
}
