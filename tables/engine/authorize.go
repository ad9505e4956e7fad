package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aiedr/edr/tables"
)

// What SQLite's authorizer asks about; the names are those of sqlite3.h.
const (
	actPragma    = 19
	actRead      = 20
	actSelect    = 21
	actFunction  = 31
	actRecursive = 33
)

const (
	authOK   = 0
	authDeny = 1
)

// actions names what is refused, for the error.
var actions = map[int]string{
	1: "CREATE INDEX", 2: "CREATE TABLE", 3: "CREATE INDEX", 4: "CREATE TEMP TABLE", 5: "CREATE TRIGGER",
	6: "CREATE TEMP VIEW", 7: "CREATE TRIGGER", 8: "CREATE VIEW", 9: "DELETE", 10: "DROP INDEX", 11: "DROP TABLE",
	12: "DROP INDEX", 13: "DROP TABLE", 14: "DROP TRIGGER", 15: "DROP VIEW", 16: "DROP TRIGGER", 17: "DROP VIEW",
	18: "INSERT", 22: "a transaction", 23: "UPDATE", 24: "ATTACH", 25: "DETACH", 26: "ALTER TABLE", 27: "REINDEX",
	28: "ANALYZE", 29: "CREATE VIRTUAL TABLE", 30: "DROP TABLE", 32: "SAVEPOINT",
}

// pragmas are those that only describe; the value says whether an argument,
// which then is a name, may be given.
var pragmas = map[string]bool{
	"table_info": true, "table_xinfo": true, "table_list": true, "index_list": true, "index_info": true,
	"index_xinfo": true, "foreign_key_list": true, "database_list": false, "collation_list": false,
	"function_list": false, "module_list": false, "pragma_list": false, "compile_options": false,
	"data_version": false, "encoding": false, "user_version": false,
}

// DeniedError says that a statement is not allowed, and why.
type DeniedError struct {
	What string // such as "ATTACH"
	// Table and Class are set where the statement reads a class of data that
	// the caller may not read.
	Table string
	Class tables.Class
}

func (e *DeniedError) Error() string {
	if e.Table != "" {
		return fmt.Sprintf("not allowed: table %s holds %s data, and the right to read that class is not granted to you: ask an administrator for it",
			e.Table, e.Class)
	}
	return fmt.Sprintf("not allowed: %s: statements may only read (SELECT over tables, the listed functions, and pragmas that describe tables)", e.What)
}

// authorizer answers SQLite's questions while it compiles a statement, and
// gathers what the statement reads. It also answers while the statement runs,
// for the statements inside pragma functions.
type authorizer struct {
	e       *Engine
	allowed []tables.Class
	classes map[tables.Class]bool
	tables  map[string]bool
	denied  *DeniedError
	running bool
}

func (a *authorizer) deny(what string) int {
	if a.denied == nil {
		a.denied = &DeniedError{What: what}
	}
	return authDeny
}

func (a *authorizer) authorize(code int, one, two string) int {
	switch code {
	case actSelect, actRecursive:
		return authOK
	case actRead:
		return a.read(one)
	case actFunction:
		if !a.e.functionAllowed(two) {
			return a.deny("the function " + two)
		}
		return authOK
	case actPragma:
		name := strings.ToLower(one)
		argument, ok := pragmas[name]
		if !ok {
			return a.deny("PRAGMA " + one)
		}
		if two != "" && !argument {
			return a.deny("PRAGMA " + one + " with a value")
		}
		return authOK
	}
	what, ok := actions[code]
	if ok && strings.HasPrefix(strings.ToLower(one), "sqlite_") {
		what = "a change of the schema (CREATE, ALTER, DROP, ANALYZE)" // which begins as a write to its table
	}
	if ok {
		return a.deny(what)
	}
	return a.deny(fmt.Sprintf("action %d of SQLite", code))
}

// read is asked for each column that is read, and once without a column for a
// table of which none is. A common table expression of a table's name counts
// as the table: rather a class too many than one too few.
func (a *authorizer) read(name string) int {
	lower := strings.ToLower(name)
	if i, ok := a.e.byName[lower]; ok {
		t := a.e.tables[i]
		if !slices.Contains(a.allowed, t.class) {
			if a.denied == nil {
				a.denied = &DeniedError{What: "reading " + t.name, Table: t.name, Class: t.class}
			}
			return authDeny
		}
		if !a.running {
			a.tables[t.name] = true
			a.classes[t.class] = true
		}
		return authOK
	}
	if pragma, ok := strings.CutPrefix(lower, "pragma_"); ok {
		if _, ok := pragmas[pragma]; !ok {
			return a.deny("the table " + name)
		}
	}
	// What is left is the list of tables, json_each and json_tree, and common
	// table expressions: nothing else is on the connection.
	return authOK
}

func (a *authorizer) fill(info *Info) {
	info.Tables = slices.Sorted(maps.Keys(a.tables))
	info.Classes = slices.Sorted(maps.Keys(a.classes))
	info.EventsOnly = len(info.Tables) > 0
	for _, name := range info.Tables {
		if !a.e.tables[a.e.byName[strings.ToLower(name)]].evented {
			info.EventsOnly = false
		}
	}
}
