package sqlite

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/aiedr/edr/fleetsrv/store"
)

// ns is a time as it is kept: nanoseconds, 0 for none.
func ns(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func when(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// js is a value as JSON text; the types handed to it always marshal.
func js(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(b)
}

func unjs(what, s string, into any) error {
	if s == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(s), into); err != nil {
		return fmt.Errorf("read %s from the database: %w", what, err)
	}
	return nil
}

// list is a list as JSON text, never null.
func list[T any](v []T) string {
	if v == nil {
		return "[]"
	}
	return js(v)
}

// inScope is the condition that a host column lies in the scope, with its
// arguments. Hosts that are deleted stay visible to those who see all.
func inScope(sc store.Scope, tenantCol, hostCol string) (string, []any) {
	cond, args := tenantCol+" = ?", []any{sc.Tenant}
	if sc.All() {
		return cond, args
	}
	if len(sc.Groups) == 0 {
		return "0", nil
	}
	marks := strings.TrimSuffix(strings.Repeat("?,", len(sc.Groups)), ",")
	for _, g := range sc.Groups {
		args = append(args, g)
	}
	return cond + " AND " + hostCol + " IN (SELECT host FROM host_groups WHERE grp IN (" + marks + "))", args
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

func anys[T any](v []T) []any {
	out := make([]any, len(v))
	for i := range v {
		out[i] = v[i]
	}
	return out
}

// like is a pattern that finds text anywhere, its own wildcards escaped for ESCAPE '\'.
func like(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	var e sqlite3.Error
	if errors.As(err, &e) && (e.ExtendedCode == sqlite3.ErrConstraintUnique || e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey) {
		return fmt.Errorf("%s: %w", what, store.ErrExists)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// scanner is a row or the current row of many.
type scanner interface{ Scan(into ...any) error }
