package tables

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"reflect"
	"strconv"
	"unsafe"
)

// writer puts the field at p into a batch as its next cell.
type writer func(b *Batch, p unsafe.Pointer)

type field struct {
	offset uintptr
	write  writer
}

type encoder[Row any] struct {
	columns []Column
	fields  []field
}

func newEncoder[Row any]() (*encoder[Row], error) {
	typ := reflect.TypeFor[Row]()
	if typ.Kind() != reflect.Struct {
		return nil, fmt.Errorf("the row type %s is not a struct", typ)
	}
	e := &encoder[Row]{}
	seen := map[string]bool{}
	var walk func(t reflect.Type, base uintptr) error
	walk = func(t reflect.Type, base uintptr) error {
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Anonymous && f.Type.Kind() == reflect.Struct && f.Tag.Get("col") == "" {
				if err := walk(f.Type, base+f.Offset); err != nil {
					return err
				}
				continue
			}
			if _, ok := f.Tag.Lookup("col"); !ok {
				continue
			}
			c, err := parseColumn(f)
			if err != nil {
				return err
			}
			if seen[c.Name] {
				return fmt.Errorf("column %s is declared twice", c.Name)
			}
			seen[c.Name] = true
			e.columns = append(e.columns, c)
			e.fields = append(e.fields, field{base + f.Offset, writerOf(f.Type)})
		}
		return nil
	}
	if err := walk(typ, 0); err != nil {
		return nil, err
	}
	if len(e.columns) == 0 {
		return nil, errors.New("the row type has no column")
	}
	return e, nil
}

func writerOf(t reflect.Type) writer {
	if isOpt(t) {
		inner := writerOf(t.Field(0).Type)
		known := t.Field(1).Offset
		return func(b *Batch, p unsafe.Pointer) {
			if *(*bool)(unsafe.Add(p, known)) {
				inner(b, p)
			} else {
				b.null()
			}
		}
	}
	switch t.Kind() {
	case reflect.String:
		return func(b *Batch, p unsafe.Pointer) { b.text(*(*string)(p)) }
	case reflect.Bool:
		return func(b *Batch, p unsafe.Pointer) {
			if *(*bool)(p) {
				b.int(1)
			} else {
				b.int(0)
			}
		}
	case reflect.Int8:
		return func(b *Batch, p unsafe.Pointer) { b.int(int64(*(*int8)(p))) }
	case reflect.Int16:
		return func(b *Batch, p unsafe.Pointer) { b.int(int64(*(*int16)(p))) }
	case reflect.Int32:
		return func(b *Batch, p unsafe.Pointer) { b.int(int64(*(*int32)(p))) }
	case reflect.Int:
		return func(b *Batch, p unsafe.Pointer) { b.int(int64(*(*int)(p))) }
	case reflect.Int64:
		return func(b *Batch, p unsafe.Pointer) { b.int(*(*int64)(p)) }
	case reflect.Uint64:
		// SQLite's integers are signed. What lies beyond goes as digits, which
		// are exact and compare as the number in a column of this type.
		return func(b *Batch, p unsafe.Pointer) {
			if v := *(*uint64)(p); v > math.MaxInt64 {
				b.text(strconv.FormatUint(v, 10))
			} else {
				b.int(int64(v))
			}
		}
	case reflect.Uint8:
		return func(b *Batch, p unsafe.Pointer) { b.int(int64(*(*uint8)(p))) }
	case reflect.Uint16:
		return func(b *Batch, p unsafe.Pointer) { b.int(int64(*(*uint16)(p))) }
	case reflect.Uint32:
		return func(b *Batch, p unsafe.Pointer) { b.int(int64(*(*uint32)(p))) }
	case reflect.Float64:
		return func(b *Batch, p unsafe.Pointer) { b.real(*(*float64)(p)) }
	default: // parseColumn has refused every type but []byte
		return func(b *Batch, p unsafe.Pointer) { b.blob(*(*[]byte)(p)) }
	}
}

func (e *encoder[Row]) row(b *Batch, r *Row, wanted []int) {
	p := unsafe.Pointer(r)
	for _, i := range wanted {
		f := &e.fields[i]
		f.write(b, unsafe.Add(p, f.offset))
	}
	b.Rows++
}

// encodeAll drives a scan and yields its rows as batches. One batch is reused:
// it is the consumer's until the consumer asks for the next.
func encodeAll[Row any](ctx context.Context, e *encoder[Row],
	scan func(context.Context, *Query) iter.Seq2[Row, error], q *Query,
) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		b := &Batch{}
		b.Reset(len(q.Columns))
		// One row for all: encoding takes its address, and a loop variable
		// whose address is taken is allocated anew for each row.
		row := new(Row)
		for r, err := range scan(ctx, q) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				if b.Rows > 0 && !yield(b, nil) {
					return
				}
				yield(nil, err)
				return
			}
			*row = r
			e.row(b, row, q.Columns)
			q.rows++
			if b.Full() {
				if q.Host.Pacer != nil {
					if err := q.Host.Pacer.Pace(ctx); err != nil {
						yield(nil, err)
						return
					}
				}
				if !yield(b, nil) {
					return
				}
				b.Reset(len(q.Columns))
			}
		}
		if b.Rows > 0 {
			yield(b, nil)
		}
	}
}
