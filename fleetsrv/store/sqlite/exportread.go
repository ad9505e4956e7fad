package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// journalled is a record of the journal as it is kept.
type journalled struct {
	seq, received, batch int64
	host, kind, key      string
	body, details        string
}

// ReadExport implements store.Exports. It reads in one transaction: a record
// and its rows are of one moment.
func (d *DB) ReadExport(ctx context.Context, sc store.Scope, after store.ExportPosition, limit, maxBytes int) (store.ExportPage, error) {
	p := store.ExportPage{Next: after}
	tx, err := d.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return p, wrap("read the journal of the sinks", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	records, err := readJournal(ctx, tx, sc, after, limit+1)
	if err != nil {
		return p, wrap("read the journal of the sinks", err)
	}
	details := map[string]wire.HostDetails{}
	size := 0
	for _, r := range records {
		room := limit - len(p.Documents)
		if room <= 0 || size >= maxBytes {
			p.More = true
			return p, nil
		}
		if r.seq == after.Seq && after.Row >= lastRow {
			continue
		}
		h, ok := details[r.host]
		if !ok {
			if err := unjs("details of a host", r.details, &h); err != nil {
				return p, err
			}
			h.Schema = nil
			details[r.host] = h
		}
		doc := store.ExportDocument{Position: store.ExportPosition{Seq: r.seq, Row: lastRow}, ID: r.key, Kind: wire.Kind(r.kind),
			Host: r.host, Details: h, Received: when(r.received)}
		switch doc.Kind {
		case wire.KindHit:
			doc.Hit = &wire.Hit{}
			err = unjs("a hit of the journal", r.body, doc.Hit)
		case wire.KindOutcome:
			doc.Outcome = &wire.Outcome{}
			err = unjs("an outcome of the journal", r.body, doc.Outcome)
		case wire.KindResult:
			from := int64(0)
			if r.seq == after.Seq {
				from = after.Row + 1
			}
			var whole bool
			whole, err = readRows(ctx, tx, &p, doc, r.batch, from, room, maxBytes-size, &size)
			if err == nil && !whole {
				p.More = true
				return p, nil
			}
			p.Next = doc.Position
			continue
		default:
			err = fmt.Errorf("record %d of the journal is of kind %q, which this server does not know", r.seq, r.kind)
		}
		if err != nil {
			return p, wrap("read the journal of the sinks", err)
		}
		size += len(r.body)
		p.Documents = append(p.Documents, doc)
		p.Next = doc.Position
	}
	p.More = len(records) > limit
	return p, nil
}

func readJournal(ctx context.Context, tx *sql.Tx, sc store.Scope, after store.ExportPosition, limit int) ([]journalled, error) {
	// The schema of a host's tables is large, and nothing of it is sent.
	rows, err := tx.QueryContext(ctx, `SELECT j.seq, j.host, j.kind, j.key, j.received, j.body, j.batch,
		coalesce(json_remove(h.details, '$.schema'), '{}')
		FROM export_journal j LEFT JOIN hosts h ON h.id = j.host WHERE j.seq >= ? AND j.tenant = ? ORDER BY j.seq LIMIT ?`,
		after.Seq, sc.Tenant, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []journalled
	for rows.Next() {
		var r journalled
		if err := rows.Scan(&r.seq, &r.host, &r.kind, &r.key, &r.received, &r.body, &r.batch, &r.details); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// readRows adds the rows of a batch from the given one on; whole says that it
// reached their end.
func readRows(ctx context.Context, tx *sql.Tx, p *store.ExportPage, doc store.ExportDocument, batch, from int64, limit, maxBytes int, size *int) (whole bool, err error) {
	row := store.ExportRow{}
	var at, epoch, counter int64
	var columns string
	err = tx.QueryRowContext(ctx, "SELECT query, pack, time, epoch, counter, columns, classes FROM result_batches WHERE id = ?", batch).
		Scan(&row.Query, &row.Pack, &at, &epoch, &counter, &columns, &row.Classes)
	if err == sql.ErrNoRows {
		p.Missed++
		return true, nil
	}
	if err != nil {
		return false, err
	}
	row.Time, row.Epoch, row.Counter = when(at), uint64(epoch), uint64(counter)
	if err := unjs("columns of a result", columns, &row.Columns); err != nil {
		return false, err
	}
	rows, err := tx.QueryContext(ctx, "SELECT action, cells FROM results WHERE batch = ? ORDER BY id LIMIT ? OFFSET ?", batch, limit+1, from)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	key := doc.ID
	for n := from; rows.Next(); n++ {
		if n-from >= int64(limit) || (n > from && maxBytes <= 0) {
			return false, nil
		}
		var action int
		var cells string
		if err := rows.Scan(&action, &cells); err != nil {
			return false, err
		}
		if action < 0 || action >= len(actionNames) {
			return false, fmt.Errorf("row %d of batch %d has an unknown action", n, batch)
		}
		r := row
		r.Action = actionNames[action]
		if err := unjs("a row of a result", cells, &r.Values); err != nil {
			return false, err
		}
		doc.Position.Row, doc.ID, doc.Row = n, fmt.Sprintf("%s-%d", key, n), &r
		p.Documents, p.Next = append(p.Documents, doc), doc.Position
		*size += len(cells)
		maxBytes -= len(cells)
	}
	return true, rows.Err()
}
