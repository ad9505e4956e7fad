package sqlite

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// journal writes a record for the sinks, in the transaction that keeps it. A
// tenant without a cursor has nobody who would read it.
func (t *tx) journal(sc store.Scope, host string, kind wire.Kind, key, body string, batch int64) error {
	return t.exec(`INSERT INTO export_journal (tenant, host, kind, key, received, body, batch)
		SELECT ?,?,?,?,?,?,? WHERE EXISTS (SELECT 1 FROM export_cursors WHERE tenant = ?)`,
		sc.Tenant, host, string(kind), key, time.Now().UnixNano(), body, batch, sc.Tenant)
}

// exportKey is a document's id: of what the host sent, and of nothing that
// the database chose, so that a restored copy gives the same.
func exportKey(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func recordKey(host, outbox string, it *store.Item) string {
	return exportKey(string(it.Kind), host, outbox, fmt.Sprint(it.Number), string(it.Hash))
}

// OpenExport implements store.Exports.
func (d *DB) OpenExport(ctx context.Context, sc store.Scope, sink string, now time.Time) (store.ExportCursor, error) {
	var c store.ExportCursor
	err := d.write.do(ctx, func(t *tx) error {
		// The last sequence given, also where its record is pruned.
		if err := t.exec(`INSERT INTO export_cursors (tenant, sink, seq, last, created_at, moved_at)
			SELECT ?, ?, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'export_journal'), 0), ?, ?, ? WHERE true
			ON CONFLICT DO NOTHING`, sc.Tenant, sink, lastRow, ns(now), ns(now)); err != nil {
			return err
		}
		var created, moved int64
		c.Sink = sink
		found, err := t.get("SELECT "+cursorColumns+" FROM export_cursors WHERE tenant = ? AND sink = ?", []any{sc.Tenant, sink},
			&c.Sink, &c.Position.Seq, &c.Position.Row, &c.Sent, &c.Dead, &c.Withheld, &c.Missed, &created, &moved)
		c.CreatedAt, c.MovedAt = when(created), when(moved)
		if err == nil && !found {
			return store.ErrNotFound
		}
		return err
	})
	return c, wrap("open the cursor of sink "+sink, err)
}

const cursorColumns = "sink, seq, last, sent, dead, withheld, missed, created_at, moved_at"

// lastRow is behind every row of a record.
const lastRow = int64(1) << 62

// MoveExport implements store.Exports.
func (d *DB) MoveExport(ctx context.Context, sc store.Scope, sink string, to store.ExportPosition, add store.ExportCounts, now time.Time) error {
	return wrap("move the cursor of sink "+sink, d.write.do(ctx, func(t *tx) error {
		n, err := t.changed(`UPDATE export_cursors SET seq = ?, last = ?, sent = sent + ?, dead = dead + ?, withheld = withheld + ?,
			missed = missed + ?, moved_at = ? WHERE tenant = ? AND sink = ? AND (seq, last) <= (?, ?)`,
			to.Seq, to.Row, add.Sent, add.Dead, add.Withheld, add.Missed, ns(now), sc.Tenant, sink, to.Seq, to.Row)
		if err != nil || n > 0 {
			return err
		}
		var one int
		if found, err := t.get("SELECT 1 FROM export_cursors WHERE tenant = ? AND sink = ?", []any{sc.Tenant, sink}, &one); err != nil {
			return err
		} else if !found {
			return store.ErrNotFound
		}
		return store.ErrConflict
	}))
}

// ListExports implements store.Exports.
func (d *DB) ListExports(ctx context.Context, sc store.Scope) ([]store.ExportCursor, error) {
	rows, err := d.read.QueryContext(ctx, `SELECT `+cursorColumns+`,
		(SELECT count(*) FROM export_journal j WHERE j.tenant = c.tenant AND j.seq > c.seq - (c.last < ?)),
		coalesce((SELECT received FROM export_journal j WHERE j.tenant = c.tenant AND j.seq > c.seq - (c.last < ?) ORDER BY seq LIMIT 1), 0)
		FROM export_cursors c WHERE tenant = ? ORDER BY sink`, lastRow, lastRow, sc.Tenant)
	if err != nil {
		return nil, wrap("list the cursors of sinks", err)
	}
	defer rows.Close()
	var out []store.ExportCursor
	for rows.Next() {
		var c store.ExportCursor
		var created, moved, oldest int64
		if err := rows.Scan(&c.Sink, &c.Position.Seq, &c.Position.Row, &c.Sent, &c.Dead, &c.Withheld, &c.Missed, &created, &moved, &c.Behind, &oldest); err != nil {
			return nil, wrap("list the cursors of sinks", err)
		}
		c.CreatedAt, c.MovedAt, c.Oldest = when(created), when(moved), when(oldest)
		out = append(out, c)
	}
	return out, wrap("list the cursors of sinks", rows.Err())
}

// ForgetExport implements store.Exports.
func (d *DB) ForgetExport(ctx context.Context, sc store.Scope, sink string) error {
	return wrap("forget the cursor of sink "+sink, d.write.do(ctx, func(t *tx) error {
		return mustChange(t.changed("DELETE FROM export_cursors WHERE tenant = ? AND sink = ?", sc.Tenant, sink))
	}))
}

// PruneExports implements store.Exports.
func (d *DB) PruneExports(ctx context.Context, sc store.Scope, before time.Time) (int64, error) {
	var gone int64
	err := d.write.do(ctx, func(t *tx) error {
		// An aged record that a cursor is inside of, or before, is missed by it.
		if err := t.exec(`UPDATE export_cursors SET missed = missed + (SELECT count(*) FROM export_journal j
			WHERE j.tenant = export_cursors.tenant AND j.received < ? AND j.seq > export_cursors.seq - (export_cursors.last < ?))
			WHERE tenant = ?`, ns(before), lastRow, sc.Tenant); err != nil {
			return err
		}
		aged, err := t.changed("DELETE FROM export_journal WHERE tenant = ? AND received < ?", sc.Tenant, ns(before))
		if err != nil {
			return err
		}
		passed, err := t.changed(`DELETE FROM export_journal WHERE tenant = ? AND seq <
			coalesce((SELECT min(seq) FROM export_cursors WHERE tenant = ?), 9223372036854775807)`, sc.Tenant, sc.Tenant)
		gone = aged + passed
		return err
	})
	return gone, wrap("prune the journal of the sinks", err)
}
