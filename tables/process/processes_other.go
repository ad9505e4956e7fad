//go:build !linux && !windows

package process

import (
	"context"
	"iter"

	"github.com/aiedr/edr/tables"
)

func scanProcesses(ctx context.Context, q *tables.Query) iter.Seq2[Process, error] {
	return func(yield func(Process, error) bool) { yield(Process{}, tables.ErrNotSupported) }
}
