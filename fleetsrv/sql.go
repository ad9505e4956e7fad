package fleetsrv

import (
	"context"
	"fmt"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/engine"
)

// statements prepares SQL against the tables that this version declares; it
// can read none of them.
type statements struct{ engine *engine.Engine }

func newStatements() (*statements, error) {
	list, err := tables.Schemas()
	if err != nil {
		return nil, err
	}
	e, err := engine.NewFromSchema(list, engine.Options{MaxHeap: 32 << 20, Deadline: 5 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("prepare the engine that checks SQL: %w", err)
	}
	return &statements{e}, nil
}

// Check implements api.SQL. The classes are computed without regard to who
// asks; the caller compares them.
func (s *statements) Check(ctx context.Context, sql string) ([]string, error) {
	info, err := s.engine.Check(ctx, sql, engine.AllClasses())
	if err != nil {
		return nil, err
	}
	classes := []string{}
	for _, c := range info.Classes {
		classes = append(classes, string(c))
	}
	return classes, nil
}
