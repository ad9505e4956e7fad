package event

import (
	"fmt"
	"reflect"
	"strings"
)

// fieldKind is how a Go field is held in memory.
type fieldKind uint8

const (
	kindString fieldKind = iota
	kindInt64
	kindInt32
	kindUint64
	kindBool
)

// codecField is one field of a row type as the codec reads and writes it.
type codecField struct {
	number int
	offset uintptr
	kind   fieldKind
	column string
}

// kind is what the codec knows of one event table.
type kind struct {
	table    string
	code     uint8 // of the table on disk: never changed, never used again
	typ      reflect.Type
	fields   []codecField
	byNumber []*codecField
	make     func() Event
}

// kinds are the event tables by their code. A new table takes the next code.
var kinds = []*kind{
	newKind[Exec](1),
	newKind[Exit](2),
	newKind[File](3),
	newKind[Socket](4),
	newKind[Registry](5),
	newKind[Task](6),
}

var (
	kindByTable = index(func(k *kind) string { return k.table })
	kindByType  = index(func(k *kind) reflect.Type { return k.typ })
	kindByCode  = index(func(k *kind) uint8 { return k.code })
)

func index[K comparable](key func(*kind) K) map[K]*kind {
	m := map[K]*kind{}
	for _, k := range kinds {
		m[key(k)] = k
	}
	return m
}

// Code is the small number that stands for an event table on disk, from 1 to
// 63; ok is false for a table that is no event table.
func Code(table string) (code uint8, ok bool) {
	k, ok := kindByTable[table]
	if !ok {
		return 0, false
	}
	return k.code, true
}

// TableOf is the event table of a code, or "".
func TableOf(code uint8) string {
	if k, ok := kindByCode[code]; ok {
		return k.table
	}
	return ""
}

// row is a pointer to a row type of this package.
type row[R any] interface {
	*R
	Event
}

// newKind panics on a row type that the codec cannot hold: the first test of
// this package meets it, never a user.
func newKind[R any, P row[R]](code uint8) *kind {
	k := &kind{
		table: P(new(R)).Table(), code: code, typ: reflect.TypeFor[*R](),
		byNumber: make([]*codecField, len(fieldNames)),
		make:     func() Event { return P(new(R)) },
	}
	numbers := map[string]int{}
	for i, name := range fieldNames {
		numbers[name] = i
	}
	var walk func(t reflect.Type, base uintptr)
	walk = func(t reflect.Type, base uintptr) {
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Anonymous {
				walk(f.Type, base+f.Offset)
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("col"), ",")
			if name == "" || name == "time" || name == "time_ns" || name == "eid" {
				continue
			}
			number, ok := numbers[name]
			if !ok {
				panic(fmt.Sprintf("event %s: column %s has no number: add it at the end of fieldNames", k.table, name))
			}
			kinds := map[reflect.Kind]fieldKind{
				reflect.String: kindString, reflect.Int64: kindInt64, reflect.Int32: kindInt32,
				reflect.Uint64: kindUint64, reflect.Bool: kindBool,
			}
			fk, ok := kinds[f.Type.Kind()]
			if !ok {
				panic(fmt.Sprintf("event %s: column %s: the codec cannot hold a %s", k.table, name, f.Type))
			}
			k.fields = append(k.fields, codecField{number, base + f.Offset, fk, name})
		}
	}
	walk(reflect.TypeFor[R](), 0)
	for i := range k.fields {
		k.byNumber[k.fields[i].number] = &k.fields[i]
	}
	return k
}
