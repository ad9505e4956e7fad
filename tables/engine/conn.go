package engine

/*
#include <stdlib.h>
#include "engine.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime/cgo"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/aiedr/edr/tables"
)

// conn is one statement's connection. It belongs to the thread that opened
// it; only interrupt may be called from elsewhere.
type conn struct {
	e      *Engine
	c      *C.edr_conn
	handle cgo.Handle
	stmt   *C.sqlite3_stmt
	ctx    context.Context
	host   *tables.Host
	name   string // of the scheduled query, for event cursors

	auth authorizer
	info Info

	scans []*scan
	cache cache
	// err is what a callback failed with: SQLite only carries a code.
	err    error
	report report

	running *Rows     // whose reader learns which table is read; nil in Check
	began   time.Time // of the reading of rows that goes on

	mu     sync.Mutex // guards closed against interrupt
	closed bool
}

// report is what the scans of a statement leave behind.
type report struct {
	warnings []Warning
	warned   int64
	scanned  int64
	cpu      cpuTime
}

// open makes a guarded connection. The caller's goroutine must be locked to
// its thread until close.
func (e *Engine) open(ctx context.Context, host *tables.Host, name, sql string, classes []tables.Class) (*conn, error) {
	c := &conn{e: e, ctx: ctx, host: host, name: name}
	c.auth = authorizer{e: e, allowed: classes, classes: map[tables.Class]bool{}, tables: map[string]bool{}}
	c.c = (*C.edr_conn)(C.calloc(1, C.size_t(unsafe.Sizeof(C.edr_conn{}))))
	c.handle = cgo.NewHandle(c)
	c.c.handle = C.uintptr_t(c.handle)
	c.c.tables = e.shape
	c.c.ntables = C.int(len(e.tables))
	c.c.k0, c.c.k1 = C.uint64_t(e.k0), C.uint64_t(e.k1)
	var msg *C.char
	rc := C.edr_open(c.c, &msg)
	if rc == C.SQLITE_OK {
		rc = c.functions()
	}
	if rc == C.SQLITE_OK && wantsCatalog(sql) {
		rc = C.edr_catalog(c.c, &msg)
	}
	if rc == C.SQLITE_OK {
		rc = C.edr_guard(c.c, &msg)
	}
	if rc != C.SQLITE_OK {
		text := C.GoString(C.sqlite3_errstr(rc))
		if msg != nil {
			text = C.GoString(msg)
			C.sqlite3_free(unsafe.Pointer(msg))
		}
		c.close()
		return nil, fmt.Errorf("engine: %s", text)
	}
	return c, nil
}

// wantsCatalog says whether a statement asks SQLite which tables there are.
// Only then are they all declared, which costs more than a small statement.
func wantsCatalog(sql string) bool {
	lower := strings.ToLower(sql)
	return strings.Contains(lower, "sqlite_") || strings.Contains(lower, "table_list")
}

func (c *conn) close() {
	if c.stmt != nil {
		C.sqlite3_finalize(c.stmt)
		c.stmt = nil
	}
	for id := range c.scans {
		c.endScan(id)
	}
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	C.edr_close(c.c)
	c.handle.Delete()
}

func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		C.edr_interrupt(c.c)
	}
}

// prepare compiles the one statement of a text and learns what it reads.
func (c *conn) prepare(sql string) error {
	if i := strings.IndexByte(sql, 0); i >= 0 {
		return &SQLError{Message: "the text has a NUL byte", Offset: i, SQL: sql}
	}
	text := C.CString(sql)
	defer C.free(unsafe.Pointer(text))
	var tail *C.char
	rc := C.sqlite3_prepare_v3(c.c.db, text, C.int(len(sql)+1), 0, &c.stmt, &tail)
	if rc != C.SQLITE_OK {
		return c.prepareError(sql, rc)
	}
	if c.stmt == nil {
		return &SQLError{Message: "there is no statement in the text", Offset: -1, SQL: sql}
	}
	at := int(uintptr(unsafe.Pointer(tail)) - uintptr(unsafe.Pointer(text)))
	if rest := skipBlank(sql[at:]); rest >= 0 {
		return &SQLError{Message: "only one statement is allowed, and another one follows it", Offset: at + rest, SQL: sql}
	}
	n := int(C.sqlite3_column_count(c.stmt))
	if n == 0 || C.sqlite3_stmt_readonly(c.stmt) == 0 {
		return &SQLError{Message: "only statements that read are allowed: write a SELECT", Offset: -1, SQL: sql}
	}
	if C.sqlite3_bind_parameter_count(c.stmt) > 0 {
		return &SQLError{Message: "the statement has parameters (?, :name), which nothing fills: write the values", Offset: -1, SQL: sql}
	}
	for i := range n {
		c.info.Columns = append(c.info.Columns, Column{
			Name: C.GoString(C.sqlite3_column_name(c.stmt, C.int(i))),
			Type: tables.Type(C.GoString(C.sqlite3_column_decltype(c.stmt, C.int(i)))),
		})
	}
	c.auth.fill(&c.info)
	c.auth.running = true
	return nil
}

func (c *conn) prepareError(sql string, rc C.int) error {
	if c.auth.denied != nil {
		return c.auth.denied
	}
	if c.err != nil {
		return c.err
	}
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	e := &SQLError{
		Message: C.GoString(C.sqlite3_errmsg(c.c.db)),
		Offset:  int(C.sqlite3_error_offset(c.c.db)), SQL: sql,
	}
	e.Suggest = c.suggest(e.Message, sql)
	return e
}

// skipBlank finds the first byte of a text that is not space, semicolon or
// comment; -1 if there is none.
func skipBlank(s string) int {
	for i := 0; i < len(s); {
		switch {
		case strings.IndexByte(" \t\r\n\f;", s[i]) >= 0:
			i++
		case strings.HasPrefix(s[i:], "--"):
			end := strings.IndexByte(s[i:], '\n')
			if end < 0 {
				return -1
			}
			i += end + 1
		case strings.HasPrefix(s[i:], "/*"):
			end := strings.Index(s[i+2:], "*/")
			if end < 0 {
				return -1
			}
			i += 2 + end + 2
		default:
			return i
		}
	}
	return -1
}

// stepError explains why a running statement stopped.
func (c *conn) stepError(rc C.int) error {
	cause := context.Cause(c.ctx)
	if c.err != nil && (cause == nil || !errors.Is(c.err, c.ctx.Err())) {
		return c.err
	}
	if cause != nil {
		return cause // a scan that was ended by it says the same with less
	}
	if c.auth.denied != nil {
		return c.auth.denied
	}
	msg := C.GoString(C.sqlite3_errmsg(c.c.db))
	if rc&0xff == C.SQLITE_NOMEM {
		return fmt.Errorf("run the statement: %w", errNoMemory)
	}
	if rc&0xff == C.SQLITE_TOOBIG {
		return fmt.Errorf("run the statement: a text or blob is larger than the %d MiB that one may have", C.EDR_MAX_LENGTH>>20)
	}
	return errors.New("run the statement: " + msg)
}
