package engine

/*
#include "engine.h"
*/
import "C"

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/aiedr/edr/tables"
)

// Column is a column of an answer. Type is the declared type where the column
// is one of a table's, and empty where it is computed.
type Column struct {
	Name string
	Type tables.Type
}

// Info is what a statement will answer and what it reads.
type Info struct {
	Columns []Column
	Tables  []string       // sorted
	Classes []tables.Class // sorted
	// EventsOnly says that all tables are event tables: the rows have
	// happened once, and are added and never removed.
	EventsOnly bool
}

// Request is a statement with its limits; zero limits are the engine's.
type Request struct {
	SQL string
	// Name is the scheduled query that asks; event tables keep a cursor for each.
	Name    string
	MaxRows int64
	MaxHeap int64 // bytes that SQLite may hold for the statement
	// Deadline is how long the statement may take.
	Deadline time.Duration
	// Classes are the data classes that may be read: without any, no table
	// may. AllClasses is everything.
	Classes []tables.Class
}

// Warning is something that a table's scan could not read.
type Warning struct {
	Table string
	Err   error
}

func (w Warning) String() string { return w.Table + ": " + w.Err.Error() }

// Stats is what a statement has cost. User and System are processor time of
// the threads that ran the statement and its scans; work that a scan gives to
// goroutines of its own is not in it.
type Stats struct {
	Wall, User, System time.Duration
	Rows               int64 // answered
	Scanned            int64 // rows that the scans yielded
	MemoryPeak         int64 // bytes that SQLite held at most
}

// Check compiles a statement and authorizes it without running it.
func (e *Engine) Check(ctx context.Context, sql string, classes []tables.Class) (info Info, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithTimeoutCause(ctx, e.opts.Deadline, timeLimit(e.opts.Deadline))
	defer cancel()
	C.edr_mem_begin(C.int64_t(e.opts.MaxHeap))
	defer func() {
		var peak C.int64_t
		var over C.int
		if C.edr_mem_end(&peak, &over); over != 0 && err != nil {
			err = memoryLimit(e.opts.MaxHeap)
		}
	}()
	c, err := e.open(ctx, &tables.Host{}, "", sql, classes)
	if err != nil {
		return Info{}, err
	}
	defer c.close()
	defer context.AfterFunc(ctx, c.interrupt)()
	if err := c.prepare(sql); err != nil {
		return Info{}, err
	}
	return c.info, nil
}

type final struct {
	err      error
	warnings []Warning
	warned   int64
	stats    Stats
}

// Query starts a statement. An error in the statement itself comes from here;
// one of a scan comes with the rows.
func (e *Engine) Query(ctx context.Context, host *tables.Host, req Request) (*Rows, error) {
	if host == nil {
		host = &tables.Host{}
	}
	if req.MaxRows <= 0 {
		req.MaxRows = e.opts.MaxRows
	}
	if req.MaxHeap <= 0 {
		req.MaxHeap = e.opts.MaxHeap
	}
	if req.Deadline <= 0 {
		req.Deadline = e.opts.Deadline
	}
	r := &Rows{e: e, ch: make(chan [][]any, 1), final: make(chan final, 1)}
	r.ctx, r.cancel = context.WithTimeoutCause(ctx, req.Deadline, timeLimit(req.Deadline))
	prepared := make(chan error, 1)
	go e.run(r, host, req, prepared)
	select {
	case err := <-prepared:
		if err != nil {
			r.cancel()
			return nil, err
		}
	case <-r.ctx.Done():
		r.cancel()
		return nil, context.Cause(r.ctx)
	}
	return r, nil
}

// run is a statement's thread from open to close.
func (e *Engine) run(r *Rows, host *tables.Host, req Request, prepared chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began, before := time.Now(), threadCPU()
	C.edr_mem_begin(C.int64_t(req.MaxHeap))

	var end final
	var rep report
	c, err := e.open(r.ctx, host, req.Name, req.SQL, req.Classes)
	if err == nil {
		c.running = r
		stop := context.AfterFunc(r.ctx, c.interrupt)
		err = c.prepare(req.SQL)
		if err == nil {
			r.info = c.info
			prepared <- nil
			end.stats.Rows, end.err = c.deliver(r, req.MaxRows)
		}
		stop()
		c.close()
		rep = c.report
	}
	var peak C.int64_t
	var over C.int
	C.edr_mem_end(&peak, &over)
	if over != 0 && (err != nil || end.err != nil) {
		limit := memoryLimit(req.MaxHeap)
		if err != nil {
			err = limit
		} else {
			end.err = limit
		}
	}
	if err != nil {
		prepared <- err
		return
	}
	after := threadCPU()
	end.warnings, end.warned = rep.warnings, rep.warned
	end.stats.Wall = time.Since(began)
	end.stats.User = after.user - before.user + rep.cpu.user
	end.stats.System = after.system - before.system + rep.cpu.system
	end.stats.Scanned = rep.scanned
	end.stats.MemoryPeak = int64(peak)
	close(r.ch)
	r.final <- end
}

const (
	// readRows is how many rows are read from SQLite at once at most; the
	// first readings are shorter, so that a first row is not held back.
	readRows  = 256
	firstRows = 4
	// holdBack is how long rows may wait for others to come.
	holdBack = 200 * time.Millisecond
)

// deliver steps the statement and hands on its rows.
func (c *conn) deliver(r *Rows, maxRows int64) (n int64, err error) {
	want := firstRows
	width := len(c.info.Columns)
	for {
		c.began = time.Now()
		var got C.int
		rc := C.edr_step(c.c, c.stmt, C.int(width), C.int(want), &got)
		if got > 0 {
			rows := c.read(int(got), width)
			full := n+int64(got) > maxRows
			if full {
				rows = rows[:maxRows-n]
			}
			n += int64(len(rows))
			if len(rows) > 0 {
				select {
				case r.ch <- rows:
				case <-c.ctx.Done():
					return n - int64(len(rows)), context.Cause(c.ctx)
				}
			}
			if full {
				return n, &LimitError{Limit: "rows", Value: fmt.Sprint(maxRows)}
			}
		}
		switch rc {
		case C.SQLITE_ROW:
			want = min(want*4, readRows)
		case C.SQLITE_DONE:
			return n, c.err
		default:
			return n, c.stepError(rc)
		}
	}
}

// wantsFlush says whether rows have waited long enough.
func (c *conn) wantsFlush() bool { return !c.began.IsZero() && time.Since(c.began) > holdBack }

func (c *conn) setReading(t *table) {
	if c.running != nil {
		c.running.reading.Store(&t.name)
	}
}

// Result is a whole answer.
type Result struct {
	Info     Info
	Rows     [][]any
	Warnings []Warning
	Warned   int64 // how many warnings there were, with those not kept
	Stats    Stats
}

// Collect runs a statement to its end. With an error the result holds what
// was read before it, and is nil if the statement did not start.
func (e *Engine) Collect(ctx context.Context, host *tables.Host, req Request) (*Result, error) {
	r, err := e.Query(ctx, host, req)
	if err != nil {
		return nil, err
	}
	res := &Result{Info: r.Info()}
	for {
		rows, e := r.Batch()
		if e != nil {
			if e != io.EOF {
				err = e
			}
			break
		}
		res.Rows = append(res.Rows, rows...)
	}
	res.Stats = r.Stats()
	res.Warnings, res.Warned = r.Warnings()
	return res, err
}
