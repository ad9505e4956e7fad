//go:build !linux

package network

import (
	"context"
	"iter"

	"github.com/aiedr/edr/tables"
)

func unsupported[Row any](context.Context, *tables.Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var none Row
		yield(none, tables.ErrNotSupported)
	}
}

func scanConnections(ctx context.Context, q *tables.Query) iter.Seq2[Connection, error] {
	return unsupported[Connection](ctx, q)
}

func scanOpenSockets(ctx context.Context, q *tables.Query) iter.Seq2[OpenSocket, error] {
	return unsupported[OpenSocket](ctx, q)
}

func scanListeners(ctx context.Context, q *tables.Query) iter.Seq2[Listener, error] {
	return unsupported[Listener](ctx, q)
}
