package tables

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Type is a column's type as osquery names it.
type Type string

// The column types.
const (
	Text           Type = "TEXT"
	Integer        Type = "INTEGER"
	BigInt         Type = "BIGINT"
	UnsignedBigInt Type = "UNSIGNED_BIGINT"
	Double         Type = "DOUBLE"
	Blob           Type = "BLOB"
)

// Column is one column of a table, read from the tags of a row's field:
//
//	PID int64 `col:"pid,index" doc:"Process ID."`
//
// The Go type gives the column's: string TEXT, bool and integers of up to 32
// bits INTEGER, int64 BIGINT, uint64 UNSIGNED_BIGINT, float64 DOUBLE, []byte
// BLOB, and Opt of any of these the same with NULL. Options of the tag:
//
//	index, required, additional, optimized  osquery's planning options
//	hidden      left out of SELECT *
//	ours        not one of osquery's columns of this table
//	type=T      another type than the Go type's
//	alias=NAME  another name by which the column is known
type Column struct {
	Name       string
	Type       Type
	Doc        string
	Index      bool // equality finds rows without a whole scan
	Required   bool // the table cannot be read without it
	Additional bool // a constraint changes which rows there are
	Optimized  bool // IN lists are handed over at once
	Hidden     bool
	Ours       bool
	Aliases    []string
}

// Pushed says whether constraints on the column are handed to the scan.
func (c Column) Pushed() bool { return c.Index || c.Required || c.Additional }

// Opt is a value that may be unknown, which SQL sees as NULL.
type Opt[T any] struct {
	V     T
	Known bool
}

// Some is a known value.
func Some[T any](v T) Opt[T] { return Opt[T]{V: v, Known: true} }

func sortStrings(s []string) { slices.Sort(s) }

func parseColumn(f reflect.StructField) (Column, error) {
	parts := strings.Split(f.Tag.Get("col"), ",")
	c := Column{Name: parts[0], Doc: f.Tag.Get("doc")}
	if c.Name == "" {
		return c, fmt.Errorf("field %s: the col tag has no name", f.Name)
	}
	if c.Doc == "" {
		return c, fmt.Errorf("column %s: the doc tag is missing", c.Name)
	}
	typ, ok := typeOf(f.Type)
	if !ok {
		return c, fmt.Errorf("column %s: a field of Go type %s has no column type", c.Name, f.Type)
	}
	c.Type = typ
	for _, o := range parts[1:] {
		key, val, _ := strings.Cut(o, "=")
		switch key {
		case "index":
			c.Index = true
		case "required":
			c.Required = true
		case "additional":
			c.Additional = true
		case "optimized":
			c.Optimized = true
		case "hidden":
			c.Hidden = true
		case "ours":
			c.Ours = true
		case "type":
			c.Type = Type(val)
		case "alias":
			c.Aliases = append(c.Aliases, val)
		default:
			return c, fmt.Errorf("column %s: unknown option %q in the col tag", c.Name, o)
		}
	}
	return c, nil
}

func typeOf(t reflect.Type) (Type, bool) {
	if isOpt(t) {
		t = t.Field(0).Type
	}
	switch t.Kind() {
	case reflect.String:
		return Text, true
	case reflect.Bool, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Uint8, reflect.Uint16:
		return Integer, true
	case reflect.Int, reflect.Int64, reflect.Uint32:
		return BigInt, true
	case reflect.Uint64:
		return UnsignedBigInt, true
	case reflect.Float64:
		return Double, true
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return Blob, true
		}
	}
	return "", false
}

func isOpt(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() == 2 &&
		t.Field(0).Name == "V" && t.Field(1).Name == "Known"
}
