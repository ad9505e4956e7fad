package engine

/*
#include "engine.h"
*/
import "C"

import (
	"context"
	"fmt"
	"math"
	"runtime/cgo"
	"unsafe"

	"github.com/aiedr/edr/tables"
)

// The functions that C calls. None lets a panic pass: there is C below.

func connOf(handle C.uintptr_t) *conn { return cgo.Handle(handle).Value().(*conn) }

// fail keeps an error for the caller and answers the code that stops SQLite.
func (c *conn) fail(err error) C.int {
	if c.err == nil {
		c.err = err
	}
	return C.SQLITE_ERROR
}

func (c *conn) caught(rc *C.int) {
	if p := recover(); p != nil {
		*rc = c.fail(fmt.Errorf("engine: internal error: %v", p))
	}
}

//export edrScan
func edrScan(handle C.uintptr_t, cur *C.edr_cursor, ncols C.int, cols *C.int, point C.int,
	ncon C.int, con *C.edr_constraint, vals *C.edr_value,
) (rc C.int) {
	c := connOf(handle)
	defer c.caught(&rc)
	t := c.e.tables[cur.table]
	c.setReading(t)
	if t.scan == nil {
		return c.fail(fmt.Errorf("table %s: %w", t.name, errSchemaOnly))
	}
	wanted := make([]int, ncols)
	for i, col := range unsafe.Slice(cols, ncols) {
		wanted[i] = int(col)
	}
	var cons []tables.Constraint
	if ncon > 0 {
		ks := unsafe.Slice(con, ncon)
		total := 0
		for _, k := range ks {
			total = max(total, int(k.first+k.n))
		}
		cons = t.constraints(ks, unsafe.Slice(vals, total))
	}
	s := c.start(t, wanted, cons, point != 0)
	id := -1
	for i, have := range c.scans {
		if have == nil {
			id = i
			break
		}
	}
	if id < 0 {
		id = len(c.scans)
		c.scans = append(c.scans, nil)
	}
	c.scans[id] = s
	cur.id = C.int(id)
	if err := c.advance(s, cur); err != nil {
		return c.fail(err)
	}
	return C.SQLITE_OK
}

//export edrNext
func edrNext(handle C.uintptr_t, cur *C.edr_cursor) (rc C.int) {
	c := connOf(handle)
	defer c.caught(&rc)
	s := c.scans[cur.id]
	c.setReading(s.t)
	if err := c.advance(s, cur); err != nil {
		return c.fail(err)
	}
	if c.wantsFlush() {
		c.c.flush = 1
	}
	return C.SQLITE_OK
}

//export edrDone
func edrDone(handle C.uintptr_t, id C.int) {
	c := connOf(handle)
	var rc C.int
	defer c.caught(&rc)
	c.endScan(int(id))
}

//export edrAuthorize
func edrAuthorize(handle C.uintptr_t, code C.int, one, two, db, inner *C.char) (rc C.int) {
	c := connOf(handle)
	defer c.caught(&rc)
	return C.int(c.auth.authorize(int(code), C.GoString(one), C.GoString(two)))
}

// edrTick is called while SQLite computes; not zero stops the statement.
//
//export edrTick
func edrTick(handle C.uintptr_t) (rc C.int) {
	c := connOf(handle)
	defer c.caught(&rc)
	if c.ctx.Err() != nil {
		return 1
	}
	if c.host.Pacer != nil {
		if err := c.host.Pacer.Pace(c.ctx); err != nil {
			if context.Cause(c.ctx) == nil {
				c.fail(err)
			}
			return 1
		}
	}
	if c.wantsFlush() {
		c.c.flush = 1
	}
	return 0
}

//export edrCall
func edrCall(handle, index C.uintptr_t, ctx *C.sqlite3_context, argc C.int, argv *C.edr_value) {
	c := connOf(handle)
	f := c.e.functions[index]
	answer, err := callSafely(f, unsafe.Slice(argv, argc))
	if err != nil {
		if c.err == nil && c.auth.running {
			c.err = fmt.Errorf("SQL function %s: %w", f.name, err)
		}
		msg := []byte(f.name + ": " + err.Error() + "\x00")
		C.sqlite3_result_error(ctx, (*C.char)(unsafe.Pointer(&msg[0])), C.int(len(msg)-1))
		return
	}
	switch v := answer.(type) {
	case nil:
		C.sqlite3_result_null(ctx)
	case int64:
		C.sqlite3_result_int64(ctx, C.sqlite3_int64(v))
	case float64:
		C.sqlite3_result_double(ctx, C.double(v))
	case string:
		C.edr_result_text(ctx, (*C.char)(unsafe.Pointer(unsafe.StringData(v))), C.size_t(len(v)))
	case []byte:
		C.edr_result_blob(ctx, unsafe.Pointer(unsafe.SliceData(v)), C.size_t(len(v)))
	}
}

func callSafely(f *function, argv []C.edr_value) (answer any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	args := make([]any, len(argv))
	for i := range argv {
		args[i] = valueOf(&argv[i])
	}
	return f.call(args)
}

// valueOf copies a value that C shows.
func valueOf(v *C.edr_value) any {
	switch v.kind {
	case C.EDR_INT:
		return int64(v.bits)
	case C.EDR_REAL:
		return math.Float64frombits(uint64(v.bits))
	case C.EDR_TEXT:
		return C.GoStringN(v.ptr, C.int(v.len))
	case C.EDR_BLOB:
		return C.GoBytes(unsafe.Pointer(v.ptr), C.int(v.len))
	}
	return nil
}
