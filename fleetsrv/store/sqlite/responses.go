package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
)

// AddResponse implements store.Responses.
func (d *DB) AddResponse(ctx context.Context, sc store.Scope, r store.Response) error {
	cond, args := inScope(sc, "tenant", "id")
	return wrap("add a response for host "+r.Host, d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed(`INSERT INTO responses (id, tenant, host, action, args, by_user, reason, dry_run, alert, created_at, expires_at, state)
			SELECT ?, tenant, id, ?, ?, ?, ?, ?, ?, ?, ?, 'pending' FROM hosts WHERE id = ? AND state = 'admitted' AND `+cond,
			append([]any{r.ID, r.Action, string(r.Args), r.By, r.Reason, r.DryRun, r.Alert, ns(r.CreatedAt), ns(r.ExpiresAt), r.Host}, args...)...))
	}))
}

const responseColumns = `r.id, r.host, r.action, r.args, r.by_user, r.reason, r.dry_run, r.alert, r.created_at, r.expires_at, r.state,
	r.plan, r.seen, r.error, r.undo, r.finished_at`

func scanResponse(s scanner) (store.Response, error) {
	var r store.Response
	var args string
	var undo sql.NullString
	var created, expires, finished int64
	err := s.Scan(&r.ID, &r.Host, &r.Action, &args, &r.By, &r.Reason, &r.DryRun, &r.Alert, &created, &expires, &r.State,
		&r.Plan, &r.Seen, &r.Error, &undo, &finished)
	r.Args = []byte(args)
	if undo.Valid {
		r.Undo = []byte(undo.String)
	}
	r.CreatedAt, r.ExpiresAt, r.FinishedAt = when(created), when(expires), when(finished)
	return r, err
}

// Response implements store.Responses.
func (d *DB) Response(ctx context.Context, sc store.Scope, id string) (store.Response, error) {
	cond, args := inScope(sc, "r.tenant", "r.host")
	r, err := scanResponse(d.read.QueryRowContext(ctx, "SELECT "+responseColumns+" FROM responses r WHERE r.id = ? AND "+cond, append([]any{id}, args...)...))
	return r, wrap("read response "+id, err)
}

// ListResponses implements store.Responses.
func (d *DB) ListResponses(ctx context.Context, sc store.Scope, f store.ResponseFilter) ([]store.Response, error) {
	cond, args := inScope(sc, "r.tenant", "r.host")
	if f.Host != "" {
		cond, args = cond+" AND r.host = ?", append(args, f.Host)
	}
	if f.Alert != 0 {
		cond, args = cond+" AND r.alert = ?", append(args, f.Alert)
	}
	if len(f.States) > 0 {
		cond, args = cond+" AND r.state IN ("+marks(len(f.States))+")", append(args, anys(f.States)...)
	}
	rows, err := d.read.QueryContext(ctx, "SELECT "+responseColumns+" FROM responses r WHERE "+cond+" ORDER BY r.created_at DESC, r.id LIMIT ?", append(args, f.Limit)...)
	if err != nil {
		return nil, wrap("list responses", err)
	}
	defer rows.Close()
	var out []store.Response
	for rows.Next() {
		r, err := scanResponse(rows)
		if err != nil {
			return nil, wrap("list responses", err)
		}
		out = append(out, r)
	}
	return out, wrap("list responses", rows.Err())
}

// SetResponseState implements store.Responses.
func (d *DB) SetResponseState(ctx context.Context, sc store.Scope, id, to string, from ...string) error {
	cond, args := inScope(sc, "tenant", "host")
	return wrap("move response "+id+" to "+to, d.write.do(ctx, func(t *tx) error {
		n, err := t.changed("UPDATE responses SET state = ? WHERE id = ? AND state IN ("+marks(len(from))+") AND "+cond,
			append(append([]any{to, id}, anys(from)...), args...)...)
		if err == nil && n == 0 {
			err = store.ErrConflict
		}
		return err
	}))
}

// ExpireResponses implements store.Responses.
func (d *DB) ExpireResponses(ctx context.Context, sc store.Scope, now time.Time) ([]store.Response, error) {
	var out []store.Response
	err := d.write.do(ctx, func(t *tx) error {
		out = nil
		rows, err := t.query(`UPDATE responses AS r SET state = 'expired', finished_at = ?, error = CASE state
			WHEN 'pending' THEN 'the host did not come before the response expired; nothing was done'
			ELSE 'the host was sent the response and did not say what came of it' END
			WHERE state IN ('pending','sent') AND expires_at <= ? AND tenant = ? RETURNING `+
			`id, host, action, args, by_user, reason, dry_run, alert, created_at, expires_at, state, plan, seen, error, undo, finished_at`,
			ns(now), ns(now), sc.Tenant)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scanResponse(rows)
			if err != nil {
				return err
			}
			out = append(out, r)
		}
		return rows.Err()
	})
	return out, wrap("expire responses", err)
}

// FailedResponses implements store.Responses.
func (d *DB) FailedResponses(ctx context.Context, sc store.Scope, since time.Time) (int, error) {
	cond, args := inScope(sc, "r.tenant", "r.host")
	var n int
	err := d.read.QueryRowContext(ctx, "SELECT count(*) FROM responses r WHERE r.state IN ('failed','refused','expired') AND r.created_at >= ? AND "+cond,
		append([]any{ns(since)}, args...)...).Scan(&n)
	return n, wrap("count failed responses", err)
}
