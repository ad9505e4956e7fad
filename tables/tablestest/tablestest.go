// Package tablestest builds small machines for the tests of tables, and reads
// tables as the engine would.
package tablestest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/tables"
)

// Now is the time on the machines that Host makes.
var Now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// Host makes a machine of files: name to content. A content that starts with
// "-> " makes a link to what follows; a name that ends in "/" a folder; one
// that ends in "*" an executable file.
func Host(t testing.TB, files map[string]string) *tables.Host {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name, exec := strings.CutSuffix(name, "*")
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(to, full)
		} else if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(full, 0o755)
		} else {
			mode := os.FileMode(0o644)
			if exec {
				mode = 0o755
			}
			err = os.WriteFile(full, []byte(content), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := tables.DirRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &tables.Host{Root: root, Now: func() time.Time { return Now }}
}

// Live is the machine that runs the test.
func Live(t testing.TB) *tables.Host {
	t.Helper()
	root, err := tables.DirRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	return &tables.Host{Root: root, Now: time.Now}
}

// Result is what a scan gave.
type Result struct {
	Rows     []map[string]any // nil, int64, float64, string or []byte by column
	Warnings []error
	Err      error
}

// Scan reads a table with all its columns.
func Scan(t testing.TB, table *tables.Table, host *tables.Host, cons ...tables.Constraint) Result {
	t.Helper()
	all := make([]string, len(table.Columns))
	for i, c := range table.Columns {
		all[i] = c.Name
	}
	return Columns(t, table, host, all, cons...)
}

// Columns reads some columns of a table.
func Columns(t testing.TB, table *tables.Table, host *tables.Host, columns []string, cons ...tables.Constraint) Result {
	t.Helper()
	q := &tables.Query{Host: host, Constraints: cons}
	for i, c := range table.Columns {
		for _, name := range columns {
			if c.Name == name {
				q.Columns = append(q.Columns, i)
			}
		}
	}
	if len(q.Columns) != len(columns) {
		t.Fatalf("%s has not all of the columns %v", table.Name, columns)
	}
	var r Result
	for b, err := range table.Batches(context.Background(), q) {
		if err != nil {
			r.Err = err
			break
		}
		for row := range b.Rows {
			m := map[string]any{}
			for slot, i := range q.Columns {
				m[table.Columns[i].Name] = b.Value(row, slot)
			}
			r.Rows = append(r.Rows, m)
		}
	}
	r.Warnings, _ = q.Warnings()
	return r
}

// Equals is the constraint that a column is one of the values.
func Equals(column string, values ...any) tables.Constraint {
	for i, v := range values {
		if n, ok := v.(int); ok {
			values[i] = int64(n)
		}
	}
	return tables.Constraint{Column: column, Op: tables.Equals, Values: values}
}

// Like is the constraint that a column matches a pattern.
func Like(column, pattern string) tables.Constraint {
	return tables.Constraint{Column: column, Op: tables.Like, Values: []any{pattern}}
}

// Find returns the row in which a column has a value; it fails the test where
// there is not exactly one.
func (r Result) Find(t testing.TB, column string, value any) map[string]any {
	t.Helper()
	if n, ok := value.(int); ok {
		value = int64(n)
	}
	var found []map[string]any
	for _, row := range r.Rows {
		if row[column] == value {
			found = append(found, row)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d rows with %s = %v, want one (of %d rows, error %v)", len(found), column, value, len(r.Rows), r.Err)
	}
	return found[0]
}

// Want compares columns of a row.
func Want(t testing.TB, row map[string]any, want map[string]any) {
	t.Helper()
	for column, value := range want {
		if n, ok := value.(int); ok {
			value = int64(n)
		}
		if row[column] != value {
			t.Errorf("%s = %#v, want %#v", column, row[column], value)
		}
	}
}
