// Package tables says what a table is: its declaration, the query that a scan
// answers, the host that a scan reads, and the batches that its rows travel in.
//
// A table is declared once, in one file, as a typed row and a scan:
//
//	type Row struct {
//		PID  int64  `col:"pid,index" doc:"Process ID."`
//		Path string `col:"path" doc:"Path of the executed file; /proc/PID/exe."`
//	}
//
//	var Processes = tables.New(tables.Spec[Row]{
//		Name: "processes", Doc: "All running processes.",
//		Class: tables.Inventory, Platforms: tables.Linux,
//		Scan: scan,
//	})
//
// Schema, query planning, documentation, completion and the comparison with
// osquery all derive from that declaration. The package scans nothing itself
// and needs no cgo, so that the command line client and the server can know
// every table without linking a collector.
package tables

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// ErrNotSupported is what a scan answers on a machine that cannot have the
// table at all. It is distinct from an answer without rows.
var ErrNotSupported = errors.New("not supported here")

// ErrNotBuilt is what a scan answers where the table makes sense but this
// version of the product does not read it yet.
var ErrNotBuilt = errors.New("not built yet")

// Class is the sensitivity of what a table shows; an operator needs a right
// for each class that a statement reads.
type Class string

// The data classes.
const (
	Inventory Class = "inventory" // what the machine is and runs
	Personal  Class = "personal"  // about a person: history, logons
	Secret    Class = "secret"    // keys, hashes of passwords, environments
	Content   Class = "content"   // the content of files
	Network   Class = "network"   // who talks to whom
)

// Platform is a set of operating systems.
type Platform uint8

// The platforms that tables are declared for.
const (
	Linux Platform = 1 << iota
	Windows
	Darwin

	AllPlatforms = Linux | Windows | Darwin
)

// Names lists the platforms of the set as osquery spells them.
func (p Platform) Names() []string {
	names := []string{}
	for bit, name := range map[Platform]string{Linux: "linux", Windows: "windows", Darwin: "macos"} {
		if p&bit != 0 {
			names = append(names, name)
		}
	}
	sortStrings(names)
	return names
}

// Spec is what one file says of one table.
type Spec[Row any] struct {
	// Name is osquery's where osquery has the table.
	Name string
	// Doc is one sentence that says what a row is.
	Doc string
	// Examples are statements that a reader can paste.
	Examples []string
	// Ours says that osquery has no table of this name.
	Ours bool
	// Platforms are those that the scan reads; elsewhere it answers ErrNotSupported.
	Platforms Platform
	// Class is the sensitivity of the rows.
	Class Class
	// Evented marks a view of the event log: its rows have happened once.
	Evented bool
	// RequireAny names columns of which at least one must be constrained by
	// = or LIKE; a statement that constrains none fails and says so.
	RequireAny []string
	// Scan yields the rows. A yielded error ends the scan and fails the
	// statement; what merely could not be read goes to Query.Warn, and the
	// other rows follow. A scan filters exactly or not at all: the engine
	// checks every constraint again.
	Scan func(ctx context.Context, q *Query) iter.Seq2[Row, error]
}

// Table is a declared table with its row type erased.
type Table struct {
	Name       string
	Doc        string
	Examples   []string
	Platforms  Platform
	Class      Class
	Ours       bool
	Evented    bool
	RequireAny []string
	Columns    []Column

	index   map[string]int
	batches func(ctx context.Context, q *Query) iter.Seq2[*Batch, error]
}

// New declares a table. It panics on a declaration that contradicts itself,
// which the test of tables/all meets before any user does.
func New[Row any](s Spec[Row]) *Table {
	enc, err := newEncoder[Row]()
	if err != nil {
		panic(fmt.Sprintf("tables.New %s: %v", s.Name, err))
	}
	t := &Table{
		Name: s.Name, Doc: s.Doc, Examples: s.Examples, Platforms: s.Platforms,
		Class: s.Class, Ours: s.Ours, Evented: s.Evented, RequireAny: s.RequireAny,
		Columns: enc.columns, index: map[string]int{},
	}
	for i, c := range t.Columns {
		t.index[c.Name] = i
	}
	for _, name := range s.RequireAny {
		if _, ok := t.index[name]; !ok {
			panic(fmt.Sprintf("tables.New %s: RequireAny names %q, which is no column", s.Name, name))
		}
	}
	t.batches = func(ctx context.Context, q *Query) iter.Seq2[*Batch, error] {
		return encodeAll(ctx, enc, s.Scan, q)
	}
	return t
}

// ColumnIndex finds a column by name, ignoring case as SQL does; -1 if there is none.
func (t *Table) ColumnIndex(name string) int {
	if i, ok := t.index[name]; ok {
		return i
	}
	if i, ok := t.index[strings.ToLower(name)]; ok {
		return i
	}
	return -1
}

// Batches runs the scan and yields its rows in batches of the wanted columns.
// A batch is the consumer's until the next is asked for. The scan runs inside
// the wrapper that every scan gets: the context's deadline is looked at, a
// panic becomes an error, and rows are counted in the query.
func (t *Table) Batches(ctx context.Context, q *Query) iter.Seq2[*Batch, error] {
	q.table = t
	return func(yield func(*Batch, error) bool) {
		if missing := t.missing(q); missing != nil {
			yield(nil, missing)
			return
		}
		var stopped bool
		defer func() {
			if p := recover(); p != nil {
				if stopped {
					panic(p) // not the scan's: the consumer's own
				}
				yield(nil, fmt.Errorf("scan %s: internal error: %v", t.Name, p))
			}
		}()
		for b, err := range t.batches(ctx, q) {
			if err != nil {
				err = fmt.Errorf("scan %s: %w", t.Name, err)
			}
			stopped = true
			more := yield(b, err)
			stopped = false
			if !more || err != nil {
				return
			}
		}
	}
}

// MissingConstraintError says that a statement did not constrain a column that
// the table cannot be read without.
type MissingConstraintError struct {
	Table   string
	Columns []string
}

func (e *MissingConstraintError) Error() string {
	return fmt.Sprintf("table %s needs a constraint (= or LIKE) on %s in the WHERE clause",
		e.Table, strings.Join(e.Columns, " or "))
}

func (t *Table) missing(q *Query) error {
	var need []string
	for _, c := range t.Columns {
		if c.Required {
			need = append(need, c.Name)
		}
	}
	need = append(need, t.RequireAny...)
	if len(need) == 0 {
		return nil
	}
	for _, name := range need {
		if q.Constrained(name) {
			return nil
		}
	}
	return &MissingConstraintError{Table: t.Name, Columns: need}
}
