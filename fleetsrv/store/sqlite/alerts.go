package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// RaiseAlert implements store.Intake.
func (d *DB) RaiseAlert(ctx context.Context, sc store.Scope, host string, h wire.Hit) (int64, error) {
	var ch store.Changes
	err := d.write.do(ctx, func(t *tx) error {
		ch = store.Changes{}
		return t.hit(sc, host, h, &ch)
	})
	if err != nil || len(ch.Alerts) == 0 {
		return 0, wrap("keep an alert for host "+host, err)
	}
	return ch.Alerts[0], nil
}

// hit keeps a hit once: as a new alert, or as a raised count of the alert of
// the same host, rule and entity that is not closed and not long ago.
func (t *tx) hit(sc store.Scope, host string, h wire.Hit, ch *store.Changes) error {
	var id int64
	if found, err := t.get("SELECT alert FROM hits WHERE host = ? AND hit = ?", []any{host, h.ID}, &id); err != nil || found {
		return err
	}
	if h.Count < 1 {
		h.Count = 1
	}
	at := ns(h.Time)
	whole, rule, severity := js(h), h.Rule.ID, h.Severity // as it came
	found, err := t.get(`SELECT id FROM alerts WHERE host = ? AND rule = ? AND entity = ? AND tenant = ? AND status <> 'closed'
		AND last_seen >= ? AND first_seen <= ? ORDER BY last_seen DESC LIMIT 1`,
		[]any{host, h.Rule.ID, h.Entity, sc.Tenant, at - int64(store.AlertWindow), at + int64(store.AlertWindow)}, &id)
	if err != nil {
		return err
	}
	if !found {
		if found, err = t.overQuota(sc, host, &h, &id); err != nil {
			return err
		}
	}
	process := any(nil)
	if h.Process != nil {
		process = js(h.Process)
	}
	if found {
		err = t.exec(`UPDATE alerts SET count = count + ?, first_seen = min(first_seen, ?), last_seen = max(last_seen, ?),
			hit = ?, rule_name = ?, rule_version = ?, severity = ?, title = ?, event = ?, process = ?, ancestry = ?, actions = ? WHERE id = ?`,
			h.Count, at, at, h.ID, h.Rule.Name, h.Rule.Version, string(h.Severity), h.Title, list(h.Event), process, list(h.Ancestry), list(h.Actions), id)
	} else {
		var r sql.Result
		r, err = t.result(`INSERT INTO alerts (tenant, host, hit, rule, rule_name, rule_version, pack, severity, title, description, attack,
			status, count, first_seen, last_seen, event_table, entity, event, process, ancestry, actions)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,'open',?,?,?,?,?,?,?,?,?)`,
			sc.Tenant, host, h.ID, h.Rule.ID, h.Rule.Name, h.Rule.Version, h.Rule.Pack, string(h.Severity), h.Title, h.Description, list(h.Attack),
			h.Count, at, at, h.Table, h.Entity, list(h.Event), process, list(h.Ancestry), list(h.Actions))
		if err == nil {
			id, err = r.LastInsertId()
		}
	}
	if err != nil {
		return err
	}
	ch.Alerts = append(ch.Alerts, id)
	if err := t.exec("INSERT INTO hits (host, hit, alert) VALUES (?,?,?)", host, h.ID, id); err != nil {
		return err
	}
	if err := t.exec("INSERT INTO alert_hits (tenant, host, hit, alert, rule, severity, time, received, body) VALUES (?,?,?,?,?,?,?,?,?)",
		sc.Tenant, host, h.ID, id, rule, string(severity), at, time.Now().UnixNano(), whole); err != nil {
		return err
	}
	return t.journal(sc, host, wire.KindHit, exportKey("hit", host, h.ID), whole, 0)
}

const alertColumns = `a.id, a.host, coalesce(h.hostname, ''), coalesce(h.last_seen, 0), coalesce(h.state, 'removed'), a.hit, a.rule, a.rule_name,
	a.rule_version, a.pack, a.severity, a.title, a.description, a.attack, a.status, a.count, a.first_seen, a.last_seen,
	a.event_table, a.entity, a.event, a.process, a.ancestry, a.actions, a.assignee, a.verdict,
	(SELECT count(*) FROM alert_notes n WHERE n.alert = a.id)`

func scanAlert(s scanner) (store.Alert, error) {
	var a store.Alert
	var hostSeen, first, last int64
	var attack, event, ancestry, actions string
	var process sql.NullString
	if err := s.Scan(&a.ID, &a.Host, &a.Hostname, &hostSeen, &a.HostState, &a.HitID, &a.Rule.ID, &a.Rule.Name,
		&a.Rule.Version, &a.Rule.Pack, &a.Severity, &a.Title, &a.Description, &attack, &a.Status, &a.Count, &first, &last,
		&a.Table, &a.Entity, &event, &process, &ancestry, &actions, &a.Assignee, &a.Verdict, &a.Notes); err != nil {
		return a, err
	}
	a.LastSeenHost, a.FirstSeen, a.LastSeen = when(hostSeen), when(first), when(last)
	for _, part := range []struct {
		text string
		into any
	}{{attack, &a.Attack}, {event, &a.Event}, {process.String, &a.Process}, {ancestry, &a.Ancestry}, {actions, &a.Actions}} {
		if err := unjs("an alert", part.text, part.into); err != nil {
			return a, err
		}
	}
	return a, nil
}

// Alert implements store.Alerts.
func (d *DB) Alert(ctx context.Context, sc store.Scope, id int64) (store.Alert, error) {
	cond, args := inScope(sc, "a.tenant", "a.host")
	a, err := scanAlert(d.read.QueryRowContext(ctx, "SELECT "+alertColumns+
		" FROM alerts a LEFT JOIN hosts h ON h.id = a.host WHERE a.id = ? AND "+cond, append([]any{id}, args...)...))
	return a, wrap(fmt.Sprintf("read alert %d", id), err)
}

// ListAlerts implements store.Alerts.
func (d *DB) ListAlerts(ctx context.Context, sc store.Scope, f store.AlertFilter) (store.AlertList, error) {
	out := store.AlertList{Open: map[string]int{}}
	cond, args := inScope(sc, "a.tenant", "a.host")
	if err := d.countOpen(ctx, cond, args, out.Open); err != nil {
		return out, err
	}
	for _, c := range []struct{ column, value string }{{"a.status", f.Status}, {"a.severity", f.Severity}, {"a.host", f.Host},
		{"a.assignee", f.Assignee}, {"a.rule", f.Rule}} {
		if c.value != "" {
			cond, args = cond+" AND "+c.column+" = ?", append(args, c.value)
		}
	}
	if f.Technique != "" {
		cond, args = cond+" AND EXISTS (SELECT 1 FROM json_each(a.attack) WHERE value = ?)", append(args, f.Technique)
	}
	if f.Group != "" && f.Group != store.GroupAll {
		cond, args = cond+" AND a.host IN (SELECT host FROM host_groups WHERE grp = ?)", append(args, f.Group)
	}
	if !f.From.IsZero() {
		cond, args = cond+" AND a.last_seen >= ?", append(args, ns(f.From))
	}
	if !f.To.IsZero() {
		cond, args = cond+" AND a.last_seen < ?", append(args, ns(f.To))
	}
	if f.Text != "" {
		p := like(f.Text)
		cond += ` AND (a.title LIKE ? ESCAPE '\' OR a.entity LIKE ? ESCAPE '\' OR a.rule_name LIKE ? ESCAPE '\' OR h.hostname LIKE ? ESCAPE '\' OR a.process LIKE ? ESCAPE '\')`
		args = append(args, p, p, p, p, p)
	}
	from := " FROM alerts a LEFT JOIN hosts h ON h.id = a.host WHERE "
	if err := d.read.QueryRowContext(ctx, "SELECT count(*)"+from+cond, args...).Scan(&out.Total); err != nil {
		return out, wrap("count alerts", err)
	}
	if f.Before > 0 {
		cond += " AND (a.last_seen, a.id) < (SELECT last_seen, id FROM alerts WHERE id = ?)"
		args = append(args, f.Before)
	}
	rows, err := d.read.QueryContext(ctx, "SELECT "+alertColumns+from+cond+" ORDER BY a.last_seen DESC, a.id DESC LIMIT ?", append(args, f.Limit)...)
	if err != nil {
		return out, wrap("list alerts", err)
	}
	defer rows.Close()
	for rows.Next() {
		a, err := scanAlert(rows)
		if err != nil {
			return out, wrap("list alerts", err)
		}
		out.Alerts = append(out.Alerts, a)
	}
	return out, wrap("list alerts", rows.Err())
}

func (d *DB) countOpen(ctx context.Context, cond string, args []any, into map[string]int) error {
	rows, err := d.read.QueryContext(ctx, "SELECT a.severity, count(*) FROM alerts a WHERE a.status = 'open' AND "+cond+" GROUP BY 1", args...)
	if err != nil {
		return wrap("count open alerts", err)
	}
	defer rows.Close()
	for rows.Next() {
		var severity string
		var n int
		if err := rows.Scan(&severity, &n); err != nil {
			return wrap("count open alerts", err)
		}
		into[severity] = n
	}
	return wrap("count open alerts", rows.Err())
}

// SetAlertStatus implements store.Alerts.
func (d *DB) SetAlertStatus(ctx context.Context, sc store.Scope, id int64, status string) error {
	cond, args := inScope(sc, "tenant", "host")
	return wrap(fmt.Sprintf("set the status of alert %d", id), d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed("UPDATE alerts SET status = ? WHERE id = ? AND "+cond, append([]any{status, id}, args...)...))
	}))
}
