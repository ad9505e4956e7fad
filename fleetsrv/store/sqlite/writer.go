package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

var errClosed = errors.New("write to the database: it is closed")

// gather is how many waiting writes one transaction takes at most.
const gather = 256

type job struct {
	do   func(*tx) error
	err  error
	done chan struct{}
}

// writer runs every write on one connection. Writes that wait while another
// commits share the next transaction, each inside a savepoint of its own, so
// that one that fails takes no other with it.
type writer struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	jobs  chan *job
	mu    sync.RWMutex // held for reading while a job is handed over
	ended bool
	idle  chan struct{}
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("take the writing connection: %w", err)
	}
	w := &writer{conn: conn, stmts: map[string]*sql.Stmt{}, jobs: make(chan *job, gather), idle: make(chan struct{})}
	go w.run()
	return w, nil
}

// do runs a write and returns when it is committed. A caller that has gone is
// not waited for, but what it handed over is still written.
func (w *writer) do(ctx context.Context, fn func(*tx) error) error {
	j := &job{do: fn, done: make(chan struct{})}
	w.mu.RLock()
	if w.ended {
		w.mu.RUnlock()
		return errClosed
	}
	select {
	case w.jobs <- j:
		w.mu.RUnlock()
	case <-ctx.Done():
		w.mu.RUnlock()
		return ctx.Err()
	}
	<-j.done
	return j.err
}

func (w *writer) close() error {
	w.mu.Lock()
	if w.ended {
		w.mu.Unlock()
		return nil
	}
	w.ended = true
	close(w.jobs)
	w.mu.Unlock()
	<-w.idle
	for _, s := range w.stmts {
		_ = s.Close()
	}
	return w.conn.Close()
}

func (w *writer) run() {
	defer close(w.idle)
	t := &tx{w: w}
	for j := range w.jobs {
		batch := []*job{j}
		for more := true; more && len(batch) < gather; {
			select {
			case next, ok := <-w.jobs:
				if ok {
					batch = append(batch, next)
				} else {
					more = false
				}
			default:
				more = false
			}
		}
		err := w.commit(t, batch)
		for _, b := range batch {
			if err != nil {
				b.err = fmt.Errorf("write to the database: %w", err)
			}
			close(b.done)
		}
	}
}

func (w *writer) commit(t *tx, batch []*job) error {
	if err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, j := range batch {
		if len(batch) == 1 {
			if j.err = attempt(t, j.do); j.err != nil {
				return t.exec("ROLLBACK")
			}
			continue
		}
		if err := t.exec("SAVEPOINT one"); err != nil {
			return errors.Join(err, t.exec("ROLLBACK"))
		}
		if j.err = attempt(t, j.do); j.err != nil {
			if err := t.exec("ROLLBACK TO one"); err != nil {
				return errors.Join(err, t.exec("ROLLBACK"))
			}
		}
		if err := t.exec("RELEASE one"); err != nil {
			return errors.Join(err, t.exec("ROLLBACK"))
		}
	}
	if err := t.exec("COMMIT"); err != nil {
		return errors.Join(err, t.exec("ROLLBACK"))
	}
	return nil
}

// attempt keeps one write's panic from ending the writer of all.
func attempt(t *tx, fn func(*tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("write to the database: internal error: %v", p)
		}
	}()
	return fn(t)
}

// tx is the transaction that a write runs in; statements are prepared once
// for the life of the writer.
type tx struct{ w *writer }

func (t *tx) stmt(q string) (*sql.Stmt, error) {
	if s, ok := t.w.stmts[q]; ok {
		return s, nil
	}
	// The background context: the driver starts a goroutine for each
	// statement whose context can end.
	s, err := t.w.conn.PrepareContext(context.Background(), q)
	if err != nil {
		return nil, err
	}
	t.w.stmts[q] = s
	return s, nil
}

func (t *tx) exec(q string, args ...any) error {
	_, err := t.result(q, args...)
	return err
}

func (t *tx) result(q string, args ...any) (sql.Result, error) {
	s, err := t.stmt(q)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(context.Background(), args...)
}

// changed runs a statement and answers how many rows it changed.
func (t *tx) changed(q string, args ...any) (int64, error) {
	r, err := t.result(q, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// get reads one row; found is false where there is none.
func (t *tx) get(q string, args []any, into ...any) (found bool, err error) {
	s, err := t.stmt(q)
	if err != nil {
		return false, err
	}
	err = s.QueryRowContext(context.Background(), args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (t *tx) query(q string, args ...any) (*sql.Rows, error) {
	s, err := t.stmt(q)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(context.Background(), args...)
}
