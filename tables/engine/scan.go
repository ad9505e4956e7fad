package engine

/*
#include "engine.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/aiedr/edr/tables"
)

const (
	// inlineBatches is how many batches a scan by key may fill before it is
	// taken for a long one and moved to a goroutine of its own.
	inlineBatches = 2
	// handoff is how many filled batches wait for SQLite.
	handoff = 2
	// grace is how long a scan may take to notice that it is to end.
	grace = 250 * time.Millisecond
)

// scan is one reading of a table for one cursor.
type scan struct {
	t      *table
	q      *tables.Query
	ctx    context.Context
	cancel context.CancelFunc // nil of an inline scan

	ready  []tables.Batch // of an inline scan
	filled chan tables.Batch
	spare  chan tables.Batch
	done   chan struct{} // closed when the goroutine has ended
	err    error         // valid once done is closed, or of an inline scan
	cpu    cpuTime       // likewise

	cur  tables.Batch
	pins runtime.Pinner

	key     string // of the cache
	keeping bool   // batches are kept for the next scan that asks the same
	kept    keep
}

func (c *conn) query(t *table, cols []int, cons []tables.Constraint) *tables.Query {
	return &tables.Query{Host: c.host, Columns: cols, Constraints: cons, QueryName: c.name}
}

// start begins a scan. One by key usually ends within a batch or two and is
// run on the spot; everything else, and what turns out to be long, streams
// from a goroutine of its own in a few batches that are used in turn.
func (c *conn) start(t *table, cols []int, cons []tables.Constraint, point bool) *scan {
	s := &scan{t: t, ctx: c.ctx, key: cacheKey(t, cols, cons)}
	if k, ok := c.cache.get(s.key); ok {
		s.q = c.query(t, cols, cons)
		s.ready = k.batches
		return s
	}
	if point && !t.evented && !c.cache.asked[s.key] { // else it has proved to be long
		s.q = c.query(t, cols, cons)
		if s.inline() {
			if s.err == nil {
				c.cache.put(s.key, keepOf(s.ready))
			}
			return s
		}
		s.ready = nil
	}
	s.keeping = c.cache.again(s.key)
	s.ctx, s.cancel = context.WithCancel(c.ctx)
	s.q = c.query(t, cols, cons)
	s.filled = make(chan tables.Batch, handoff)
	s.spare = make(chan tables.Batch, handoff+2)
	s.done = make(chan struct{})
	go s.run()
	return s
}

// inline reads the table here; false if it is too long for that.
func (s *scan) inline() bool {
	for b, err := range s.t.scan.Batches(s.ctx, s.q) {
		if err != nil {
			s.err = err
			return true
		}
		if len(s.ready) == inlineBatches {
			return false
		}
		s.ready = append(s.ready, *b)
		*b = tables.Batch{}
	}
	return true
}

func (s *scan) run() {
	// The thread's clock is the scan's as long as nothing else runs on it.
	runtime.LockOSThread()
	before := threadCPU()
	defer func() {
		after := threadCPU()
		s.cpu = cpuTime{after.user - before.user, after.system - before.system}
		close(s.filled)
		close(s.done)
		runtime.UnlockOSThread()
	}()
	for b, err := range s.t.scan.Batches(s.ctx, s.q) {
		if err != nil {
			s.err = err
			return
		}
		full := *b
		select {
		case *b = <-s.spare:
		default:
			*b = tables.Batch{}
		}
		select {
		case s.filled <- full:
		case <-s.ctx.Done():
			s.err = s.ctx.Err()
			return
		}
	}
}

// next answers the next batch; ok is false at the end.
func (s *scan) next(ctx context.Context) (b tables.Batch, ok bool, err error) {
	if s.filled == nil {
		if len(s.ready) == 0 {
			return b, false, s.err
		}
		b, s.ready = s.ready[0], s.ready[1:]
		return b, true, nil
	}
	select {
	case b, ok = <-s.filled:
	default:
		select {
		case b, ok = <-s.filled:
		case <-ctx.Done():
			return b, false, context.Cause(ctx)
		}
	}
	if ok {
		return b, true, nil
	}
	return b, false, s.err
}

// advance puts the next batch before a cursor.
func (c *conn) advance(s *scan, cur *C.edr_cursor) error {
	s.pins.Unpin()
	if s.keeping && s.cur.Rows > 0 && !s.kept.add(s.cur) {
		s.keeping, s.kept = false, keep{}
	} else if !s.keeping && s.spare != nil && s.cur.Cells != nil {
		select {
		case s.spare <- s.cur:
		default:
		}
	}
	s.cur = tables.Batch{}
	for {
		b, ok, err := s.next(c.ctx)
		if s.keeping && err == nil && !ok {
			c.cache.put(s.key, s.kept)
		}
		if err != nil || !ok {
			cur.eof, cur.row, cur.rows = 1, 0, 0
			return err
		}
		if b.Rows == 0 {
			continue
		}
		s.cur = b
		cur.eof, cur.row, cur.rows, cur.width = 0, 0, C.int(b.Rows), C.int(b.Width)
		cur.cells, cur.arena = 0, 0
		// Numbers, not pointers: what lies in C memory is no business of the
		// collector, and the pins keep it in place.
		if len(b.Cells) > 0 {
			s.pins.Pin(&b.Cells[0])
			cur.cells = C.uintptr_t(uintptr(unsafe.Pointer(&b.Cells[0])))
		}
		if len(b.Arena) > 0 {
			s.pins.Pin(&b.Arena[0])
			cur.arena = C.uintptr_t(uintptr(unsafe.Pointer(&b.Arena[0])))
		}
		return nil
	}
}

// endScan ends a cursor's scan and takes over what it has to report.
func (c *conn) endScan(id int) {
	s := c.scans[id]
	if s == nil {
		return
	}
	c.scans[id] = nil
	s.pins.Unpin()
	if s.done == nil {
		c.report.take(s)
		return
	}
	s.cancel()
	if !s.wait() {
		c.e.stuck.Add(1)
		c.report.warn(Warning{Table: s.t.name, Err: errors.New("the scan hangs and was left behind: what it had to report is lost")})
		go func() {
			<-s.done
			c.e.stuck.Add(-1)
		}()
		return
	}
	c.report.take(s)
}

func (s *scan) wait() bool {
	select {
	case <-s.done:
		return true
	case <-time.After(grace):
		return false
	}
}

func (r *report) take(s *scan) {
	r.scanned += s.q.Rows()
	r.cpu.user += s.cpu.user
	r.cpu.system += s.cpu.system
	errs, n := s.q.Warnings()
	for _, err := range errs {
		r.warn(Warning{Table: s.t.name, Err: err})
	}
	r.warned += n - int64(len(errs))
}

// maxWarnings bounds the texts kept of one statement; the count goes on.
const maxWarnings = 64

func (r *report) warn(w Warning) {
	r.warned++
	if len(r.warnings) >= maxWarnings {
		return
	}
	for _, have := range r.warnings {
		if have.Table == w.Table && have.Err.Error() == w.Err.Error() {
			return
		}
	}
	r.warnings = append(r.warnings, w)
}

// constraints reads what xFilter hands over.
func (t *table) constraints(con []C.edr_constraint, vals []C.edr_value) []tables.Constraint {
	var out []tables.Constraint
	for _, k := range con {
		x := tables.Constraint{Column: t.columns[k.col].Name, Op: tables.Op(k.op & 0xff)}
		for _, v := range vals[k.first : k.first+k.n] {
			x.Values = append(x.Values, valueOf(&v))
		}
		out = append(out, x)
	}
	return out
}

var errSchemaOnly = fmt.Errorf("this engine knows the table's schema only and cannot read it")
