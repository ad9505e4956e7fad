package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aiedr/edr/tables"
)

type counted struct {
	N    int64  `col:"n,index" doc:"Number."`
	Text string `col:"text" doc:"Text."`
}

// forever yields rows without end, and counts them.
func forever(yielded *atomic.Int64) *tables.Table {
	return tables.New(tables.Spec[counted]{
		Name: "forever", Doc: "Test.", Class: tables.Inventory, Platforms: tables.AllPlatforms,
		Scan: func(context.Context, *tables.Query) iter.Seq2[counted, error] {
			return func(yield func(counted, error) bool) {
				for i := int64(0); yield(counted{i, "some text"}, nil); i++ {
					yielded.Add(1)
				}
			}
		},
	})
}

// hanging blocks in its scan, deaf to the context, until it is let go.
func hanging(release <-chan struct{}) *tables.Table {
	return tables.New(tables.Spec[counted]{
		Name: "hanging", Doc: "Test.", Class: tables.Inventory, Platforms: tables.AllPlatforms,
		Scan: func(context.Context, *tables.Query) iter.Seq2[counted, error] {
			return func(yield func(counted, error) bool) {
				<-release
				yield(counted{}, nil)
			}
		},
	})
}

func TestStreamsInBoundedMemory(t *testing.T) {
	var yielded atomic.Int64
	e := newEngine(t, forever(&yielded))
	r := ask(t, e, "SELECT n FROM forever LIMIT 10")
	if len(r.Rows) != 10 {
		t.Errorf("%d rows", len(r.Rows))
	}
	// The batch that SQLite reads, those that wait, and the one in the making.
	if most := int64((handoff + 3) * tables.BatchRows); yielded.Load() > most {
		t.Errorf("for ten rows the scan ran %d rows ahead, at most %d are meant to be", yielded.Load(), most)
	}
	rows, err := e.Query(context.Background(), nil, Request{SQL: "SELECT * FROM forever", Classes: AllClasses()})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range rows.All() {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 5000 {
			break
		}
	}
	if n != 5000 {
		t.Errorf("%d rows", n)
	}
	if s := rows.Stats(); s.Scanned < 5000 || s.MemoryPeak > 8<<20 {
		t.Errorf("stats after Close: %+v", s)
	}
}

func TestLimits(t *testing.T) {
	var yielded atomic.Int64
	e := newEngine(t, forever(&yielded))
	ctx := context.Background()
	run := func(req Request) (*Result, *LimitError) {
		t.Helper()
		req.Classes = AllClasses()
		r, err := e.Collect(ctx, nil, req)
		var limit *LimitError
		if !errors.As(err, &limit) {
			t.Fatalf("%s: %v is no limit", req.SQL, err)
		}
		return r, limit
	}
	r, limit := run(Request{SQL: "SELECT n FROM forever", MaxRows: 1000})
	if limit.Limit != "rows" || len(r.Rows) != 1000 || r.Rows[999][0] != int64(999) {
		t.Errorf("rows: %v, %d", limit, len(r.Rows))
	}
	_, limit = run(Request{SQL: "SELECT count(*) FROM forever", Deadline: 50 * time.Millisecond})
	if limit.Limit != "time" || limit.Table != "forever" || limit.Hanging || !errors.Is(limit, context.DeadlineExceeded) {
		t.Errorf("time in a scan: %v", limit)
	}
	_, limit = run(Request{SQL: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n", Deadline: 50 * time.Millisecond})
	if limit.Limit != "time" || limit.Table != "" {
		t.Errorf("time in SQLite: %v", limit)
	}
	for _, sql := range []string{
		"SELECT group_concat(text) FROM forever",
		"SELECT n, text FROM forever ORDER BY text",
		"SELECT DISTINCT n FROM forever",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i+1 FROM n) SELECT count(*) FROM n",
		"SELECT hex(zeroblob(10000000))",
	} {
		_, limit = run(Request{SQL: sql, MaxHeap: 4 << 20, Deadline: time.Minute})
		if limit.Limit != "memory" {
			t.Errorf("%s: %v", sql, limit)
		}
	}
	// The limit was that statement's: others go on.
	if r := ask(t, e, "SELECT length(hex(zeroblob(10000000)))"); r.Rows[0][0] != int64(20000000) || r.Stats.MemoryPeak < 30_000_000 {
		t.Errorf("after it: %v, %+v", r.Rows, r.Stats)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := e.Collect(cancelled, nil, Request{SQL: "SELECT count(*) FROM forever", Classes: AllClasses()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestHangingScan(t *testing.T) {
	for _, sql := range []string{"SELECT * FROM hanging", "SELECT * FROM hanging WHERE n = 1"} {
		release := make(chan struct{})
		e := newEngine(t, hanging(release))
		_, err := e.Collect(context.Background(), nil, Request{SQL: sql, Classes: AllClasses(), Deadline: 20 * time.Millisecond})
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Limit != "time" || limit.Table != "hanging" {
			t.Errorf("%s: %v", sql, err)
		}
		if e.Stuck() != 1 {
			t.Errorf("%s: %d are counted as hanging", sql, e.Stuck())
		}
		close(release)
		for until := time.Now().Add(10 * time.Second); e.Stuck() != 0; {
			if time.Now().After(until) {
				t.Fatalf("%s: still counted as hanging after it came back", sql)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

type pacer struct {
	calls atomic.Int64
	err   error
}

func (p *pacer) Pace(context.Context) error { p.calls.Add(1); return p.err }

func TestPacing(t *testing.T) {
	var yielded atomic.Int64
	e := newEngine(t, forever(&yielded))
	p := &pacer{}
	sql := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<200000) SELECT count(*) FROM n"
	if _, err := e.Collect(context.Background(), &tables.Host{Pacer: p}, Request{SQL: sql}); err != nil || p.calls.Load() < 10 {
		t.Errorf("SQLite's own work is not paced: %d calls, %v", p.calls.Load(), err)
	}
	p = &pacer{err: errors.New("over its budget")}
	for _, sql := range []string{sql, "SELECT count(*) FROM forever"} {
		if _, err := e.Collect(context.Background(), &tables.Host{Pacer: p}, Request{SQL: sql, Classes: AllClasses()}); err == nil || !strings.Contains(err.Error(), "over its budget") {
			t.Errorf("%s: the pacer's refusal became %v", sql, err)
		}
	}
}

func TestScanErrors(t *testing.T) {
	broken := errors.New("broken")
	make := func(name string, scan func(q *tables.Query, yield func(counted, error) bool)) *tables.Table {
		return tables.New(tables.Spec[counted]{
			Name: name, Doc: "Test.", Class: tables.Inventory, Platforms: tables.AllPlatforms,
			Scan: func(_ context.Context, q *tables.Query) iter.Seq2[counted, error] {
				return func(yield func(counted, error) bool) { scan(q, yield) }
			},
		})
	}
	e := newEngine(t,
		make("early", func(_ *tables.Query, yield func(counted, error) bool) { yield(counted{}, broken) }),
		make("late", func(_ *tables.Query, yield func(counted, error) bool) {
			for i := range 1000 {
				if !yield(counted{N: int64(i)}, nil) {
					return
				}
			}
			yield(counted{}, broken)
		}),
		make("panics", func(*tables.Query, func(counted, error) bool) { var p *int; *p = 1 }),
		make("warns", func(q *tables.Query, yield func(counted, error) bool) {
			for i := range 100 {
				q.Warn(fmt.Errorf("cannot read %d", i))
			}
			yield(counted{N: 1}, nil)
		}),
	)
	for _, sql := range []string{
		"SELECT * FROM early", "SELECT * FROM early WHERE n=1", "SELECT * FROM late", "SELECT max(n) FROM late WHERE n=7",
		"SELECT * FROM early UNION SELECT * FROM warns",
	} {
		if err := askErr(t, e, sql); !errors.Is(err, broken) || !strings.Contains(err.Error(), "scan ") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if r, err := e.Collect(context.Background(), nil, Request{SQL: "SELECT n FROM late", Classes: AllClasses()}); err == nil || len(r.Rows) != 1000 {
		t.Errorf("the rows before an error: %d, %v", len(r.Rows), err)
	}
	for _, sql := range []string{"SELECT * FROM panics", "SELECT * FROM panics WHERE n=1"} {
		if err := askErr(t, e, sql); !strings.Contains(err.Error(), "internal error") || !strings.Contains(err.Error(), "panics") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	r := ask(t, e, "SELECT w.n FROM warns w JOIN warns x USING(n)")
	if len(r.Rows) != 1 || r.Warned < 100 || len(r.Warnings) == 0 || r.Warnings[0].Table != "warns" || !strings.Contains(r.Warnings[0].String(), "cannot read 0") {
		t.Errorf("warnings: %d of %d: %v", len(r.Warnings), r.Warned, r.Warnings)
	}
}

func TestConcurrent(t *testing.T) {
	e := newEngine(t, listing("people", people(2000), nil))
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 10 {
				id := i*100 + j
				r, err := e.Collect(context.Background(), nil, Request{SQL: fmt.Sprintf(
					"SELECT p.name, q.name, regex_match(p.name, '[0-9]+', 0) FROM people p JOIN people q ON q.id = p.id+1 WHERE p.id = %d", id), Classes: AllClasses()})
				if err != nil || len(r.Rows) != 1 || r.Rows[0][0] != fmt.Sprintf("n%d", id) || r.Rows[0][2] != fmt.Sprint(id) {
					t.Errorf("%d: %v %v", id, r, err)
				}
			}
		})
	}
	group.Wait()
}

func TestCPUIsCounted(t *testing.T) {
	if threadCPU() == (cpuTime{}) {
		t.Skip("this platform has no clock of a thread")
	}
	e := newEngine(t)
	r := ask(t, e, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500000) SELECT sum(i) FROM n")
	if used := r.Stats.User + r.Stats.System; used <= 0 {
		t.Errorf("half a million steps cost no CPU: %+v", r.Stats)
	}
}

// TestCancelAtAnyTime stops statements wherever they happen to be: each ends
// with its rows or with the reason, and nothing is left behind.
func TestCancelAtAnyTime(t *testing.T) {
	var yielded atomic.Int64
	e := newEngine(t, forever(&yielded), listing("people", people(3000), nil))
	statements := []string{
		"SELECT count(*) FROM forever",
		"SELECT a.n FROM forever a JOIN people p ON p.id = a.n % 50",
		"SELECT p.name, q.motto FROM people p JOIN people q ON q.boss = p.id",
		"SELECT * FROM people ORDER BY name DESC",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT regex_match(i, '[0-9]', 0) FROM n",
		"SELECT p.name FROM sqlite_temp_master, people p",
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for i := range 40 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i*worker)*50*time.Microsecond)
				rows, err := e.Query(ctx, nil, Request{SQL: statements[(i+worker)%len(statements)], Classes: AllClasses(), Deadline: 20 * time.Millisecond})
				if err == nil {
					n := 0
					for _, rowErr := range rows.All() {
						if err = rowErr; err != nil {
							break
						}
						if n++; i%3 == 0 && n > 100 {
							break
						}
					}
				}
				if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
					t.Errorf("%s: %v", statements[(i+worker)%len(statements)], err)
				}
				cancel()
			}
		})
	}
	group.Wait()
	for until := time.Now().Add(10 * time.Second); e.Stuck() != 0; {
		if time.Now().After(until) {
			t.Fatalf("%d statements are left behind", e.Stuck())
		}
		time.Sleep(time.Millisecond)
	}
}
