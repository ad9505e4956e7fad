package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// Receive implements store.Intake.
func (d *DB) Receive(ctx context.Context, sc store.Scope, dl store.Delivery) (store.Changes, error) {
	var ch store.Changes
	err := d.write.do(ctx, func(t *tx) error {
		ch = store.Changes{}
		var there int
		if found, err := t.get("SELECT 1 FROM hosts WHERE id = ? AND tenant = ? AND state = 'admitted'", []any{dl.Host, sc.Tenant}, &there); err != nil {
			return err
		} else if !found {
			return store.ErrNotFound
		}
		for i := range dl.Items {
			if err := t.receive(sc, &dl, &dl.Items[i], &ch); err != nil {
				return fmt.Errorf("record %d of outbox %s: %w", dl.Items[i].Number, dl.Outbox, err)
			}
		}
		for _, g := range dl.Gaps {
			if err := t.gap(dl.Host, dl.Outbox, dl.Time, g); err != nil {
				return err
			}
		}
		return t.exec(`INSERT INTO outboxes (host, outbox, contiguous) VALUES (?,?,?)
			ON CONFLICT (host, outbox) DO UPDATE SET contiguous = max(contiguous, excluded.contiguous)`,
			dl.Host, dl.Outbox, int64(dl.Contiguous))
	})
	if err != nil {
		return store.Changes{}, wrap("keep records of host "+dl.Host, err)
	}
	return ch, nil
}

func (t *tx) gap(host, outbox string, at time.Time, g wire.Gap) error {
	n, err := t.changed("INSERT INTO gaps (host, outbox, first, last, reason) VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING",
		host, outbox, int64(g.From), int64(g.To), clip(g.Reason, 500))
	if err != nil || n == 0 {
		return err
	}
	return addProblem(t, host, wire.Problem{Time: at, Source: "outbox", Count: int64(g.To-g.From) + 1,
		Error: fmt.Sprintf("records %d to %d were dropped before they could be sent: %s", g.From, g.To, clip(g.Reason, 500))})
}

func (t *tx) receive(sc store.Scope, dl *store.Delivery, it *store.Item, ch *store.Changes) error {
	host := dl.Host
	n, err := t.changed("INSERT INTO received (host, outbox, number, hash) VALUES (?,?,?,?) ON CONFLICT DO NOTHING", host, dl.Outbox, int64(it.Number), it.Hash)
	if err != nil {
		return err
	}
	if n == 0 {
		ch.Duplicates++
		return nil
	}
	ch.Kept++
	var same int
	if _, err := t.get("SELECT count(*) FROM received WHERE host = ? AND outbox = ? AND number = ?",
		[]any{host, dl.Outbox, int64(it.Number)}, &same); err != nil {
		return err
	}
	if same > 1 {
		ch.Conflicts++
		if err := t.conflict(sc, host, dl.Outbox, it, ch); err != nil {
			return err
		}
	}
	switch {
	case it.Hit != nil:
		return t.hit(sc, host, *it.Hit, ch)
	case it.Result != nil:
		ch.Rows += len(it.Result.Added) + len(it.Result.Removed)
		return t.results(sc, host, it.Result, recordKey(host, dl.Outbox, it))
	case it.Outcome != nil:
		if err := t.outcome(sc, host, *it.Outcome, ch); err != nil {
			return err
		}
		return t.journal(sc, host, wire.KindOutcome, recordKey(host, dl.Outbox, it), js(it.Outcome), 0)
	case it.Health != nil:
		ch.Health = true
		// An agent that was renewed says so in its health, not by enrolling again.
		n, err := t.changed(`UPDATE hosts SET details = json_set(details, '$.agent_version', ?) WHERE id = ? AND ? <> ''
			AND coalesce(json_extract(details, '$.agent_version'), '') <> ? AND coalesce(json_extract(health, '$.time'), '') <= ?`,
			it.Health.Version, host, it.Health.Version, it.Health.Version, it.Health.Time.Format(time.RFC3339Nano))
		if err != nil {
			return err
		}
		ch.Version = ch.Version || n > 0
		return t.exec(`UPDATE hosts SET health = ? WHERE id = ? AND (health IS NULL OR
			coalesce(json_extract(health, '$.time'), '') <= ?)`, js(it.Health), host, it.Health.Time.Format(time.RFC3339Nano))
	case it.Problem != nil:
		return addProblem(t, host, *it.Problem)
	}
	return nil
}

// conflict alerts that one number of an outbox came with two contents: a
// cloned host, or a forged one.
func (t *tx) conflict(sc store.Scope, host, outbox string, it *store.Item, ch *store.Changes) error {
	return t.hit(sc, host, wire.Hit{
		ID:       fmt.Sprintf("edr-conflict-%s-%d-%x", outbox, it.Number, it.Hash[:min(8, len(it.Hash))]),
		Rule:     wire.RuleRef{ID: "edr_outbox_conflict", Name: "outbox conflict", Version: "1"},
		Severity: wire.High, Title: "Two different records under one number",
		Description: "The host sent a record whose number it had used for another. Its state was copied to another machine, was set back, or somebody else holds its key.",
		Time:        time.Now(), Entity: "outbox " + outbox, Count: 1, Table: "edr_outbox",
		Event: []wire.Field{
			{Name: "outbox", Value: wire.ValueOf(outbox)},
			{Name: "number", Value: wire.ValueOf(int64(it.Number))},
			{Name: "kind", Value: wire.ValueOf(string(it.Kind))},
		},
	}, ch)
}

func (t *tx) results(sc store.Scope, host string, b *store.ResultBatch, key string) error {
	r, err := t.result(`INSERT INTO result_batches (tenant, host, query, pack, time, epoch, counter, columns, classes) VALUES (?,?,?,?,?,?,?,?,?)`,
		sc.Tenant, host, b.Query, b.Pack, ns(b.Time), int64(b.Epoch), int64(b.Counter), list(b.Columns), b.Classes)
	if err != nil {
		return err
	}
	batch, err := r.LastInsertId()
	if err != nil {
		return err
	}
	insert, err := t.stmt("INSERT INTO results (batch, action, cells) VALUES (?,?,?)")
	if err != nil {
		return err
	}
	added := actionAdded
	if b.Snapshot {
		added = actionSnapshot
	}
	for _, row := range b.Added {
		if _, err := insert.ExecContext(context.Background(), batch, added, string(row)); err != nil {
			return err
		}
	}
	for _, row := range b.Removed {
		if _, err := insert.ExecContext(context.Background(), batch, actionRemoved, string(row)); err != nil {
			return err
		}
	}
	return t.journal(sc, host, wire.KindResult, key, "", batch)
}

const (
	actionAdded = iota
	actionRemoved
	actionSnapshot
)

var actionNames = [...]string{"added", "removed", "snapshot"}

// maxWhole bounds the arguments that a host may complete, in bytes.
const maxWhole = 64 << 10

func (t *tx) outcome(sc store.Scope, host string, o wire.Outcome, ch *store.Changes) error {
	if o.Hit != "" {
		return t.ruleOutcome(host, o, ch)
	}
	undo := any(nil)
	if len(o.Undo) > 0 {
		undo = string(o.Undo)
	}
	switch o.State {
	case store.ResponseDone, store.ResponseFailed, store.ResponseRefused, store.ResponsePlanned:
	default:
		o.Error, o.State = fmt.Sprintf("the host answered an unknown state %q; %s", o.State, o.Error), store.ResponseFailed
	}
	// A dry run's arguments become those that the host has completed.
	var whole any
	if o.State == store.ResponsePlanned && len(o.Args) > 0 && len(o.Args) <= maxWhole {
		whole = string(o.Args)
	}
	// Expired is no end here: the host acted before it learned of that.
	n, err := t.changed(`UPDATE responses SET state = ?, plan = ?, seen = ?, error = ?, undo = ?, finished_at = ?,
		args = CASE WHEN dry_run THEN COALESCE(?, args) ELSE args END
		WHERE id = ? AND host = ? AND tenant = ? AND state IN ('pending','sent','expired')`,
		o.State, o.Plan, o.Seen, o.Error, undo, ns(o.Time), whole, o.ID, host, sc.Tenant)
	if err != nil {
		return err
	}
	if n > 0 {
		ch.Responses = append(ch.Responses, o.ID)
		return nil
	}
	return addProblem(t, host, wire.Problem{Time: o.Time, Source: "response", Count: 1,
		Error: "an outcome came for response " + clip(o.ID, 80) + ", which is not this host's or had its outcome already"})
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// ruleOutcome writes what a rule's action came to into the alert of its hit.
func (t *tx) ruleOutcome(host string, o wire.Outcome, ch *store.Changes) error {
	var id int64
	var text string
	found, err := t.get("SELECT a.id, a.actions FROM hits h JOIN alerts a ON a.id = h.alert WHERE h.host = ? AND h.hit = ?",
		[]any{host, o.Hit}, &id, &text)
	if err != nil {
		return err
	}
	if !found {
		return addProblem(t, host, wire.Problem{Time: o.Time, Source: "response", Count: 1,
			Error: "an outcome of " + clip(o.Action, 80) + " names a hit that never came"})
	}
	var actions []wire.ActionState
	if err := unjs("actions of an alert", text, &actions); err != nil {
		return err
	}
	detail := o.Seen
	if o.Error != "" {
		detail = o.Error
	}
	set := wire.ActionState{Action: o.Action, State: o.State, Detail: detail}
	known := false
	for i := range actions {
		if actions[i].Action == o.Action {
			actions[i], known = set, true
		}
	}
	if !known {
		actions = append(actions, set)
	}
	ch.Alerts = append(ch.Alerts, id)
	return t.exec("UPDATE alerts SET actions = ? WHERE id = ?", list(actions), id)
}

// Held implements store.Intake.
func (d *DB) Held(ctx context.Context, sc store.Scope, host, outbox string, from, to uint64) (store.Held, error) {
	out := store.Held{Hashes: map[uint64][][]byte{}}
	rows, err := d.read.QueryContext(ctx, "SELECT outbox, contiguous FROM outboxes WHERE host = ?", host)
	if err != nil {
		return out, wrap("read the outboxes of host "+host, err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var n int64
		if err := rows.Scan(&name, &n); err != nil {
			return out, wrap("read the outboxes of host "+host, err)
		}
		if name == outbox {
			out.Known, out.Contiguous = true, uint64(n)
		} else {
			out.Others = true
		}
	}
	if err := rows.Err(); err != nil {
		return out, wrap("read the outboxes of host "+host, err)
	}
	if !out.Known || from > to {
		return out, nil
	}
	kept, err := d.read.QueryContext(ctx, "SELECT number, hash FROM received WHERE host = ? AND outbox = ? AND number BETWEEN ? AND ?",
		host, outbox, int64(from), int64(min(to, math.MaxInt64)))
	if err != nil {
		return out, wrap("read what came of outbox "+outbox, err)
	}
	defer kept.Close()
	for kept.Next() {
		var n int64
		var hash []byte
		if err := kept.Scan(&n, &hash); err != nil {
			return out, wrap("read what came of outbox "+outbox, err)
		}
		out.Hashes[uint64(n)] = append(out.Hashes[uint64(n)], hash)
	}
	return out, wrap("read what came of outbox "+outbox, kept.Err())
}

// ListResults implements store.Intake.
func (d *DB) ListResults(ctx context.Context, sc store.Scope, f store.ResultFilter) ([]store.Result, error) {
	cond, args := inScope(sc, "b.tenant", "b.host")
	cond += " AND (b.classes & ~?) = 0"
	args = append(args, f.Classes)
	if f.Query != "" {
		cond, args = cond+" AND b.query = ?", append(args, f.Query)
	}
	if f.Host != "" {
		cond, args = cond+" AND b.host = ?", append(args, f.Host)
	}
	if f.Before > 0 {
		cond, args = cond+" AND r.id < ?", append(args, f.Before)
	}
	rows, err := d.read.QueryContext(ctx, `SELECT r.id, b.host, coalesce(h.hostname, ''), b.query, b.time, r.action, b.columns, r.cells
		FROM results r JOIN result_batches b ON b.id = r.batch LEFT JOIN hosts h ON h.id = b.host
		WHERE `+cond+" ORDER BY r.id DESC LIMIT ?", append(args, f.Limit)...)
	if err != nil {
		return nil, wrap("list results", err)
	}
	defer rows.Close()
	var out []store.Result
	for rows.Next() {
		var r store.Result
		var at int64
		var action int
		var columns, cells string
		if err := rows.Scan(&r.ID, &r.Host, &r.Hostname, &r.Query, &at, &action, &columns, &cells); err != nil {
			return nil, wrap("list results", err)
		}
		if action < 0 || action >= len(actionNames) {
			return nil, errors.New("list results: a kept row has an unknown action")
		}
		r.Time, r.Action, r.Values = when(at), actionNames[action], []byte(cells)
		if err := unjs("columns of a result", columns, &r.Columns); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, wrap("list results", rows.Err())
}
