package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/aiedr/edr/fleetsrv/store"
)

const hitEventColumns = `e.id, e.time, e.received, e.host, coalesce(h.hostname, ''), e.alert, e.body, m.by_user, m.at, m.note`

const hitEventFrom = ` FROM alert_hits e LEFT JOIN hosts h ON h.id = e.host
	LEFT JOIN event_marks m ON m.tenant = e.tenant AND m.kind = 'hit' AND m.id = e.id WHERE `

const resultEventColumns = `r.id, b.time, b.host, coalesce(h.hostname, ''), b.query, r.action, b.columns, r.cells, m.by_user, m.at, m.note`

// The order is said of batches, so that the index of their times gives it.
const resultEventFrom = ` FROM result_batches b CROSS JOIN results r ON r.batch = b.id LEFT JOIN hosts h ON h.id = b.host
	LEFT JOIN event_marks m ON m.tenant = b.tenant AND m.kind = 'result' AND m.id = r.id WHERE `

type markColumns struct {
	by   sql.NullString
	at   sql.NullInt64
	note sql.NullString
}

func (m *markColumns) mark() *store.Mark {
	if !m.by.Valid {
		return nil
	}
	return &store.Mark{By: m.by.String, At: when(m.at.Int64), Note: m.note.String}
}

func scanHitEvent(s scanner) (store.Event, error) {
	e := store.Event{EventID: store.EventID{Kind: store.EventHit}}
	var at, received int64
	var body string
	var m markColumns
	if err := s.Scan(&e.ID, &at, &received, &e.Host, &e.Hostname, &e.Alert, &body, &m.by, &m.at, &m.note); err != nil {
		return e, err
	}
	e.Time, e.Received, e.Handled = when(at), when(received), m.mark()
	return e, unjs("a hit", body, &e.Hit)
}

func scanResultEvent(s scanner) (store.Event, error) {
	r := &store.Result{}
	var at int64
	var action int
	var columns, cells string
	var m markColumns
	if err := s.Scan(&r.ID, &at, &r.Host, &r.Hostname, &r.Query, &action, &columns, &cells, &m.by, &m.at, &m.note); err != nil {
		return store.Event{}, err
	}
	if action < 0 || action >= len(actionNames) {
		return store.Event{}, errors.New("a kept row has an unknown action")
	}
	r.Time, r.Action, r.Values = when(at), actionNames[action], []byte(cells)
	if err := unjs("columns of a result", columns, &r.Columns); err != nil {
		return store.Event{}, err
	}
	return store.Event{EventID: store.EventID{Kind: store.EventResult, ID: r.ID}, Time: r.Time, Host: r.Host, Hostname: r.Hostname,
		Result: r, Handled: m.mark()}, nil
}

// kindRank orders events of one time: the greater comes first.
func kindRank(kind string) int {
	if kind == store.EventHit {
		return 1
	}
	return 0
}

// newer says whether an event stands before another in the list.
func newer(a, b *store.Event) bool {
	if !a.Time.Equal(b.Time) {
		return a.Time.After(b.Time)
	}
	if x, y := kindRank(a.Kind), kindRank(b.Kind); x != y {
		return x > y
	}
	return a.ID > b.ID
}

// eventSource reads the events of one kind one after the other.
type eventSource struct {
	rows    *sql.Rows
	scan    func(scanner) (store.Event, error)
	head    *store.Event
	scanned int
}

func (s *eventSource) next() error {
	s.head = nil
	if s.rows == nil || !s.rows.Next() {
		if s.rows != nil {
			return s.rows.Err()
		}
		return nil
	}
	e, err := s.scan(s.rows)
	if err != nil {
		return err
	}
	s.head = &e
	s.scanned++
	return nil
}

// ListEvents implements store.Events: the two kinds, each read along its own
// index of times, are merged as far as they are needed.
func (d *DB) ListEvents(ctx context.Context, sc store.Scope, f store.EventFilter) (store.EventPage, error) {
	var page store.EventPage
	sources, err := d.eventSources(ctx, sc, f)
	defer func() {
		for _, s := range sources {
			if s.rows != nil {
				_ = s.rows.Close() // reading has ended: there is nothing to lose
			}
		}
	}()
	if err != nil {
		return page, wrap("list events", err)
	}
	for _, s := range sources {
		if err := s.next(); err != nil {
			return page, wrap("list events", err)
		}
	}
	scan := f.Scan
	if scan <= 0 {
		scan = 1 << 30
	}
	for {
		var first *eventSource
		for _, s := range sources {
			if s.head != nil && (first == nil || newer(s.head, first.head)) {
				first = s
			}
		}
		if first == nil {
			page.Next = nil
			return page, nil
		}
		if len(page.Events) >= f.Limit || first.scanned > scan {
			return page, nil
		}
		e := *first.head
		page.Next = &store.EventCursor{Time: e.Time, EventID: e.EventID}
		if f.Match == nil || f.Match(&e) {
			page.Events = append(page.Events, e)
		}
		if err := first.next(); err != nil {
			return page, wrap("list events", err)
		}
	}
}

func (d *DB) eventSources(ctx context.Context, sc store.Scope, f store.EventFilter) ([]*eventSource, error) {
	var out []*eventSource
	for _, kind := range []string{store.EventHit, store.EventResult} {
		if f.Kind != "" && f.Kind != kind ||
			kind == store.EventHit && f.Query != "" || kind == store.EventResult && (f.Rule != "" || f.Severity != "") {
			continue
		}
		s := &eventSource{scan: scanHitEvent}
		columns, from, row, over := hitEventColumns, hitEventFrom, "e", "e.id"
		order := " ORDER BY e.time DESC, e.id DESC"
		if kind == store.EventResult {
			s.scan, columns, from, row, over = scanResultEvent, resultEventColumns, resultEventFrom, "b", "r.id"
			order = " ORDER BY b.time DESC, b.id DESC, r.id DESC"
		}
		cond, args := inScope(sc, row+".tenant", row+".host")
		add := func(c string, v ...any) { cond, args = cond+" AND "+c, append(args, v...) }
		if kind == store.EventResult {
			add("(b.classes & ~?) = 0", f.Classes)
		}
		for _, c := range []struct{ column, value string }{{row + ".host", f.Host}, {"b.query", f.Query}, {"e.rule", f.Rule}, {"e.severity", f.Severity}} {
			if c.value != "" {
				add(c.column+" = ?", c.value)
			}
		}
		if f.Group != "" && f.Group != store.GroupAll {
			add(row+".host IN (SELECT host FROM host_groups WHERE grp = ?)", f.Group)
		}
		if f.Handled != nil {
			add("(m.by_user IS NOT NULL) = ?", *f.Handled)
		}
		if !f.From.IsZero() {
			add(row+".time >= ?", ns(f.From))
		}
		if !f.To.IsZero() {
			add(row+".time < ?", ns(f.To))
		}
		if b := f.Before; b != nil {
			at := ns(b.Time)
			switch mine, theirs := kindRank(kind), kindRank(b.Kind); {
			case mine == theirs:
				add(row+".time <= ? AND ("+row+".time < ? OR "+over+" < ?)", at, at, b.ID)
			case mine < theirs:
				add(row+".time <= ?", at)
			default:
				add(row+".time < ?", at)
			}
		}
		rows, err := d.read.QueryContext(ctx, "SELECT "+columns+from+cond+order, args...)
		if err != nil {
			return out, err
		}
		s.rows = rows
		out = append(out, s)
	}
	return out, nil
}

// Event implements store.Events.
func (d *DB) Event(ctx context.Context, sc store.Scope, id store.EventID, classes int64) (store.Event, error) {
	what := fmt.Sprintf("read event %d of kind %s", id.ID, id.Kind)
	switch id.Kind {
	case store.EventHit:
		cond, args := inScope(sc, "e.tenant", "e.host")
		e, err := scanHitEvent(d.read.QueryRowContext(ctx, "SELECT "+hitEventColumns+hitEventFrom+"e.id = ? AND "+cond, append([]any{id.ID}, args...)...))
		return e, wrap(what, err)
	case store.EventResult:
		cond, args := inScope(sc, "b.tenant", "b.host")
		e, err := scanResultEvent(d.read.QueryRowContext(ctx, "SELECT "+resultEventColumns+
			` FROM results r JOIN result_batches b ON b.id = r.batch LEFT JOIN hosts h ON h.id = b.host
			LEFT JOIN event_marks m ON m.tenant = b.tenant AND m.kind = 'result' AND m.id = r.id
			WHERE r.id = ? AND (b.classes & ~?) = 0 AND `+cond, append([]any{id.ID, classes}, args...)...))
		return e, wrap(what, err)
	}
	return store.Event{}, fmt.Errorf("%s: %w", what, store.ErrNotFound)
}

// MarkEvent implements store.Events.
func (d *DB) MarkEvent(ctx context.Context, sc store.Scope, id store.EventID, m *store.Mark) error {
	what := fmt.Sprintf("mark event %d of kind %s", id.ID, id.Kind)
	there := "SELECT 1 FROM alert_hits e WHERE e.id = ? AND "
	cond, args := inScope(sc, "e.tenant", "e.host")
	if id.Kind == store.EventResult {
		there = "SELECT 1 FROM results r JOIN result_batches b ON b.id = r.batch WHERE r.id = ? AND "
		cond, args = inScope(sc, "b.tenant", "b.host")
	} else if id.Kind != store.EventHit {
		return fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	return wrap(what, d.write.do(ctx, func(t *tx) error {
		var one int
		if found, err := t.get(there+cond, append([]any{id.ID}, args...), &one); err != nil {
			return err
		} else if !found {
			return store.ErrNotFound
		}
		if m == nil {
			return t.exec("DELETE FROM event_marks WHERE tenant = ? AND kind = ? AND id = ?", sc.Tenant, id.Kind, id.ID)
		}
		return t.exec(`INSERT INTO event_marks (tenant, kind, id, by_user, at, note) VALUES (?,?,?,?,?,?)
			ON CONFLICT (tenant, kind, id) DO UPDATE SET by_user = excluded.by_user, at = excluded.at, note = excluded.note`,
			sc.Tenant, id.Kind, id.ID, m.By, ns(m.At), m.Note)
	}))
}

// AlertHits implements store.Events.
func (d *DB) AlertHits(ctx context.Context, sc store.Scope, alert int64, limit int) ([]store.Event, int, error) {
	what := fmt.Sprintf("list the hits of alert %d", alert)
	cond, args := inScope(sc, "e.tenant", "e.host")
	args = append([]any{alert}, args...)
	var total int
	if err := d.read.QueryRowContext(ctx, "SELECT count(*) FROM alert_hits e WHERE e.alert = ? AND "+cond, args...).Scan(&total); err != nil {
		return nil, 0, wrap(what, err)
	}
	rows, err := d.read.QueryContext(ctx, "SELECT "+hitEventColumns+hitEventFrom+"e.alert = ? AND "+cond+" ORDER BY e.time DESC, e.id DESC LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, 0, wrap(what, err)
	}
	defer rows.Close()
	var out []store.Event
	for rows.Next() {
		e, err := scanHitEvent(rows)
		if err != nil {
			return nil, 0, wrap(what, err)
		}
		out = append(out, e)
	}
	return out, total, wrap(what, rows.Err())
}

// ChangeAlert implements store.Events.
func (d *DB) ChangeAlert(ctx context.Context, sc store.Scope, id int64, c store.AlertChange) error {
	cond, args := inScope(sc, "tenant", "host")
	return wrap(fmt.Sprintf("change alert %d", id), d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed("UPDATE alerts SET status = coalesce(?, status), assignee = coalesce(?, assignee), verdict = coalesce(?, verdict) WHERE id = ? AND "+cond,
			append([]any{c.Status, c.Assignee, c.Verdict, id}, args...)...))
	}))
}

// AddNote implements store.Events.
func (d *DB) AddNote(ctx context.Context, sc store.Scope, alert int64, n store.Note) (store.Note, error) {
	cond, args := inScope(sc, "tenant", "host")
	err := d.write.do(ctx, func(t *tx) error {
		r, err := t.result("INSERT INTO alert_notes (tenant, alert, by_user, time, text) SELECT ?, id, ?, ?, ? FROM alerts WHERE id = ? AND "+cond,
			append([]any{sc.Tenant, n.By, ns(n.Time), n.Text, alert}, args...)...)
		if err != nil {
			return err
		}
		if err := mustChange(r.RowsAffected()); err != nil {
			return err
		}
		n.ID, err = r.LastInsertId()
		return err
	})
	return n, wrap(fmt.Sprintf("add a note to alert %d", alert), err)
}

// ListNotes implements store.Events.
func (d *DB) ListNotes(ctx context.Context, sc store.Scope, alert int64) ([]store.Note, error) {
	what := fmt.Sprintf("list the notes of alert %d", alert)
	cond, args := inScope(sc, "a.tenant", "a.host")
	rows, err := d.read.QueryContext(ctx, "SELECT n.id, n.by_user, n.time, n.text FROM alert_notes n JOIN alerts a ON a.id = n.alert WHERE a.id = ? AND "+
		cond+" ORDER BY n.id", append([]any{alert}, args...)...)
	if err != nil {
		return nil, wrap(what, err)
	}
	defer rows.Close()
	var out []store.Note
	for rows.Next() {
		var n store.Note
		var at int64
		if err := rows.Scan(&n.ID, &n.By, &at, &n.Text); err != nil {
			return nil, wrap(what, err)
		}
		n.Time = when(at)
		out = append(out, n)
	}
	return out, wrap(what, rows.Err())
}
