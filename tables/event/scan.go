package event

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"time"
	"unsafe"

	"github.com/aiedr/edr/tables"
)

// Tables are the event tables.
func Tables() []*tables.Table {
	return []*tables.Table{ProcessEvents, ProcessExitEvents, FileEvents, SocketEvents, RegistryEvents, ScheduledTaskEvents}
}

// texts says which text columns of a row an equality may be pushed to.
type texts[R any] map[string]func(*R) string

// scan reads the event log. Handed-down constraints: time bounds the part of
// the log that is read at all; pid and the texts drop rows before they are
// put into a batch.
func scan[R any, P row[R]](on tables.Platform, pid func(*R) int64, eq texts[R]) func(context.Context, *tables.Query) iter.Seq2[R, error] {
	k := kindByTable[P(new(R)).Table()]
	return func(ctx context.Context, q *tables.Query) iter.Seq2[R, error] {
		return func(yield func(R, error) bool) {
			var zero R
			// No rows would read as "nothing happened" where no sensor of this
			// system can fill the table.
			if q.Host != nil && q.Host.Root != nil {
				if err := q.Host.Needs(on); err != nil {
					yield(zero, err)
					return
				}
			}
			if q.Host == nil || q.Host.Log == nil {
				yield(zero, &tables.NoEventsError{Table: k.table})
				return
			}
			eventQuery, possible := window(q, k.table)
			if !possible {
				return
			}
			keep := filter(q, pid, eq)
			for rec, err := range q.Host.Log.Read(ctx, eventQuery) {
				var gap *tables.GapError
				switch {
				case errors.As(err, &gap):
					q.Warn(err)
					continue
				case err != nil:
					yield(zero, err)
					return
				}
				var r R
				if err := k.decode(P(&r).Head(), unsafe.Pointer(&r), rec, false); err != nil {
					q.Warn(err)
					continue
				}
				if keep(&r) && !yield(r, nil) {
					return
				}
			}
		}
	}
}

// window turns the constraints on time into the part of the log to read. Not
// possible means that no time satisfies them.
func window(q *tables.Query, table string) (eq tables.EventQuery, possible bool) {
	eq.Table = table
	low, high := q.IntRange("time")
	if low > high {
		return eq, false
	}
	// Seconds beyond what nanoseconds can hold are as good as open.
	const bound = math.MaxInt64 / int64(time.Second)
	if low > math.MinInt64 {
		eq.From = time.Unix(max(low, 0), 0)
		if low >= bound {
			return eq, false
		}
	}
	if high < math.MaxInt64 {
		if high < 0 {
			return eq, false
		}
		eq.To = time.Unix(min(high, bound-1), int64(time.Second-1))
	}
	return eq, true
}

func filter[R any](q *tables.Query, pid func(*R) int64, eq texts[R]) func(*R) bool {
	var tests []func(*R) bool
	if vals, ok := q.Ints("pid"); ok {
		tests = append(tests, func(r *R) bool { return slices.Contains(vals, pid(r)) })
	}
	for column, get := range eq {
		if vals, ok := q.Strings(column); ok {
			tests = append(tests, func(r *R) bool { return slices.Contains(vals, get(r)) })
		}
	}
	return func(r *R) bool {
		for _, t := range tests {
			if !t(r) {
				return false
			}
		}
		return true
	}
}
