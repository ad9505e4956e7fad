// Package sqlite keeps the server's state in one SQLite file: one writer that
// gathers what waits into one transaction, and a pool of readers beside it.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/mattn/go-sqlite3" // the driver
	"github.com/pressly/goose/v3"

	"github.com/aiedr/edr/fleetsrv/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// DB is a store.Store in an SQLite file.
type DB struct {
	write *writer
	wdb   *sql.DB
	read  *sql.DB
}

var _ store.Store = (*DB)(nil)

// pragmas hold for every connection. FULL, because what was acknowledged to
// an agent is no longer in its outbox: a power cut must not lose it here.
const pragmas = "_journal_mode=WAL&_synchronous=FULL&_busy_timeout=10000&_foreign_keys=1&_cache_size=-16000"

// Open opens the file, makes it where there is none, and brings its tables to
// this version.
func Open(ctx context.Context, path string) (*DB, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("open database %s: it is a folder; -db takes a file", path)
	}
	// Made here, so that it is private from its first byte.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		var perr *fs.PathError
		if errors.As(err, &perr) {
			err = perr.Err
		}
		return nil, fmt.Errorf("open database %s: %w; check that the folder %s exists and is writable", path, err, filepath.Dir(path))
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	uri := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}).String()
	wdb, err := sql.Open("sqlite3", uri+"?"+pragmas+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	wdb.SetMaxOpenConns(1)
	if err := migrate(ctx, wdb); err != nil {
		_ = wdb.Close()
		if strings.Contains(err.Error(), "not a database") || strings.Contains(err.Error(), "malformed") {
			return nil, fmt.Errorf("open database %s: the file is damaged or is no SQLite database; move it aside and start again, or restore a copy", path)
		}
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	read, err := sql.Open("sqlite3", uri+"?"+pragmas+"&_query_only=1")
	if err != nil {
		_ = wdb.Close()
		return nil, fmt.Errorf("open database %s for reading: %w", path, err)
	}
	read.SetMaxOpenConns(8)
	read.SetMaxIdleConns(8)
	w, err := newWriter(ctx, wdb)
	if err != nil {
		_ = wdb.Close()
		_ = read.Close()
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return &DB{write: w, wdb: wdb, read: read}, nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithVerbose(false))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read its version: %w", err)
	}
	if current > target {
		return fmt.Errorf("its tables have version %d, this server knows up to %d: start a server at least as new as the one that wrote it", current, target)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring its tables to version %d: %w", target, err)
	}
	return nil
}

// Ping implements store.Store.
func (d *DB) Ping(ctx context.Context) error {
	var one int
	if err := d.read.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("ask the database: %w", err)
	}
	return nil
}

// Close ends the writer after what waits, and closes the file.
func (d *DB) Close() error {
	return errors.Join(d.write.close(), d.read.Close(), d.wdb.Close())
}
