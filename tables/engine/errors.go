package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

var errNoMemory = errors.New("out of memory")

// SQLError says what is wrong with a statement and where.
type SQLError struct {
	Message string
	// Offset is where in the text, in bytes; -1 if that is not known.
	Offset  int
	SQL     string
	Suggest []string // names that may have been meant
}

func (e *SQLError) Error() string {
	var b strings.Builder
	b.WriteString("SQL: " + e.Message)
	if e.Offset >= 0 && e.Offset <= len(e.SQL) {
		line, col := e.Position()
		fmt.Fprintf(&b, " (byte %d: line %d, column %d)", e.Offset, line, col)
	}
	if len(e.Suggest) > 0 {
		b.WriteString("; did you mean " + strings.Join(e.Suggest, " or ") + "?")
	}
	return b.String()
}

// Position is the place as line and column, both from 1, the column in bytes.
func (e *SQLError) Position() (line, col int) {
	if e.Offset < 0 || e.Offset > len(e.SQL) {
		return 0, 0
	}
	before := e.SQL[:e.Offset]
	return strings.Count(before, "\n") + 1, e.Offset - (strings.LastIndexByte(before, '\n') + 1) + 1
}

// LimitError says that a statement was stopped at a limit. The rows before it
// stand. For a limit of time errors.Is(err, context.DeadlineExceeded) holds.
type LimitError struct {
	Limit string // "time", "rows" or "memory"
	Value string // as configured
	Table string // which table was being read, if one was
	// Hanging says that the table's scan did not come back and was left behind.
	Hanging bool
}

func (e *LimitError) Error() string {
	s := fmt.Sprintf("stopped: the statement reached its limit of %s (%s)", e.Limit, e.Value)
	if e.Table != "" {
		s += " while it read " + e.Table
	}
	if e.Hanging {
		s += ", whose scan hangs and was left behind"
	}
	return s + ": ask for less with WHERE or LIMIT, or raise the limit"
}

// Is makes a limit of time a deadline that was exceeded.
func (e *LimitError) Is(target error) bool {
	return e.Limit == "time" && target == context.DeadlineExceeded
}

func timeLimit(d time.Duration) *LimitError {
	return &LimitError{Limit: "time", Value: d.String()}
}

func memoryLimit(bytes int64) *LimitError {
	return &LimitError{Limit: "memory", Value: fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))}
}
