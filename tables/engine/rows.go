package engine

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync/atomic"
	"time"
)

// Rows is a running statement. It must be closed; reading to the end or to an
// error closes it.
type Rows struct {
	e       *Engine
	info    Info
	ch      chan [][]any
	final   chan final
	ctx     context.Context
	cancel  context.CancelFunc
	end     final
	ended   bool
	reading atomic.Pointer[string]
}

// Info is what the statement answers and reads.
func (r *Rows) Info() Info { return r.info }

// Batch is the next rows, each with the values of Info's columns: nil, int64,
// float64, string or []byte. At the end the error is io.EOF.
func (r *Rows) Batch() ([][]any, error) {
	if r.ended {
		return nil, r.endError()
	}
	select {
	case rows, ok := <-r.ch:
		if ok {
			return rows, nil
		}
		r.finish(<-r.final)
		return nil, r.endError()
	case <-r.ctx.Done():
	}
	// The statement notices too, unless a scan by key hangs on its thread.
	patience := time.NewTimer(4 * grace)
	defer patience.Stop()
	for {
		select {
		case rows, ok := <-r.ch:
			if ok {
				return rows, nil
			}
			r.finish(<-r.final)
			return nil, r.endError()
		case <-patience.C:
			err := context.Cause(r.ctx)
			var limit *LimitError
			if errors.As(err, &limit) {
				err = &LimitError{Limit: limit.Limit, Value: limit.Value, Hanging: true}
			}
			r.e.leave(r.final)
			r.finish(final{err: err})
			return nil, r.endError()
		}
	}
}

// leave counts a statement that does not come back, until it does.
func (e *Engine) leave(ended <-chan final) {
	e.stuck.Add(1)
	go func() {
		<-ended
		e.stuck.Add(-1)
	}()
}

func (r *Rows) finish(f final) {
	r.ended = true
	var limit *LimitError
	if errors.As(f.err, &limit) && limit.Table == "" {
		if name := r.reading.Load(); name != nil {
			named := *limit
			named.Table = *name
			f.err = &named
		}
	}
	r.end = f
	r.cancel()
}

func (r *Rows) endError() error {
	if r.end.err != nil {
		return r.end.err
	}
	return io.EOF
}

// All yields the rows one by one; a last error ends it.
func (r *Rows) All() iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		defer r.Close()
		for {
			rows, err := r.Batch()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// Close ends the statement and waits for it, shortly. After it Stats and
// Warnings are there.
func (r *Rows) Close() {
	if r.ended {
		return
	}
	r.cancel()
	for !r.ended {
		if _, err := r.Batch(); err != nil {
			return
		}
	}
}

// Stats is what the statement has cost; whole once it has ended.
func (r *Rows) Stats() Stats { return r.end.stats }

// Warnings are the first of what the scans could not read, and how many there
// were in all; whole once the statement has ended.
func (r *Rows) Warnings() ([]Warning, int64) { return r.end.warnings, r.end.warned }
