// Package engine answers SQL over tables.Table: SQLite with a virtual table
// module of our own, read-only, with limits on time, rows and memory.
//
// Every statement has a connection of its own, in memory, on a thread of its
// own, which is gone when the statement ends. The module, the functions and
// the guard are registered on that connection alone; other SQLite databases of
// the process never see them.
//
// Planning and the reading of cells are C (module.c); Go is entered once for
// each batch of rows. A scan runs in a goroutine of its own, so that one that
// hangs in a system call holds up neither the statement nor its caller.
package engine

/*
#cgo CFLAGS: -std=gnu99 -O2
#include <stdlib.h>
#include "engine.h"
*/
import "C"

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	_ "github.com/mattn/go-sqlite3" // SQLite itself, which our C links against

	"github.com/aiedr/edr/tables"
)

// Options are the limits of statements that name none themselves.
type Options struct {
	// MaxRows bounds the rows of one answer; 0 is 1,000,000.
	MaxRows int64
	// MaxHeap bounds the bytes that SQLite holds for one statement; 0 is 128 MiB.
	MaxHeap int64
	// Deadline bounds a statement's time; 0 is five minutes.
	Deadline time.Duration
}

// Engine knows a set of tables. It is safe for concurrent use.
type Engine struct {
	opts      Options
	tables    []*table
	byName    map[string]int
	shape     *C.edr_table
	k0, k1    uint64
	functions []*function
	// stuck counts scans and statements that were left behind at a deadline and still hang.
	stuck atomic.Int64
}

// table is what the engine knows of a table: all of it, or its schema.
type table struct {
	name    string
	class   tables.Class
	evented bool
	// need names the columns of which one must be constrained.
	need    []string
	columns []tables.Column
	scan    *tables.Table
}

// New makes an engine that reads the given tables.
func New(list []*tables.Table, opts Options) (*Engine, error) {
	var ts []*table
	for _, t := range list {
		ts = append(ts, &table{
			name: t.Name, class: t.Class, evented: t.Evented,
			need: slices.Clone(t.RequireAny), columns: t.Columns, scan: t,
		})
	}
	return build(ts, opts)
}

// NewFromSchema makes an engine that prepares and authorizes statements over
// tables that it cannot read, as the server does.
func NewFromSchema(list []tables.Schema, opts Options) (*Engine, error) {
	var ts []*table
	for _, s := range list {
		t := &table{name: s.Name, class: s.Class, evented: s.Evented, need: slices.Clone(s.RequireAny)}
		for _, c := range s.Columns {
			t.columns = append(t.columns, tables.Column{
				Name: c.Name, Type: c.Type, Doc: c.Doc, Index: c.Index, Required: c.Required,
				Hidden: c.Hidden, Ours: c.Ours, Aliases: c.Aliases,
			})
		}
		ts = append(ts, t)
	}
	return build(ts, opts)
}

func build(ts []*table, opts Options) (*Engine, error) {
	if v := int(C.edr_version()); v != C.EDR_SQLITE_VERSION {
		return nil, fmt.Errorf("engine: linked with SQLite %s, but made for %s: build with the go-sqlite3 version of go.mod and without the tag libsqlite3",
			versionText(v), versionText(C.EDR_SQLITE_VERSION))
	}
	if C.edr_mem_counted() == 0 {
		return nil, errors.New("engine: cannot count the memory of statements: SQLite was set up before the program began; link go-sqlite3 as go.mod has it")
	}
	if opts.MaxRows <= 0 {
		opts.MaxRows = 1_000_000
	}
	if opts.MaxHeap <= 0 {
		opts.MaxHeap = 128 << 20
	}
	if opts.Deadline <= 0 {
		opts.Deadline = 5 * time.Minute
	}
	e := &Engine{
		opts: opts, tables: ts, byName: map[string]int{},
		functions: functionList(&patternCache{have: map[string]*regexp.Regexp{}}),
	}
	var key [16]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, fmt.Errorf("engine: make a key for row identifiers: %w", err)
	}
	e.k0, e.k1 = binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	for i, t := range ts {
		if err := t.check(); err != nil {
			return nil, err
		}
		lower := strings.ToLower(t.name)
		if _, twice := e.byName[lower]; twice {
			return nil, fmt.Errorf("engine: table %s is declared twice", t.name)
		}
		e.byName[lower] = i
		for _, c := range t.columns {
			if c.Required {
				t.need = append(t.need, c.Name)
			}
		}
	}
	e.shape = shapes(ts)
	runtime.AddCleanup(e, func(s shaped) { s.free() }, shaped{e.shape, len(ts)})
	return e, nil
}

func versionText(v int) string {
	if v == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%d.%d.%d", v/1000000, v/1000%1000, v%1000)
}

// reserved are the first letters of names that SQLite keeps for itself.
var reserved = []string{"sqlite_", "pragma_", "json_", "temp.", "main."}

func (t *table) check() error {
	if t.name == "" || len(t.columns) == 0 {
		return fmt.Errorf("engine: table %q has no name or no columns", t.name)
	}
	for _, r := range reserved {
		if strings.HasPrefix(strings.ToLower(t.name), r) {
			return fmt.Errorf("engine: table %s: names that begin with %s are SQLite's", t.name, r)
		}
	}
	seen := map[string]bool{}
	for _, c := range t.columns {
		for _, name := range append([]string{c.Name}, c.Aliases...) {
			lower := strings.ToLower(name)
			if seen[lower] {
				return fmt.Errorf("engine: table %s has two columns called %s", t.name, name)
			}
			seen[lower] = true
		}
		if strings.ContainsRune(c.Name+t.name, 0) {
			return errors.New("engine: a NUL in a name of table " + t.name)
		}
	}
	return nil
}

// declaration is the CREATE TABLE statement that SQLite learns the columns
// from. Other names of a column follow as hidden columns.
func (t *table) declaration() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE x(")
	add := func(name string, typ tables.Type, hidden bool) {
		if b.Len() > len("CREATE TABLE x(") {
			b.WriteString(", ")
		}
		b.WriteString(`"` + strings.ReplaceAll(name, `"`, `""`) + `" ` + string(typ))
		if hidden {
			b.WriteString(" HIDDEN")
		}
	}
	for _, c := range t.columns {
		add(c.Name, c.Type, c.Hidden)
	}
	for _, c := range t.columns {
		for _, a := range c.Aliases {
			add(a, c.Type, true)
		}
	}
	b.WriteString(")")
	return b.String()
}

type shaped struct {
	at *C.edr_table
	n  int
}

func (s shaped) free() {
	for _, t := range unsafe.Slice(s.at, s.n) {
		C.free(unsafe.Pointer(t.name))
		C.free(unsafe.Pointer(t.decl))
		C.free(unsafe.Pointer(t.cols))
	}
	C.free(unsafe.Pointer(s.at))
}

// shapes tells C about the tables.
func shapes(ts []*table) *C.edr_table {
	at := (*C.edr_table)(C.calloc(C.size_t(len(ts)+1), C.size_t(unsafe.Sizeof(C.edr_table{}))))
	for i, t := range ts {
		type entry struct {
			base int
			c    tables.Column
		}
		var all []entry
		for j, c := range t.columns {
			all = append(all, entry{j, c})
		}
		for j, c := range t.columns {
			for range c.Aliases {
				all = append(all, entry{j, c})
			}
		}
		cols := (*C.edr_col)(C.calloc(C.size_t(len(all)), C.size_t(unsafe.Sizeof(C.edr_col{}))))
		for j, en := range all {
			need := slices.Contains(t.need, en.c.Name)
			integer := en.c.Type == tables.Integer || en.c.Type == tables.BigInt || en.c.Type == tables.UnsignedBigInt
			unsafe.Slice(cols, len(all))[j] = C.edr_col{
				base:    C.int(en.base),
				pushed:  flag(en.c.Pushed() || en.c.Optimized || need),
				index:   flag(en.c.Index),
				need:    flag(need),
				numeric: flag(integer || en.c.Type == tables.Double),
				integer: flag(integer),
				text:    flag(en.c.Type == tables.Text),
			}
		}
		unsafe.Slice(at, len(ts))[i] = C.edr_table{
			name: C.CString(t.name), decl: C.CString(t.declaration()),
			ncol: C.int(len(all)), nbase: C.int(len(t.columns)),
			needs: C.int(flag(len(t.need) > 0)), evented: C.int(flag(t.evented)), cols: cols,
		}
	}
	return at
}

func flag(b bool) C.uint8_t {
	if b {
		return 1
	}
	return 0
}

// Stuck is how many scans or whole statements were left behind at their
// deadline and still hang, in a system call that does not come back.
func (e *Engine) Stuck() int64 { return e.stuck.Load() }

// TableNames lists the tables, in the order in which they were given.
func (e *Engine) TableNames() []string {
	var names []string
	for _, t := range e.tables {
		names = append(names, t.name)
	}
	return names
}

// AllClasses are all data classes, for a caller who may read everything.
func AllClasses() []tables.Class {
	return []tables.Class{tables.Inventory, tables.Personal, tables.Secret, tables.Content, tables.Network}
}
