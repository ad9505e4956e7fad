package engine

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aiedr/edr/tables"
)

type keyed struct {
	User string `col:"user" doc:"User."`
	Hash string `col:"hash" doc:"Hash."`
}

// classed are a table of each of two classes and an event table.
func classed() []*tables.Table {
	secret := tables.New(tables.Spec[keyed]{
		Name: "shadow", Doc: "Test.", Class: tables.Secret, Platforms: tables.Linux,
		Scan: scanOf([]keyed{{"root", "x"}}),
	})
	event := tables.New(tables.Spec[keyed]{
		Name: "login_events", Doc: "Test.", Class: tables.Personal, Platforms: tables.Linux, Evented: true,
		Scan: scanOf([]keyed{{"root", "y"}}),
	})
	return []*tables.Table{listing("people", people(5), nil), secret, event}
}

func TestReadOnly(t *testing.T) {
	e := newEngine(t, classed()...)
	dir := t.TempDir()
	file := filepath.Join(dir, "out.db")
	for _, c := range []struct{ sql, says string }{
		{"ATTACH '" + file + "' AS x", "ATTACH"},
		{"WITH c AS (SELECT 1) INSERT INTO people SELECT * FROM c", "INSERT"},
		{"DETACH main", "DETACH"},
		{"VACUUM", "only statements that read"},
		{"VACUUM INTO '" + file + "'", "only statements that read"},
		{"CREATE TABLE t(a)", "schema"},
		{"CREATE TEMP TABLE t AS SELECT * FROM people", "schema"},
		{"CREATE TEMP VIEW v AS SELECT 1", "schema"},
		{"CREATE VIEW v AS SELECT 1", "schema"},
		{"CREATE VIRTUAL TABLE v USING people", "schema"},
		{"CREATE TRIGGER tr AFTER INSERT ON people BEGIN SELECT 1; END", "cannot create triggers"},
		{"INSERT INTO people(id) VALUES(1)", "INSERT"},
		{"INSERT INTO sqlite_schema VALUES(1,1,1,1,1)", "schema"},
		{"UPDATE people SET id=1", "may not be modified"},
		{"DELETE FROM people", "may not be modified"},
		{"DROP TABLE people", "not allowed"},
		{"ALTER TABLE people RENAME TO x", "may not be altered"},
		{"REINDEX", "only statements that read"},
		{"ANALYZE", "schema"},
		{"BEGIN", "transaction"},
		{"COMMIT", "transaction"},
		{"SAVEPOINT s", "SAVEPOINT"},
		{"PRAGMA journal_mode=WAL", "PRAGMA journal_mode"},
		{"PRAGMA query_only=0", "PRAGMA query_only"},
		{"PRAGMA user_version=7", "with a value"},
		{"PRAGMA temp_store_directory='" + dir + "'", "PRAGMA temp_store_directory"},
		{"SELECT * FROM pragma_query_only(0)", "pragma_query_only"},
		{"SELECT load_extension('x')", "load_extension"},
		{"SELECT * FROM people WHERE id IN (SELECT load_extension('x'))", "load_extension"},
		{"WITH a AS (WITH b AS (SELECT load_extension('x') y) SELECT y FROM b) SELECT * FROM a", "load_extension"},
		{"SELECT fts3_tokenizer('simple')", "fts3_tokenizer"},
		{"SELECT sqlite_log(1,'x')", "sqlite_log"},
		{"EXPLAIN ATTACH '" + file + "' AS x", "ATTACH"},
	} {
		err := askErr(t, e, c.sql)
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %q, want it to say %q", c.sql, err, c.says)
		}
		if _, err := e.Check(context.Background(), c.sql, AllClasses()); err == nil {
			t.Errorf("%s: Check found nothing wrong", c.sql)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("a refused statement wrote %v", left)
	}
}

func TestAllowed(t *testing.T) {
	e := newEngine(t, classed()...)
	for _, c := range []struct {
		sql  string
		rows int
	}{
		{"SELECT name FROM sqlite_temp_master", 3},
		{"SELECT name FROM sqlite_temp_schema WHERE name LIKE 'p%'", 1},
		{"SELECT * FROM sqlite_master", 0},
		{"SELECT * FROM sqlite_schema", 0},
		{"PRAGMA table_info(shadow)", 2},
		{"PRAGMA table_xinfo('people')", 9},
		{"SELECT name FROM pragma_table_info('people')", 7},
		{"SELECT m.name, p.name FROM sqlite_temp_master m JOIN pragma_table_info(m.name) p", 11},
		{"SELECT DISTINCT name FROM pragma_function_list WHERE name='regex_match'", 1},
		{"SELECT value FROM json_each('[1,2,3]')", 3},
		{"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<9) SELECT * FROM n", 9},
		{"VALUES(1),(2)", 2},
		{"SELECT \"double quoted text\"", 1},
		{"SELECT 1 -- a comment", 1},
		{"SELECT 1; /* and\n another */ ; -- end", 1},
		{"EXPLAIN QUERY PLAN SELECT * FROM people WHERE id=1", 1},
		{"SELECT * FROM temp.people", 5},
		{"SELECT * FROM main.people", 5},
		{"SELECT count(*) OVER (ORDER BY id) FROM people", 5},
	} {
		if r := ask(t, e, c.sql); len(r.Rows) < c.rows || (c.rows > 0 && strings.HasPrefix(c.sql, "SELECT * FROM temp") && len(r.Rows) != c.rows) {
			t.Errorf("%s: %d rows, want %d: %v", c.sql, len(r.Rows), c.rows, r.Rows)
		}
	}
}

func TestClasses(t *testing.T) {
	e := newEngine(t, classed()...)
	for _, c := range []struct {
		sql     string
		tables  []string
		classes []tables.Class
		events  bool
	}{
		{"SELECT 1", nil, nil, false},
		{"SELECT id FROM people", []string{"people"}, []tables.Class{tables.Inventory}, false},
		{"SELECT count(*) FROM shadow", []string{"shadow"}, []tables.Class{tables.Secret}, false},
		{"SELECT 1 WHERE EXISTS (SELECT 1 FROM shadow)", []string{"shadow"}, []tables.Class{tables.Secret}, false},
		{"WITH x AS (SELECT user FROM shadow) SELECT p.id FROM people p, x", []string{"people", "shadow"}, []tables.Class{tables.Inventory, tables.Secret}, false},
		{"SELECT user FROM login_events UNION SELECT hash FROM login_events", []string{"login_events"}, []tables.Class{tables.Personal}, true},
		{"SELECT e.user FROM login_events e JOIN people p", []string{"login_events", "people"}, []tables.Class{tables.Inventory, tables.Personal}, false},
	} {
		info, err := e.Check(context.Background(), c.sql, AllClasses())
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		if !slices.Equal(info.Tables, c.tables) || !slices.Equal(info.Classes, c.classes) || info.EventsOnly != c.events {
			t.Errorf("%s: got %+v", c.sql, info)
		}
		// Without one of its classes the statement is refused by name.
		for i, class := range c.classes {
			allowed := slices.DeleteFunc(AllClasses(), func(x tables.Class) bool { return x == class })
			_, err := e.Query(context.Background(), nil, Request{SQL: c.sql, Classes: allowed})
			var denied *DeniedError
			if !errors.As(err, &denied) || denied.Class != class || !strings.Contains(err.Error(), denied.Table) {
				t.Errorf("%s without class %s (%d): %v", c.sql, class, i, err)
			}
		}
	}
	if _, err := e.Query(context.Background(), nil, Request{SQL: "SELECT * FROM people"}); err == nil {
		t.Error("a request that grants no class read a table")
	}
}

func TestSchemaOnly(t *testing.T) {
	var schemas []tables.Schema
	for _, x := range classed() {
		schemas = append(schemas, x.Schema())
	}
	e, err := NewFromSchema(schemas, Options{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := e.Check(context.Background(), "SELECT chief, hash FROM people, shadow", AllClasses())
	if err != nil || len(info.Columns) != 2 || info.Columns[0] != (Column{"chief", tables.BigInt}) || len(info.Classes) != 2 {
		t.Errorf("got %+v, %v", info, err)
	}
	if _, err := e.Check(context.Background(), "SELECT nothing FROM people", AllClasses()); err == nil {
		t.Error("a column that is not there passed")
	}
	if err := askErr(t, e, "SELECT * FROM people"); !strings.Contains(err.Error(), "schema only") {
		t.Errorf("reading it answers %v", err)
	}
}

// TestOtherConnections holds the module to the engine's own connections: the
// process's other databases must not see it.
func TestOtherConnections(t *testing.T) {
	e := newEngine(t, classed()...)
	ask(t, e, "SELECT * FROM people")
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE mine(a); INSERT INTO mine VALUES(1)"); err != nil {
		t.Errorf("another connection cannot write any more: %v", err)
	}
	for _, q := range []string{"SELECT * FROM people", "SELECT regex_match('a','a',0)"} {
		if rows, err := db.Query(q); err == nil {
			rows.Close()
			t.Errorf("another connection answers %s", q)
		}
	}
	if err := func() error {
		_, err := e.Query(context.Background(), nil, Request{SQL: "SELECT * FROM mine", Classes: AllClasses()})
		return err
	}(); err == nil || !strings.Contains(err.Error(), "no such table") {
		t.Errorf("the engine sees another connection's table: %v", err)
	}
}

func TestErrorsSayWhere(t *testing.T) {
	e := newEngine(t, classed()...)
	for _, c := range []struct{ sql, want string }{
		{"SELECT *\nFROM peple", "SQL: no such table: peple; did you mean people?"},
		{"SELECT\n  usr FROM shadow", "SQL: no such column: usr (byte 9: line 2, column 3); did you mean user?"},
		{"SELECT p.nam FROM people p", "SQL: no such column: p.nam (byte 7: line 1, column 8); did you mean name?"},
		{"SELECT regex_mtch(1,2,3)", "SQL: no such function: regex_mtch (byte 7: line 1, column 8); did you mean regex_match?"},
		{"SELECT 1;\nSELECT 2", "SQL: only one statement is allowed, and another one follows it (byte 10: line 2, column 1)"},
		{"SELECT * FORM people", "SQL: near \"FORM\": syntax error (byte 9: line 1, column 10)"},
		{"SELECT 'a\x00b'", "SQL: the text has a NUL byte (byte 9: line 1, column 10)"},
		{" ; -- nothing", "SQL: there is no statement in the text"},
		{"SELECT :x", "SQL: the statement has parameters (?, :name), which nothing fills: write the values"},
	} {
		if err := askErr(t, e, c.sql); err.Error() != c.want {
			t.Errorf("%q:\n got %s\nwant %s", c.sql, err, c.want)
		}
	}
	deep := "SELECT " + strings.Repeat("(", 2000) + "1" + strings.Repeat(")", 2000)
	long := "SELECT '" + strings.Repeat("x", 2<<20) + "'"
	wide := "SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 300)
	sum := "SELECT 1" + strings.Repeat("+1", 600)
	pattern := "SELECT 'a' LIKE '" + strings.Repeat("%a", 2000) + "'"
	for _, sql := range []string{deep, long, wide, sum, pattern, "SELECT zeroblob(100000000)"} {
		askErr(t, e, sql)
	}
}

func TestDeclarations(t *testing.T) {
	type bad struct {
		A string `col:"a" doc:"A."`
	}
	spec := func(name string) *tables.Table {
		return tables.New(tables.Spec[bad]{Name: name, Doc: "Test.", Scan: scanOf[bad](nil)})
	}
	for _, list := range [][]*tables.Table{
		{spec("x"), spec("X")}, {spec("sqlite_x")}, {spec("pragma_y")}, {spec("")},
	} {
		if _, err := New(list, Options{}); err == nil {
			t.Errorf("%q passed", list[0].Name)
		}
	}
}
