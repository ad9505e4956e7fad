package sqlite

import (
	"context"

	"github.com/aiedr/edr/fleetsrv/store"
)

// AddAudit implements store.Audit.
func (d *DB) AddAudit(ctx context.Context, sc store.Scope, e store.AuditEntry) error {
	return wrap("write the audit log", d.write.do(ctx, func(t *tx) error {
		return t.exec("INSERT INTO audit (tenant, time, user, address, action, object, detail) VALUES (?,?,?,?,?,?,?)",
			sc.Tenant, ns(e.Time), e.User, e.Address, e.Action, e.Object, e.Detail)
	}))
}

// ListAudit implements store.Audit.
func (d *DB) ListAudit(ctx context.Context, sc store.Scope, before int64, limit int) ([]store.AuditEntry, error) {
	rows, err := d.read.QueryContext(ctx, `SELECT id, time, user, address, action, object, detail FROM audit
		WHERE tenant = ? AND (? = 0 OR id < ?) ORDER BY id DESC LIMIT ?`, sc.Tenant, before, before, limit)
	if err != nil {
		return nil, wrap("read the audit log", err)
	}
	defer rows.Close()
	var out []store.AuditEntry
	for rows.Next() {
		var e store.AuditEntry
		var at int64
		if err := rows.Scan(&e.ID, &at, &e.User, &e.Address, &e.Action, &e.Object, &e.Detail); err != nil {
			return nil, wrap("read the audit log", err)
		}
		e.Time = when(at)
		out = append(out, e)
	}
	return out, wrap("read the audit log", rows.Err())
}
