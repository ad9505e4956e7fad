package tables

import (
	"slices"
	"testing"
)

// SQLite compares a column of numbers with a text that reads as one, and a
// column of text with a number: a scan must not leave out what then matches.
func TestConstraintValues(t *testing.T) {
	q := &Query{Constraints: []Constraint{{Column: "c", Op: Equals, Values: []any{int64(1), 2.0, "3", " 4.0 ", 2.5, "x", nil}}}}
	if got, ok := q.Ints("c"); !ok || !slices.Equal(got, []int64{1, 2, 3, 4}) {
		t.Errorf("Ints = %v, %v", got, ok)
	}
	q.Constraints[0].Values = []any{int64(5), "a", []byte("b"), nil}
	if got, ok := q.Strings("c"); !ok || !slices.Equal(got, []string{"5", "a", "b"}) {
		t.Errorf("Strings = %v, %v", got, ok)
	}
	if _, ok := q.Ints("d"); ok {
		t.Error("a column without a constraint has one")
	}
}
