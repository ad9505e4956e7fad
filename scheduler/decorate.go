package scheduler

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/wire"
)

// decorations are the values that decorators add to every result.
type decorations struct {
	config   pack.Decorators
	loaded   bool
	values   map[string]wire.Value
	interval map[time.Duration]time.Time // when each group was last asked
}

// decorate asks the decorators that are due and returns all values by name:
// those of "load" once, of "interval" at theirs, of "always" each time.
func (s *Scheduler) decorate(ctx context.Context, now time.Time) []wire.Field {
	d := &s.deco
	if d.config.Empty() {
		return nil
	}
	if d.values == nil {
		d.values, d.interval = map[string]wire.Value{}, map[time.Duration]time.Time{}
	}
	ask := func(statements []string) {
		for _, sql := range statements {
			a, err := s.opts.Runner.Run(ctx, Execution{SQL: sql})
			if err != nil {
				s.problems.report("decorator "+sql, err)
				continue
			}
			if len(a.Rows) == 0 {
				continue
			}
			for i, c := range a.Columns {
				d.values[c] = a.Rows[0][i]
			}
		}
	}
	if !d.loaded {
		d.loaded = true
		ask(d.config.Load)
	}
	for every, statements := range d.config.Interval {
		if last, asked := d.interval[every]; !asked || now.Sub(last) >= every || now.Before(last) {
			d.interval[every] = now
			ask(statements)
		}
	}
	ask(d.config.Always)
	fields := make([]wire.Field, 0, len(d.values))
	for name, v := range d.values {
		fields = append(fields, wire.Field{Name: name, Value: v})
	}
	slices.SortFunc(fields, func(a, b wire.Field) int { return cmp.Compare(a.Name, b.Name) })
	return fields
}
