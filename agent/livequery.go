package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/engine"
	"github.com/aiedr/edr/wire"
)

// answerBytes is roughly how large a part of an answer may grow.
const answerBytes = 256 << 10

// answerPause is how long rows may wait for others to share a part with.
const answerPause = 250 * time.Millisecond

// Asker answers statements over a host.
type Asker struct {
	Engine *engine.Engine
	Host   *tables.Host
}

// Ask runs one statement and gives its answer in parts: the first as soon as
// there are rows, the last with Done and how it went. If emit fails, the
// statement is stopped.
func (a *Asker) Ask(ctx context.Context, q wire.LiveQuery, emit func(wire.Answer) error) {
	began := time.Now()
	p := &parts{query: q.ID, emit: emit, last: began}
	classes := make([]tables.Class, len(q.Classes))
	for i, c := range q.Classes {
		classes[i] = tables.Class(c)
	}
	rows, err := a.Engine.Query(ctx, a.Host, engine.Request{
		SQL: q.SQL, MaxRows: int64(q.MaxRows), Deadline: q.Deadline, Classes: classes,
	})
	if err != nil {
		p.done(wire.Answer{Error: explain(err), WallNS: int64(time.Since(began))})
		return
	}
	defer rows.Close()
	for _, c := range rows.Info().Columns {
		p.columns = append(p.columns, c.Name)
	}
	end := wire.Answer{}
	for {
		batch, err := rows.Batch()
		if err == io.EOF {
			break
		}
		if err != nil {
			var limit *engine.LimitError
			if errors.As(err, &limit) && limit.Limit == "rows" {
				end.Truncated = true
			} else {
				end.Error = explain(err)
			}
			break
		}
		if !p.add(batch) {
			return
		}
	}
	rows.Close()
	warnings, warned := rows.Warnings()
	for _, w := range warnings {
		end.Warnings = append(end.Warnings, w.String())
	}
	if more := warned - int64(len(warnings)); more > 0 {
		end.Warnings = append(end.Warnings, fmt.Sprintf("and %d more like these", more))
	}
	stats := rows.Stats()
	end.WallNS, end.CPUNS = int64(time.Since(began)), int64(stats.User+stats.System)
	p.done(end)
}

// explain says in an operator's words why there is no whole answer.
func explain(err error) string {
	if errors.Is(err, context.Canceled) {
		return "the query was stopped"
	}
	return err.Error()
}

// parts gathers rows into numbered parts.
type parts struct {
	query   string
	columns []string
	emit    func(wire.Answer) error

	part  int
	rows  []wire.Row
	size  int
	total int64
	last  time.Time
}

func (p *parts) add(batch [][]any) bool {
	for _, values := range batch {
		row := make(wire.Row, len(values))
		for i, v := range values {
			row[i] = wire.ValueOf(v)
			p.size += 8
			switch v := v.(type) {
			case string:
				p.size += len(v)
			case []byte:
				p.size += len(v)
			}
		}
		p.rows = append(p.rows, row)
	}
	p.total += int64(len(batch))
	if p.part == 0 || p.size >= answerBytes || time.Since(p.last) >= answerPause {
		return p.flush(wire.Answer{})
	}
	return true
}

func (p *parts) flush(a wire.Answer) bool {
	p.part++
	a.Query, a.Part, a.Rows = p.query, p.part, p.rows
	if p.part == 1 || a.Done {
		a.Columns = p.columns
	}
	p.rows, p.size, p.last = nil, 0, time.Now()
	return p.emit(a) == nil
}

func (p *parts) done(a wire.Answer) {
	a.Done, a.Total = true, p.total
	p.flush(a)
}
