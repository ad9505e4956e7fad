package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/store/sqlite"
)

// openStore opens the database of a command.
func (e *env) openStore(ctx context.Context, s *settings) (*sqlite.DB, *slog.Logger, error) {
	log := newLog(e.stderr, s.Debug)
	if !s.Debug {
		log = newLog(e.stderr, false)
	}
	db, err := sqlite.Open(ctx, s.DB)
	if err != nil {
		return nil, nil, err
	}
	return db, log, nil
}

// audit writes what was done at the command line into the audit log.
func audit(ctx context.Context, db store.Store, action, object, detail string) error {
	return db.AddAudit(ctx, store.Everything(), store.AuditEntry{Time: time.Now(), User: "edr-server", Address: "local", Action: action, Object: object, Detail: detail})
}
