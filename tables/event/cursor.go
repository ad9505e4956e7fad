package event

import (
	"context"
	"iter"
	"math"

	"github.com/aiedr/edr/tables"
)

// Numbered is an event log that knows the numbers of its events.
type Numbered interface {
	tables.EventLog
	// LastID is the number of the newest event, 0 if there never was one.
	LastID() uint64
	// FirstID is the number of the oldest event still kept, or the one that
	// the next event will get where none is kept.
	FirstID() uint64
}

// Cursor is how far a scheduled query has read the event log.
type Cursor struct{ after, upTo, first uint64 }

// Next is what to hand to WithCursor when the query runs the next time. It is
// to be stored with the query's results, and only once they are stored: so
// each event is reported once, and one is not lost with a crash in between.
func (c *Cursor) Next() uint64 { return c.upTo }

// Missed is at most how many events the log had given up, for age or size, before this
// query could read them. It counts numbers: those of all event tables, and those
// that a crash left out.
func (c *Cursor) Missed() uint64 {
	if c.after == 0 || c.first <= c.after+1 {
		return 0
	}
	return min(c.first, c.upTo+1) - c.after - 1
}

// WithCursor is the event log as one execution of a scheduled query sees it.
// A scheduled query is to see each event exactly once, so:
//
//   - it sees the events with a number above after, the Next of its last
//     execution, or 0 for everything that is kept;
//   - it sees none recorded after this call, however often it scans: a join of
//     an event table with itself or with another sees one set;
//   - a statement that constrains time gets the whole of that window at each
//     execution, as in osquery, since its author chose the window.
//
// The scheduler makes one for each execution:
//
//	log, cursor := event.WithCursor(host.Log, stored[name])
//	h := *host
//	h.Log = log
//	… run the statement with &h and QueryName …
//	store the results and cursor.Next() together
//
// A query that has never run starts at 0 and sees all that is kept; to begin
// with "from now on", start at LastID. A number above the log's last (its
// directory was removed) starts over at 0.
func WithCursor(log Numbered, after uint64) (tables.EventLog, *Cursor) {
	c := &Cursor{after: after, upTo: log.LastID(), first: log.FirstID()}
	if c.after > c.upTo {
		c.after = 0
	}
	return &cursorLog{log, c}, c
}

type cursorLog struct {
	log Numbered
	c   *Cursor
}

func (l *cursorLog) LastID() uint64 { return l.c.upTo }

func (l *cursorLog) FirstID() uint64 { return l.log.FirstID() }

func (l *cursorLog) Read(ctx context.Context, q tables.EventQuery) iter.Seq2[tables.Event, error] {
	if q.From.IsZero() && q.To.IsZero() {
		q.After = max(q.After, l.c.after)
	}
	if q.UpTo == 0 {
		q.UpTo = math.MaxUint64
	}
	q.UpTo = min(q.UpTo, l.c.upTo)
	return func(yield func(tables.Event, error) bool) {
		if l.c.upTo == 0 {
			return
		}
		for e, err := range l.log.Read(ctx, q) {
			if err == nil && (e.ID <= q.After || e.ID > q.UpTo) {
				continue // a log that does not look at the bounds itself
			}
			if !yield(e, err) {
				return
			}
		}
	}
}
