package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/aiedr/edr/tables"
)

// A record is a version byte and then, for each field that is not zero, a tag
// and its value. A tag is the field's number (see fieldNames) shifted left by
// one, with the low bit saying what follows: 0 a zigzag varint, 1 a length and
// that many bytes. So a reader of any version can step over what it does not
// know. The time and the number of the event are kept by the log.
const recordVersion = 1

const (
	wireVarint = 0
	wireBytes  = 1
)

// ErrRecord says that a record's bytes are torn or not of this codec.
var ErrRecord = errors.New("event record is damaged")

func kindOf(e Event) (*kind, unsafe.Pointer, error) {
	v := reflect.ValueOf(e)
	if !v.IsValid() {
		return nil, nil, errors.New("encode event: it is nil")
	}
	k, ok := kindByType[v.Type()]
	if !ok || v.IsNil() {
		return nil, nil, fmt.Errorf("encode event: %T is no row of an event table (see tables/event/kinds.go)", e)
	}
	return k, v.UnsafePointer(), nil
}

// Encode is the record of an event, without its time and number.
func Encode(e Event) ([]byte, error) { return Append(nil, e) }

// Append appends the record of an event to dst.
func Append(dst []byte, e Event) ([]byte, error) {
	k, p, err := kindOf(e)
	if err != nil {
		return dst, err
	}
	dst = append(dst, recordVersion)
	for i := range k.fields {
		f := &k.fields[i]
		at := unsafe.Add(p, f.offset)
		var n int64
		switch f.kind {
		case kindString:
			if s := *(*string)(at); s != "" {
				dst = binary.AppendUvarint(dst, uint64(f.number)<<1|wireBytes)
				dst = binary.AppendUvarint(dst, uint64(len(s)))
				dst = append(dst, s...)
			}
			continue
		case kindInt64, kindUint64:
			n = *(*int64)(at)
		case kindInt32:
			n = int64(*(*int32)(at))
		case kindBool:
			if *(*bool)(at) {
				n = 1
			}
		}
		if n != 0 {
			dst = binary.AppendUvarint(dst, uint64(f.number)<<1|wireVarint)
			dst = binary.AppendVarint(dst, n)
		}
	}
	return dst, nil
}

// Size is about how many bytes an event takes in memory.
func Size(e Event) int {
	k, p, err := kindOf(e)
	if err != nil {
		return 0
	}
	n := int(k.typ.Elem().Size())
	for i := range k.fields {
		if f := &k.fields[i]; f.kind == kindString {
			n += len(*(*string)(unsafe.Add(p, f.offset)))
		}
	}
	return n
}

// Decode reads the row of an event table from an event of the log. Texts are
// copied: the row holds nothing of rec.Data. Fields that this version does not
// know are stepped over; damaged bytes give an error that wraps ErrRecord.
func Decode(table string, rec tables.Event) (Event, error) {
	k, ok := kindByTable[table]
	if !ok {
		return nil, fmt.Errorf("decode event: %q is no event table", table)
	}
	e := k.make()
	if err := k.decode(e.Head(), reflect.ValueOf(e).UnsafePointer(), rec, true); err != nil {
		return nil, err
	}
	return e, nil
}

// decode fills the row at p, which must be zero. Unless clone is set its texts
// lie in rec.Data, which an EventLog never writes to again.
func (k *kind) decode(h *Header, p unsafe.Pointer, rec tables.Event, clone bool) error {
	damaged := func(what string) error {
		return fmt.Errorf("decode event %d of %s: %s: %w", rec.ID, k.table, what, ErrRecord)
	}
	data := rec.Data
	if len(data) == 0 {
		return damaged("no bytes")
	}
	if data[0] != recordVersion {
		return fmt.Errorf("decode event %d of %s: record version %d, this version reads %d: %w",
			rec.ID, k.table, data[0], recordVersion, ErrRecord)
	}
	data = data[1:]
	if clone {
		data = append([]byte(nil), data...) // one copy that all texts share
	}
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 {
			return damaged("torn tag")
		}
		data = data[n:]
		var f *codecField
		if num := tag >> 1; num < uint64(len(k.byNumber)) {
			f = k.byNumber[num]
		}
		if tag&1 == wireBytes {
			size, n := binary.Uvarint(data)
			if n <= 0 || size > uint64(len(data)-n) {
				return damaged("torn text")
			}
			text := data[n : n+int(size)]
			data = data[n+int(size):]
			if f == nil {
				continue
			}
			if f.kind != kindString {
				return damaged("text in " + f.column)
			}
			*(*string)(unsafe.Add(p, f.offset)) = unsafe.String(unsafe.SliceData(text), len(text))
			continue
		}
		v, n := binary.Varint(data)
		if n <= 0 {
			return damaged("torn number")
		}
		data = data[n:]
		if f == nil {
			continue
		}
		at := unsafe.Add(p, f.offset)
		switch f.kind {
		case kindInt64, kindUint64:
			*(*int64)(at) = v
		case kindInt32:
			*(*int32)(at) = int32(v)
		case kindBool:
			*(*bool)(at) = v != 0
		default:
			return damaged("number in " + f.column)
		}
	}
	h.At(rec.Time)
	h.SetID(rec.ID)
	return nil
}
