package sqlite

import (
	"context"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
)

// topN is how many of the most frequent things are listed.
const topN = 10

// Trends implements store.Upkeep.
func (d *DB) Trends(ctx context.Context, sc store.Scope, from time.Time, bucket time.Duration, buckets int) (store.Trends, error) {
	out := store.Trends{Buckets: make([]map[string]int64, buckets)}
	for i := range out.Buckets {
		out.Buckets[i] = map[string]int64{}
	}
	cond, args := inScope(sc, "a.tenant", "a.host")
	start := ns(from)
	cond += " AND a.first_seen >= ? AND a.first_seen < ?"
	args = append(args, start, start+int64(bucket)*int64(buckets))
	rows, err := d.read.QueryContext(ctx, "SELECT (a.first_seen - ?) / ?, a.severity, count(*) FROM alerts a WHERE "+cond+" GROUP BY 1, 2",
		append([]any{start, int64(bucket)}, args...)...)
	if err != nil {
		return out, wrap("count alerts over time", err)
	}
	defer rows.Close()
	for rows.Next() {
		var i, n int64
		var severity string
		if err := rows.Scan(&i, &severity, &n); err != nil {
			return out, wrap("count alerts over time", err)
		}
		if i >= 0 && i < int64(buckets) {
			out.Buckets[i][severity] = n
		}
	}
	if err := rows.Err(); err != nil {
		return out, wrap("count alerts over time", err)
	}
	for _, part := range []struct {
		into *[]store.Count
		q    string
	}{
		{&out.Techniques, "SELECT t.value, t.value, count(*) FROM alerts a, json_each(a.attack) t WHERE "},
		{&out.Rules, "SELECT a.rule, max(a.rule_name), count(*) FROM alerts a WHERE "},
		{&out.Hosts, "SELECT a.host, coalesce((SELECT hostname FROM hosts h WHERE h.id = a.host), ''), count(*) FROM alerts a WHERE "},
	} {
		if *part.into, err = d.counts(ctx, part.q+cond+" GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT ?", append(args[:len(args):len(args)], topN)...); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (d *DB) counts(ctx context.Context, q string, args ...any) ([]store.Count, error) {
	rows, err := d.read.QueryContext(ctx, q, args...)
	if err != nil {
		return nil, wrap("count alerts", err)
	}
	defer rows.Close()
	var out []store.Count
	for rows.Next() {
		var c store.Count
		if err := rows.Scan(&c.ID, &c.Name, &c.Count); err != nil {
			return nil, wrap("count alerts", err)
		}
		out = append(out, c)
	}
	return out, wrap("count alerts", rows.Err())
}

// unsent is the condition that a batch is in the journal and some sink has
// not passed it; a result whose rows went before it is sent would be missed.
const unsent = `EXISTS (SELECT 1 FROM export_journal j JOIN export_cursors c ON c.tenant = j.tenant
	WHERE j.batch = b.id AND j.batch > 0 AND (j.seq > c.seq OR j.seq = c.seq AND c.last < ?))`

// PruneResults implements store.Upkeep. Its limit counts batches.
func (d *DB) PruneResults(ctx context.Context, sc store.Scope, p store.Pruning) (store.Pruned, error) {
	var out store.Pruned
	err := d.write.do(ctx, func(t *tx) error {
		out = store.Pruned{}
		if _, err := t.get("SELECT count(*) FROM result_batches b WHERE b.tenant = ? AND b.time < ? AND b.time >= ? AND "+unsent,
			[]any{sc.Tenant, ns(p.Before), ns(p.UnsentBefore), lastRow}, &out.HeldBack); err != nil {
			return err
		}
		// The rows of the batches first, then the batches that have none left.
		const old = `SELECT b.id FROM result_batches b WHERE b.tenant = ? AND b.time < ? AND (b.time < ? OR NOT ` + unsent + `) ORDER BY b.time LIMIT ?`
		args := []any{sc.Tenant, ns(p.Before), ns(p.UnsentBefore), lastRow, p.Limit}
		if err := t.exec(`DELETE FROM event_marks WHERE tenant = ? AND kind = 'result' AND id IN (SELECT id FROM results WHERE batch IN (`+old+`))`,
			append([]any{sc.Tenant}, args...)...); err != nil {
			return err
		}
		var err error
		if out.Deleted, err = t.changed("DELETE FROM results WHERE batch IN ("+old+")", args...); err != nil {
			return err
		}
		batches, err := t.changed("DELETE FROM result_batches WHERE id IN ("+old+")", args...)
		out.More = batches >= int64(p.Limit)
		return err
	})
	return out, wrap("delete old results", err)
}

// PruneHits implements store.Upkeep. What flows out has a hit's text of its own.
func (d *DB) PruneHits(ctx context.Context, sc store.Scope, p store.Pruning) (store.Pruned, error) {
	var out store.Pruned
	err := d.write.do(ctx, func(t *tx) error {
		out = store.Pruned{}
		const old = "SELECT id FROM alert_hits WHERE tenant = ? AND time < ? ORDER BY time LIMIT ?"
		args := []any{sc.Tenant, ns(p.Before), p.Limit}
		if err := t.exec("DELETE FROM event_marks WHERE tenant = ? AND kind = 'hit' AND id IN ("+old+")", append([]any{sc.Tenant}, args...)...); err != nil {
			return err
		}
		var err error
		out.Deleted, err = t.changed("DELETE FROM alert_hits WHERE id IN ("+old+")", args...)
		out.More = out.Deleted >= int64(p.Limit)
		return err
	})
	return out, wrap("delete old hits", err)
}

// PruneAlerts implements store.Upkeep.
func (d *DB) PruneAlerts(ctx context.Context, sc store.Scope, p store.Pruning) (store.Pruned, error) {
	var out store.Pruned
	err := d.write.do(ctx, func(t *tx) error {
		out = store.Pruned{}
		rows, err := t.query("SELECT id FROM alerts WHERE tenant = ? AND status = 'closed' AND last_seen < ? ORDER BY last_seen LIMIT ?", sc.Tenant, ns(p.Before), p.Limit)
		if err != nil {
			return err
		}
		var ids []int64
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				_ = rows.Close()
				return err
			}
			ids = append(ids, id)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if err := rows.Close(); err != nil {
			return err
		}
		all := list(ids)
		for _, q := range []string{
			"DELETE FROM event_marks WHERE kind = 'hit' AND id IN (SELECT e.id FROM alert_hits e JOIN json_each(?) v ON e.alert = v.value)",
			"DELETE FROM alert_hits WHERE alert IN (SELECT value FROM json_each(?))",
			"DELETE FROM alert_notes WHERE alert IN (SELECT value FROM json_each(?))",
			"DELETE FROM hits WHERE alert IN (SELECT value FROM json_each(?))",
			"DELETE FROM alerts WHERE id IN (SELECT value FROM json_each(?))",
		} {
			if out.Deleted, err = t.changed(q, all); err != nil {
				return err
			}
		}
		out.More = out.Deleted >= int64(p.Limit)
		return nil
	})
	return out, wrap("delete old alerts", err)
}

// PruneQueries implements store.Upkeep.
func (d *DB) PruneQueries(ctx context.Context, sc store.Scope, p store.Pruning) (store.Pruned, error) {
	var out store.Pruned
	err := d.write.do(ctx, func(t *tx) error {
		out = store.Pruned{}
		const old = "SELECT id FROM queries WHERE tenant = ? AND done AND created_at < ? ORDER BY created_at LIMIT ?"
		args := []any{sc.Tenant, ns(p.Before), p.Limit}
		for _, q := range []string{"DELETE FROM query_parts WHERE query IN (" + old + ")", "DELETE FROM query_hosts WHERE query IN (" + old + ")",
			"DELETE FROM queries WHERE id IN (" + old + ")"} {
			var err error
			if out.Deleted, err = t.changed(q, args...); err != nil {
				return err
			}
		}
		out.More = out.Deleted >= int64(p.Limit)
		return nil
	})
	return out, wrap("delete old live queries", err)
}

// ConfigSerial implements store.Upkeep.
func (d *DB) ConfigSerial(ctx context.Context, sc store.Scope, hash string) (uint64, error) {
	var serial int64
	err := d.write.do(ctx, func(t *tx) error {
		found, err := t.get("SELECT serial FROM config_serials WHERE tenant = ? AND hash = ?", []any{sc.Tenant, hash}, &serial)
		if err != nil || found {
			return err
		}
		// Servers before this one kept their only serial among the settings.
		if _, err := t.get(`SELECT 1 + max(coalesce((SELECT max(serial) FROM config_serials WHERE tenant = ?), 0),
			coalesce((SELECT CAST(value AS INTEGER) FROM settings WHERE tenant = ? AND key = 'config_serial'), 0))`, []any{sc.Tenant, sc.Tenant}, &serial); err != nil {
			return err
		}
		if err := t.exec("INSERT INTO config_serials (tenant, hash, serial) VALUES (?,?,?)", sc.Tenant, hash, serial); err != nil {
			return err
		}
		return t.exec("DELETE FROM config_serials WHERE tenant = ? AND serial < ?", sc.Tenant, serial-keptSerials)
	})
	return uint64(serial), wrap("number a configuration", err)
}

// keptSerials is how many configurations are remembered.
const keptSerials = 10000
