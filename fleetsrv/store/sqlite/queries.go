package sqlite

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/aiedr/edr/fleetsrv/store"
)

// AddQuery implements store.Queries.
func (d *DB) AddQuery(ctx context.Context, sc store.Scope, q store.Query, hosts []store.QueryHost) error {
	return wrap("add query "+q.ID, d.write.do(ctx, func(t *tx) error {
		if err := t.exec(`INSERT INTO queries (id, tenant, statement, by_user, created_at, deadline_at, max_rows, classes, by_classes) VALUES (?,?,?,?,?,?,?,?,?)`,
			q.ID, sc.Tenant, q.SQL, q.By, ns(q.CreatedAt), ns(q.DeadlineAt), q.MaxRows, list(q.Classes), list(q.ByClasses)); err != nil {
			return err
		}
		cond, args := inScope(sc, "tenant", "id")
		for _, h := range hosts {
			if err := mustChange(t.changed("INSERT INTO query_hosts (query, host, state) SELECT ?, id, ? FROM hosts WHERE id = ? AND state = 'admitted' AND "+cond,
				append([]any{q.ID, h.State, h.Host}, args...)...)); err != nil {
				return err
			}
		}
		return nil
	}))
}

// queryScope is that all hosts of a query lie in the scope: its rows mix them.
func queryScope(sc store.Scope) (string, []any) {
	cond, args := inScope(sc, "q.tenant", "qh.host")
	if sc.All() {
		return cond, args
	}
	if len(args) == 0 {
		return "0", nil
	}
	return "q.tenant = ? AND NOT EXISTS (SELECT 1 FROM query_hosts qh WHERE qh.query = q.id AND NOT (" + cond + "))",
		append([]any{sc.Tenant}, args...)
}

const queryColumns = `q.id, q.statement, q.by_user, q.created_at, q.deadline_at, q.max_rows, q.classes, q.by_classes, q.done, q.stopped, q.columns`

func scanQuery(s scanner) (store.Query, error) {
	var q store.Query
	var created, deadline int64
	var classes, by, columns string
	if err := s.Scan(&q.ID, &q.SQL, &q.By, &created, &deadline, &q.MaxRows, &classes, &by, &q.Done, &q.Stopped, &columns); err != nil {
		return q, err
	}
	q.CreatedAt, q.DeadlineAt, q.Counts = when(created), when(deadline), map[string]int{}
	if err := unjs("a query", classes, &q.Classes); err != nil {
		return q, err
	}
	if err := unjs("a query", by, &q.ByClasses); err != nil {
		return q, err
	}
	return q, unjs("a query", columns, &q.Columns)
}

// Query implements store.Queries.
func (d *DB) Query(ctx context.Context, sc store.Scope, id string) (store.Query, error) {
	what := "read query " + id
	cond, args := queryScope(sc)
	q, err := scanQuery(d.read.QueryRowContext(ctx, "SELECT "+queryColumns+" FROM queries q WHERE q.id = ? AND "+cond, append([]any{id}, args...)...))
	if err != nil {
		return q, wrap(what, err)
	}
	rows, err := d.read.QueryContext(ctx, `SELECT qh.host, coalesce(h.hostname, ''), qh.state, qh.rows, qh.error, qh.warnings, qh.truncated, qh.wall_ns, qh.cpu_ns
		FROM query_hosts qh LEFT JOIN hosts h ON h.id = qh.host WHERE qh.query = ? ORDER BY 2, 1`, id)
	if err != nil {
		return q, wrap(what, err)
	}
	defer rows.Close()
	q.Hosts = []store.QueryHost{}
	for rows.Next() {
		qh, err := scanQueryHost(rows)
		if err != nil {
			return q, wrap(what, err)
		}
		q.Hosts = append(q.Hosts, qh)
		q.Rows += qh.Rows
		q.Counts[qh.State]++
	}
	return q, wrap(what, rows.Err())
}

func scanQueryHost(s scanner) (store.QueryHost, error) {
	var h store.QueryHost
	var warnings string
	if err := s.Scan(&h.Host, &h.Hostname, &h.State, &h.Rows, &h.Error, &warnings, &h.Truncated, &h.WallNS, &h.CPUNS); err != nil {
		return h, err
	}
	return h, unjs("warnings of a query", warnings, &h.Warnings)
}

// ListQueries implements store.Queries.
func (d *DB) ListQueries(ctx context.Context, sc store.Scope, limit int) ([]store.Query, error) {
	return d.queries(ctx, sc, "", limit)
}

// OpenQueries implements store.Queries.
func (d *DB) OpenQueries(ctx context.Context, sc store.Scope) ([]store.Query, error) {
	return d.queries(ctx, sc, "NOT q.done AND ", -1)
}

func (d *DB) queries(ctx context.Context, sc store.Scope, extra string, limit int) ([]store.Query, error) {
	cond, args := queryScope(sc)
	rows, err := d.read.QueryContext(ctx, "SELECT "+queryColumns+" FROM queries q WHERE "+extra+cond+" ORDER BY q.created_at DESC, q.id LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, wrap("list queries", err)
	}
	defer rows.Close()
	var out []store.Query
	for rows.Next() {
		q, err := scanQuery(rows)
		if err != nil {
			return nil, wrap("list queries", err)
		}
		out = append(out, q)
	}
	if err := rows.Err(); err != nil {
		return nil, wrap("list queries", err)
	}
	for i := range out {
		if err := d.countQuery(ctx, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (d *DB) countQuery(ctx context.Context, q *store.Query) error {
	rows, err := d.read.QueryContext(ctx, "SELECT state, count(*), sum(rows) FROM query_hosts WHERE query = ? GROUP BY state", q.ID)
	if err != nil {
		return wrap("count the hosts of a query", err)
	}
	defer rows.Close()
	for rows.Next() {
		var state string
		var n int
		var r int64
		if err := rows.Scan(&state, &n, &r); err != nil {
			return wrap("count the hosts of a query", err)
		}
		q.Counts[state] = n
		q.Rows += r
	}
	return wrap("count the hosts of a query", rows.Err())
}

// EndQuery implements store.Queries.
func (d *DB) EndQuery(ctx context.Context, sc store.Scope, id string, stopped bool) error {
	return wrap("end query "+id, d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed("UPDATE queries SET done = 1, stopped = max(stopped, ?) WHERE id = ? AND tenant = ?", stopped, id, sc.Tenant))
	}))
}

// MoveQueryHosts implements store.Queries.
func (d *DB) MoveQueryHosts(ctx context.Context, sc store.Scope, id string, hosts []string, to string, from ...string) ([]string, error) {
	var moved []string
	err := d.write.do(ctx, func(t *tx) error {
		moved = nil
		if len(hosts) == 0 {
			return t.moveQueryHosts(&moved, "UPDATE query_hosts SET state = ? WHERE query = ? AND state IN ("+marks(len(from))+") RETURNING host",
				append([]any{to, id}, anys(from)...)...)
		}
		for _, h := range hosts {
			if err := t.moveQueryHosts(&moved, "UPDATE query_hosts SET state = ? WHERE query = ? AND host = ? AND state IN ("+marks(len(from))+
				") AND EXISTS (SELECT 1 FROM queries q WHERE q.id = query AND NOT q.done) RETURNING host",
				append([]any{to, id, h}, anys(from)...)...); err != nil {
				return err
			}
		}
		return nil
	})
	return moved, wrap("move the hosts of query "+id, err)
}

func (t *tx) moveQueryHosts(moved *[]string, q string, args ...any) error {
	rows, err := t.query(q, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var h string
		if err := rows.Scan(&h); err != nil {
			return err
		}
		*moved = append(*moved, h)
	}
	return rows.Err()
}

// AddAnswer implements store.Queries.
func (d *DB) AddAnswer(ctx context.Context, sc store.Scope, host string, a store.Answer) (part store.QueryPart, qh store.QueryHost, fresh bool, err error) {
	err = d.write.do(ctx, func(t *tx) error {
		part, qh, fresh = store.QueryPart{}, store.QueryHost{}, false
		return t.answer(sc, host, &a, &part, &qh, &fresh)
	})
	return part, qh, fresh, wrap("keep an answer to query "+a.Query, err)
}

func (t *tx) answer(sc store.Scope, host string, a *store.Answer, part *store.QueryPart, qh *store.QueryHost, fresh *bool) error {
	var first int64
	var maxRows int
	var columns string
	found, err := t.get(`SELECT q.next_seq, q.max_rows, q.columns, qh.state, qh.rows, qh.truncated, coalesce(h.hostname, '') FROM queries q
		JOIN query_hosts qh ON qh.query = q.id AND qh.host = ? LEFT JOIN hosts h ON h.id = qh.host
		WHERE q.id = ? AND q.tenant = ? AND NOT q.done`,
		[]any{host, a.Query, sc.Tenant}, &first, &maxRows, &columns, &qh.State, &qh.Rows, &qh.Truncated, &qh.Hostname)
	if err != nil || !found {
		return err
	}
	switch qh.State {
	case store.QueryPending, store.QuerySent, store.QueryOffline:
	default: // the host has said its last word
		return nil
	}
	// The cap is the server's to hold: the host may not.
	if room := maxRows - int(qh.Rows); len(a.Rows) > room {
		a.Rows, a.Truncated = a.Rows[:max(room, 0)], true
	}
	n, err := t.changed("INSERT INTO query_parts (query, first, host, part, n, columns, cells) VALUES (?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
		a.Query, first, host, a.Part, len(a.Rows), list(a.Columns), list(a.Rows))
	if err != nil || n == 0 {
		return err
	}
	*fresh = true
	*part = store.QueryPart{First: first, Host: host, Hostname: qh.Hostname, Columns: a.Columns, Rows: a.Rows}
	var known []string
	if err := unjs("columns of a query", columns, &known); err != nil {
		return err
	}
	for _, c := range a.Columns {
		if !slices.Contains(known, c) {
			known = append(known, c)
		}
	}
	if err := t.exec("UPDATE queries SET next_seq = next_seq + ?, columns = ? WHERE id = ?", len(a.Rows), list(known), a.Query); err != nil {
		return err
	}
	qh.Host, qh.Rows, qh.Truncated = host, qh.Rows+int64(len(a.Rows)), qh.Truncated || a.Truncated
	qh.State = store.QuerySent
	if a.Done {
		qh.Error, qh.Warnings, qh.WallNS, qh.CPUNS = a.Error, a.Warnings, a.WallNS, a.CPUNS
		switch {
		case a.Error != "":
			qh.State = store.QueryError
		case qh.Rows > 0:
			qh.State = store.QueryRows
		default:
			qh.State = store.QueryNone
		}
	}
	return t.exec(`UPDATE query_hosts SET state = ?, rows = ?, error = ?, warnings = ?, truncated = ?, wall_ns = ?, cpu_ns = ? WHERE query = ? AND host = ?`,
		qh.State, qh.Rows, qh.Error, list(qh.Warnings), qh.Truncated, qh.WallNS, qh.CPUNS, a.Query, host)
}

// QueryParts implements store.Queries.
func (d *DB) QueryParts(ctx context.Context, sc store.Scope, id string, after int64, limit int) ([]store.QueryPart, error) {
	what := "read the rows of query " + id
	cond, args := queryScope(sc)
	rows, err := d.read.QueryContext(ctx, `SELECT p.first, p.host, coalesce(h.hostname, ''), p.columns, p.cells FROM query_parts p
		JOIN queries q ON q.id = p.query LEFT JOIN hosts h ON h.id = p.host
		WHERE p.query = ? AND p.n > 0 AND p.first + p.n - 1 > ? AND `+cond+" ORDER BY p.first LIMIT ?", append(append([]any{id, after}, args...), limit)...)
	if err != nil {
		return nil, wrap(what, err)
	}
	defer rows.Close()
	var out []store.QueryPart
	have := 0
	for rows.Next() {
		var p store.QueryPart
		var columns, cells string
		if err := rows.Scan(&p.First, &p.Host, &p.Hostname, &columns, &cells); err != nil {
			return nil, wrap(what, err)
		}
		if err := unjs("columns of an answer", columns, &p.Columns); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(cells), &p.Rows); err != nil {
			return nil, wrap(what, err)
		}
		if skip := after + 1 - p.First; skip > 0 {
			p.Rows, p.First = p.Rows[skip:], p.First+skip
		}
		out = append(out, p)
		if have += len(p.Rows); have >= limit {
			break
		}
	}
	return out, wrap(what, rows.Err())
}
