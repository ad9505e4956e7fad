package tables

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Op is an operator of a constraint that the engine hands to a scan.
type Op uint8

// The operators handed down.
const (
	Equals Op = iota + 1
	Greater
	GreaterOrEquals
	Less
	LessOrEquals
	Like
	Glob
)

// Constraint is a condition on one column. The values of an IN list come as
// one constraint with several values; every other operator has one.
type Constraint struct {
	Column string
	Op     Op
	// Values are int64, float64, string, []byte or nil, as SQLite had them.
	Values []any
}

// Query is what a scan is asked: the host to read, the columns that are
// wanted and the constraints that were handed down. A scan may ignore
// constraints, except that it must not yield fewer rows than match them.
type Query struct {
	Host        *Host
	Columns     []int // indexes into Table.Columns, in ascending order
	Constraints []Constraint
	// QueryName is the scheduled query that asks, or empty: event tables
	// keep a cursor for each.
	QueryName string

	table    *Table
	rows     int64
	warnings []error
	warned   int64
}

// maxWarnings bounds the texts kept of one scan; the count goes on.
const maxWarnings = 32

// Warn records something that could not be read while the scan goes on. The
// operator sees it beside the rows.
func (q *Query) Warn(err error) {
	if err == nil {
		return
	}
	q.warned++
	if len(q.warnings) < maxWarnings {
		q.warnings = append(q.warnings, err)
	}
}

// Warnings are the first of what could not be read, and how many there were in all.
func (q *Query) Warnings() ([]error, int64) { return q.warnings, q.warned }

// Rows is how many rows the scan has yielded.
func (q *Query) Rows() int64 { return q.rows }

// Wants says whether a column's value will be looked at; a scan leaves out
// what is costly and not wanted.
func (q *Query) Wants(names ...string) bool {
	for _, name := range names {
		i := q.table.ColumnIndex(name)
		for _, c := range q.Columns {
			if c == i {
				return true
			}
		}
	}
	return false
}

// Constrained says whether = or LIKE was handed down for the column.
func (q *Query) Constrained(column string) bool {
	for _, c := range q.Constraints {
		if c.Column == column && (c.Op == Equals || c.Op == Like || c.Op == Glob) {
			return true
		}
	}
	return false
}

// Ints are the integers that the column must equal one of; ok is false when
// it is not constrained so. Values that are no integers match nothing.
func (q *Query) Ints(column string) (vals []int64, ok bool) {
	for _, c := range q.Constraints {
		if c.Column != column || c.Op != Equals {
			continue
		}
		ok = true
		for _, v := range c.Values {
			switch v := v.(type) {
			case int64:
				vals = append(vals, v)
			case float64:
				if v == math.Trunc(v) {
					vals = append(vals, int64(v))
				}
			case string:
				// A text that reads as a number equals it: SQLite compares a
				// column of numbers so.
				if n, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil && n == math.Trunc(n) {
					if i, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
						vals = append(vals, i)
					} else {
						vals = append(vals, int64(n))
					}
				}
			}
		}
		return vals, true
	}
	return nil, false
}

// Unbuilt answers ErrNotBuilt where the query asks, by a value other than 0, for
// what a column of osquery's switches on and this version does not do: no rows
// would read as "there is nothing".
func (q *Query) Unbuilt(columns ...string) error {
	for _, c := range columns {
		vals, _ := q.Ints(c)
		for _, v := range vals {
			if v != 0 {
				return fmt.Errorf("%w: %s = %d in this version; leave it out of the WHERE clause", ErrNotBuilt, c, v)
			}
		}
	}
	return nil
}

// Strings are the texts that the column must equal one of.
func (q *Query) Strings(column string) (vals []string, ok bool) {
	return q.texts(column, Equals)
}

// Likes are the LIKE patterns that the column must match one of.
func (q *Query) Likes(column string) (vals []string, ok bool) {
	return q.texts(column, Like)
}

func (q *Query) texts(column string, op Op) (vals []string, ok bool) {
	for _, c := range q.Constraints {
		if c.Column != column || c.Op != op {
			continue
		}
		for _, v := range c.Values {
			switch v := v.(type) {
			case string:
				vals = append(vals, v)
			case []byte:
				vals = append(vals, string(v))
			case int64:
				vals = append(vals, strconv.FormatInt(v, 10))
			}
		}
		return vals, true
	}
	return nil, false
}

// IntRange is the closed range that the column's constraints leave, for a
// column of whole numbers such as a time in seconds. Without constraints it is
// everything.
func (q *Query) IntRange(column string) (low, high int64) {
	low, high = math.MinInt64, math.MaxInt64
	for _, c := range q.Constraints {
		if c.Column != column || len(c.Values) != 1 {
			continue
		}
		var v int64
		switch n := c.Values[0].(type) {
		case int64:
			v = n
		case float64:
			// A bound that is not whole is widened; SQLite checks again.
			v = int64(math.Floor(n))
			if c.Op == Less || c.Op == LessOrEquals {
				v = int64(math.Ceil(n))
			}
			if c.Op == Greater {
				c.Op = GreaterOrEquals
			}
			if c.Op == Less {
				c.Op = LessOrEquals
			}
		default:
			continue
		}
		switch c.Op {
		case Equals:
			low, high = max(low, v), min(high, v)
		case GreaterOrEquals:
			low = max(low, v)
		case Greater:
			if v < math.MaxInt64 {
				low = max(low, v+1)
			}
		case LessOrEquals:
			high = min(high, v)
		case Less:
			if v > math.MinInt64 {
				high = min(high, v-1)
			}
		}
	}
	return low, high
}
