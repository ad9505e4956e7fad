package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver of the bare inserts

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

const (
	insertRows  = 200000
	insertBatch = 500
)

// Inserts prints how many rows of scheduled queries a second the whole server
// keeps, posted sealed in batches of 500 rows by a few hosts, against bare
// inserts of the same rows, 500 a transaction, into an SQLite file with the
// same settings. Clients and server share this process.
func Inserts(w io.Writer) error {
	f, err := newFleet()
	if err != nil {
		return err
	}
	defer f.close()
	bare, err := bareInserts(filepath.Join(f.dir, "bare.db"))
	if err != nil {
		return err
	}
	if err := f.wholeServer(); err != nil {
		return err
	}
	sealed, err := f.sealedInserts()
	if err != nil {
		return err
	}
	one, err := json.Marshal(resultRow(1))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d rows of %d bytes, %d a batch, every commit flushed to disk\n", insertRows, len(one), insertBatch)
	fmt.Fprintf(w, "%-28s %10.0f rows/s\n%-28s %10.0f rows/s  %3.0f %% of bare\n", "bare SQLite inserts", bare, "sealed, through the server", sealed, 100*sealed/bare)
	return nil
}

// bareInserts inserts the rows as JSON text, encoded on the way as the
// agents of the other figure encode theirs.
func bareInserts(path string) (float64, error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal_mode=WAL&_synchronous=FULL")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range []string{
		"CREATE TABLE results (id INTEGER PRIMARY KEY, batch INTEGER NOT NULL, action INTEGER NOT NULL, cells TEXT NOT NULL)",
		"CREATE INDEX results_batch ON results (batch)",
	} {
		if _, err := db.Exec(q); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	for from := 0; from < insertRows; from += insertBatch {
		if err := bareBatch(db, from); err != nil {
			return 0, err
		}
	}
	return insertRows / time.Since(start).Seconds(), nil
}

func bareBatch(db *sql.DB, from int) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing is left after the commit
	insert, err := tx.Prepare("INSERT INTO results (batch, action, cells) VALUES (?,?,?)")
	if err != nil {
		return err
	}
	defer insert.Close()
	for i := from; i < from+insertBatch; i++ {
		cells, err := json.Marshal(resultRow(i))
		if err != nil {
			return err
		}
		if _, err := insert.Exec(from, 0, string(cells)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (f *fleet) sealedInserts() (float64, error) {
	agents, err := f.agents(serverClients)
	if err != nil {
		return 0, err
	}
	ctx := context.Background()
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	start := time.Now()
	for i, agent := range agents {
		all.Go(func() {
			for number := uint64(1); failed.Load() == nil; number++ {
				from := int(next.Add(insertBatch)) - insertBatch
				if from >= insertRows {
					return
				}
				rec, err := resultRecord(fmt.Sprint("outbox", i), number, from)
				if err == nil {
					_, err = agent.Post(ctx, []wire.Record{rec})
				}
				if err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	// What is not there was not inserted.
	kept, err := f.db.ListResults(ctx, store.Everything(), store.ResultFilter{Classes: -1, Limit: insertRows + 1})
	if err != nil {
		return 0, err
	}
	if len(kept) != insertRows {
		return 0, fmt.Errorf("%d rows are kept, not %d", len(kept), insertRows)
	}
	return insertRows / took.Seconds(), nil
}

func resultRecord(outbox string, number uint64, from int) (wire.Record, error) {
	res := wire.Result{Query: "pack_bench_processes", Time: time.Now(), Counter: number,
		Columns: []string{"pid", "name", "path", "cmdline", "uid", "start_time", "cwd", "state"}}
	for i := from; i < from+insertBatch; i++ {
		res.Added = append(res.Added, resultRow(i))
	}
	body, err := json.Marshal(res)
	return wire.Record{Outbox: outbox, Number: number, Kind: wire.KindResult, Time: time.Now(), Body: body}, err
}
