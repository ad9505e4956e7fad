package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// Enrol implements store.Hosts.
func (d *DB) Enrol(ctx context.Context, sc store.Scope, tokenHash []byte, h store.Host, now time.Time) (store.Host, bool, error) {
	var added bool
	var kept store.Host
	err := d.write.do(ctx, func(t *tx) error {
		added = false
		found, err := t.hostByKey(sc, h.Fingerprint, &kept)
		if err != nil {
			return err
		}
		if found && (kept.State != store.HostPending || len(tokenHash) == 0) {
			return nil
		}
		token, err := t.useToken(sc, tokenHash, now)
		if err != nil {
			return err
		}
		added = true
		state := store.HostAdmitted
		if token == "" {
			state = store.HostPending
		}
		if found {
			kept.State, kept.Enrolment = state, token
			return t.exec("UPDATE hosts SET state = ?, enrolment = ? WHERE id = ?", state, token, kept.ID)
		}
		h.State, h.Enrolment = state, token
		kept = h
		if err := t.exec(`INSERT INTO hosts (id, tenant, state, hostname, uuid, details, address, public_key,
			fingerprint, enrolment, enrolled_at, last_seen, labels) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`,
			h.ID, sc.Tenant, h.State, h.Details.Hostname, h.Details.UUID, js(h.Details), h.Address, nonNil(h.PublicKey),
			h.Fingerprint, h.Enrolment, ns(h.EnrolledAt), ns(h.LastSeen), list(h.Labels)); err != nil {
			return err
		}
		for _, g := range h.Groups {
			if err := t.exec("INSERT OR IGNORE INTO host_groups (host, grp) VALUES (?,?)", h.ID, g); err != nil {
				return err
			}
		}
		return nil
	})
	return kept, added, wrap("enrol a host", err)
}

// useToken takes one use of an enrol token and answers its id; empty without one.
func (t *tx) useToken(sc store.Scope, hash []byte, now time.Time) (string, error) {
	if len(hash) == 0 {
		return "", nil
	}
	var id string
	found, err := t.get(`UPDATE enrolments SET used = used + 1 WHERE hash = ? AND tenant = ? AND expires_at > ?
		AND (uses = 0 OR used < uses) RETURNING id`, []any{hash, sc.Tenant, ns(now)}, &id)
	if err == nil && !found {
		err = store.ErrNotFound
	}
	return id, err
}

func (t *tx) hostByKey(sc store.Scope, fingerprint string, into *store.Host) (bool, error) {
	s, err := t.stmt("SELECT " + hostColumns + " FROM hosts h WHERE h.fingerprint = ? AND h.tenant = ?")
	if err != nil {
		return false, err
	}
	h, err := scanHost(s.QueryRowContext(context.Background(), fingerprint, sc.Tenant))
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	*into = h
	return err == nil, err
}

// HostByKey implements store.Hosts.
func (d *DB) HostByKey(ctx context.Context, sc store.Scope, fingerprint string) (store.Host, error) {
	cond, args := inScope(sc, "h.tenant", "h.id")
	h, err := scanHost(d.read.QueryRowContext(ctx,
		"SELECT "+hostColumns+" FROM hosts h WHERE h.fingerprint = ? AND "+cond, append([]any{fingerprint}, args...)...))
	return h, wrap("read the host of key "+fingerprint, err)
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

const hostColumns = `h.id, h.state, h.details, h.address, h.public_key, h.fingerprint, h.enrolment,
	h.enrolled_at, h.last_seen, h.labels, h.health,
	(SELECT count(*) FROM alerts a WHERE a.host = h.id AND a.status = 'open'),
	(SELECT json_group_array(grp) FROM host_groups g WHERE g.host = h.id)`

func scanHost(s scanner) (store.Host, error) {
	var h store.Host
	var details, labels, groups string
	var health sql.NullString
	var enrolled, seen int64
	if err := s.Scan(&h.ID, &h.State, &details, &h.Address, &h.PublicKey, &h.Fingerprint, &h.Enrolment,
		&enrolled, &seen, &labels, &health, &h.OpenAlerts, &groups); err != nil {
		return h, err
	}
	h.EnrolledAt, h.LastSeen = when(enrolled), when(seen)
	if err := unjs("details of a host", details, &h.Details); err != nil {
		return h, err
	}
	if err := unjs("labels of a host", labels, &h.Labels); err != nil {
		return h, err
	}
	if err := unjs("groups of a host", groups, &h.Groups); err != nil {
		return h, err
	}
	return h, unjs("health of a host", health.String, &h.Health)
}

// Host implements store.Hosts.
func (d *DB) Host(ctx context.Context, sc store.Scope, id string) (store.Host, error) {
	cond, args := inScope(sc, "h.tenant", "h.id")
	h, err := scanHost(d.read.QueryRowContext(ctx,
		"SELECT "+hostColumns+" FROM hosts h WHERE h.id = ? AND h.state <> 'removed' AND "+cond, append([]any{id}, args...)...))
	return h, wrap("read host "+id, err)
}

// ListHosts implements store.Hosts.
func (d *DB) ListHosts(ctx context.Context, sc store.Scope, f store.HostFilter) (store.HostList, error) {
	var out store.HostList
	cond, args := inScope(sc, "h.tenant", "h.id")
	cond += " AND h.state <> 'removed'"
	if f.Text != "" {
		cond += ` AND (h.hostname LIKE ? ESCAPE '\' OR h.id LIKE ? ESCAPE '\' OR h.address LIKE ? ESCAPE '\' OR json_extract(h.details, '$.os') LIKE ? ESCAPE '\')`
		p := like(f.Text)
		args = append(args, p, p, p, p)
	}
	if f.Group != "" && f.Group != store.GroupAll {
		cond, args = cond+" AND h.id IN (SELECT host FROM host_groups WHERE grp = ?)", append(args, f.Group)
	}
	if f.Label != "" {
		cond, args = cond+" AND EXISTS (SELECT 1 FROM json_each(h.labels) WHERE value = ?)", append(args, f.Label)
	}
	online := ns(f.Online)
	err := d.read.QueryRowContext(ctx, `SELECT coalesce(sum(state = 'admitted' AND last_seen >= ?),0), coalesce(sum(state = 'admitted' AND last_seen < ?),0),
		coalesce(sum(state = 'pending'),0) FROM hosts h WHERE `+cond, append([]any{online, online}, args...)...).
		Scan(&out.Online, &out.Offline, &out.Waiting)
	if err != nil {
		return out, wrap("count hosts", err)
	}
	out.Total = out.Online + out.Offline + out.Waiting
	switch f.Status {
	case "":
	case "online":
		out.Total, cond, args = out.Online, cond+" AND h.state = 'admitted' AND h.last_seen >= ?", append(args, online)
	case "offline":
		out.Total, cond, args = out.Offline, cond+" AND h.state = 'admitted' AND h.last_seen < ?", append(args, online)
	case "pending":
		out.Total, cond = out.Waiting, cond+" AND h.state = 'pending'"
	default:
		return out, fmt.Errorf("list hosts: there is no status %q; it is online, offline or pending", f.Status)
	}
	rows, err := d.read.QueryContext(ctx, "SELECT "+hostColumns+" FROM hosts h WHERE "+cond+
		" ORDER BY h.hostname, h.id LIMIT ? OFFSET ?", append(args, f.Limit, f.Offset)...)
	if err != nil {
		return out, wrap("list hosts", err)
	}
	defer rows.Close()
	for rows.Next() {
		h, err := scanHost(rows)
		if err != nil {
			return out, wrap("list hosts", err)
		}
		out.Hosts = append(out.Hosts, h)
	}
	return out, wrap("list hosts", rows.Err())
}

// HostIDs implements store.Hosts.
func (d *DB) HostIDs(ctx context.Context, sc store.Scope) ([]string, error) {
	cond, args := inScope(sc, "h.tenant", "h.id")
	return d.texts(ctx, "list the ids of hosts", "SELECT h.id FROM hosts h WHERE h.state = 'admitted' AND "+cond+" ORDER BY h.id", args...)
}

func (d *DB) texts(ctx context.Context, what, q string, args ...any) ([]string, error) {
	rows, err := d.read.QueryContext(ctx, q, args...)
	if err != nil {
		return nil, wrap(what, err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, wrap(what, err)
		}
		out = append(out, s)
	}
	return out, wrap(what, rows.Err())
}

// mustChange turns a change of no row into ErrNotFound.
func mustChange(n int64, err error) error {
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}

// SetDetails implements store.Hosts.
func (d *DB) SetDetails(ctx context.Context, sc store.Scope, id string, det wire.HostDetails) error {
	cond, args := inScope(sc, "tenant", "id")
	return wrap("keep details of host "+id, d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed("UPDATE hosts SET hostname = ?, uuid = ?, details = ? WHERE id = ? AND "+cond,
			append([]any{det.Hostname, det.UUID, js(det), id}, args...)...))
	}))
}

// AdmitHost implements store.Hosts.
func (d *DB) AdmitHost(ctx context.Context, sc store.Scope, id string) error {
	cond, args := inScope(sc, "tenant", "id")
	return wrap("admit host "+id, d.write.do(ctx, func(t *tx) error {
		var state string
		found, err := t.get("SELECT state FROM hosts WHERE id = ? AND state <> 'removed' AND "+cond, append([]any{id}, args...), &state)
		switch {
		case err != nil:
			return err
		case !found:
			return store.ErrNotFound
		case state != store.HostPending:
			return store.ErrConflict
		}
		return t.exec("UPDATE hosts SET state = 'admitted' WHERE id = ?", id)
	}))
}

// RemoveHost implements store.Hosts.
func (d *DB) RemoveHost(ctx context.Context, sc store.Scope, id string) error {
	cond, args := inScope(sc, "tenant", "id")
	return wrap("remove host "+id, d.write.do(ctx, func(t *tx) error {
		if err := mustChange(t.changed("UPDATE hosts SET state = 'removed', health = NULL WHERE id = ? AND state <> 'removed' AND "+cond,
			append([]any{id}, args...)...)); err != nil {
			return err
		}
		if err := t.exec("DELETE FROM problems WHERE host = ?", id); err != nil {
			return err
		}
		return t.exec("UPDATE responses SET state = 'expired', error = 'the host was removed' WHERE host = ? AND state IN ('pending','sent')", id)
	}))
}

// SeeHosts implements store.Hosts.
func (d *DB) SeeHosts(ctx context.Context, sc store.Scope, seen map[string]store.Sighting) error {
	if len(seen) == 0 {
		return nil
	}
	return wrap("keep when hosts were seen", d.write.do(ctx, func(t *tx) error {
		for id, s := range seen {
			if err := t.exec("UPDATE hosts SET last_seen = max(last_seen, ?), address = CASE WHEN ? = '' THEN address ELSE ? END WHERE id = ? AND tenant = ?",
				ns(s.Time), s.Address, s.Address, id, sc.Tenant); err != nil {
				return err
			}
		}
		return nil
	}))
}

// NextSerials implements store.Hosts.
func (d *DB) NextSerials(ctx context.Context, sc store.Scope, id string, n int) (uint64, error) {
	var last int64
	err := d.write.do(ctx, func(t *tx) error {
		found, err := t.get("UPDATE hosts SET serial = serial + ? WHERE id = ? AND tenant = ? RETURNING serial", []any{n, id, sc.Tenant}, &last)
		if err == nil && !found {
			err = store.ErrNotFound
		}
		return err
	})
	return uint64(last) - uint64(n) + 1, wrap("take serials for host "+id, err)
}

const keptProblems = 200

// AddProblem implements store.Hosts.
func (d *DB) AddProblem(ctx context.Context, sc store.Scope, id string, p wire.Problem) error {
	return wrap("keep a problem of host "+id, d.write.do(ctx, func(t *tx) error { return addProblem(t, id, p) }))
}

func addProblem(t *tx, id string, p wire.Problem) error {
	if p.Count < 1 {
		p.Count = 1
	}
	if p.Time.IsZero() {
		p.Time = time.Now()
	}
	if err := t.exec(`INSERT INTO problems (host, source, error, count, time) VALUES (?,?,?,?,?)
		ON CONFLICT (host, source, error) DO UPDATE SET count = count + excluded.count, time = max(time, excluded.time)`,
		id, p.Source, p.Error, p.Count, ns(p.Time)); err != nil {
		return err
	}
	// A host that invents texts must not fill the disk.
	return t.exec(`DELETE FROM problems WHERE host = ? AND (source, error) NOT IN
		(SELECT source, error FROM problems WHERE host = ? ORDER BY time DESC LIMIT ?)`, id, id, keptProblems)
}

// Problems implements store.Hosts.
func (d *DB) Problems(ctx context.Context, sc store.Scope, id string, limit int) ([]wire.Problem, error) {
	cond, args := inScope(sc, "h.tenant", "h.id")
	rows, err := d.read.QueryContext(ctx, `SELECT p.time, p.source, p.error, p.count FROM problems p JOIN hosts h ON h.id = p.host
		WHERE p.host = ? AND `+cond+" ORDER BY p.time DESC LIMIT ?", append(append([]any{id}, args...), limit)...)
	if err != nil {
		return nil, wrap("list problems of host "+id, err)
	}
	defer rows.Close()
	var out []wire.Problem
	for rows.Next() {
		var p wire.Problem
		var at int64
		if err := rows.Scan(&at, &p.Source, &p.Error, &p.Count); err != nil {
			return nil, wrap("list problems of host "+id, err)
		}
		p.Time = when(at)
		out = append(out, p)
	}
	return out, wrap("list problems of host "+id, rows.Err())
}
