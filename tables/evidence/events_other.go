//go:build !windows

package evidence

import (
	"context"
	"iter"

	"github.com/aiedr/edr/tables"
)

// liveEvents needs Windows.
func liveEvents(_ context.Context, q *tables.Query, _ eventFilter) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		yield(nil, unread(q, "windows_events"))
	}
}
