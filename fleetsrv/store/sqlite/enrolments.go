package sqlite

import (
	"context"

	"github.com/aiedr/edr/fleetsrv/store"
)

// AddEnrolment implements store.Enrolments.
func (d *DB) AddEnrolment(ctx context.Context, sc store.Scope, e store.Enrolment) error {
	return wrap("add an enrol token", d.write.do(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO enrolments (id, tenant, hash, note, by_user, created_at, expires_at, uses) VALUES (?,?,?,?,?,?,?,?)`,
			e.ID, sc.Tenant, e.Hash, e.Note, e.By, ns(e.CreatedAt), ns(e.ExpiresAt), e.Uses)
	}))
}

const enrolmentColumns = "id, note, by_user, created_at, expires_at, uses, used"

func scanEnrolment(s scanner) (store.Enrolment, error) {
	var e store.Enrolment
	var created, expires int64
	err := s.Scan(&e.ID, &e.Note, &e.By, &created, &expires, &e.Uses, &e.Used)
	e.CreatedAt, e.ExpiresAt = when(created), when(expires)
	return e, err
}

// ListEnrolments implements store.Enrolments.
func (d *DB) ListEnrolments(ctx context.Context, sc store.Scope) ([]store.Enrolment, error) {
	rows, err := d.read.QueryContext(ctx, "SELECT "+enrolmentColumns+" FROM enrolments WHERE tenant = ? ORDER BY created_at DESC, id", sc.Tenant)
	if err != nil {
		return nil, wrap("list enrol tokens", err)
	}
	defer rows.Close()
	var out []store.Enrolment
	for rows.Next() {
		e, err := scanEnrolment(rows)
		if err != nil {
			return nil, wrap("list enrol tokens", err)
		}
		out = append(out, e)
	}
	return out, wrap("list enrol tokens", rows.Err())
}

// DeleteEnrolment implements store.Enrolments.
func (d *DB) DeleteEnrolment(ctx context.Context, sc store.Scope, id string) error {
	return wrap("delete enrol token "+id, d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed("DELETE FROM enrolments WHERE id = ? AND tenant = ?", id, sc.Tenant))
	}))
}
