package system

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/aiedr/edr/tables"
)

// errOutside is what the tables of a running agent answer outside one: an
// error, since no rows would read as "nothing is scheduled".
var errOutside = errors.New("only a running agent knows: ask it by `edr-agent query` with the same -data, as root, or by a live query")

// ScheduledQuery is a row of edr_schedule and osquery_schedule.
type ScheduledQuery struct {
	Name          string `col:"name" doc:"Name of the query; of a pack's query with the pack's in front."`
	Query         string `col:"query" doc:"The SQL."`
	Interval      int64  `col:"interval,type=INTEGER" doc:"Interval in seconds."`
	Executions    int64  `col:"executions" doc:"How many times it ran."`
	LastExecuted  int64  `col:"last_executed" doc:"Last execution in seconds since the Unix epoch; 0 before the first."`
	Denylisted    bool   `col:"denylisted" doc:"1 if it is kept from running."`
	OutputSize    int64  `col:"output_size" doc:"Bytes of all results."`
	WallTime      int64  `col:"wall_time,hidden" doc:"Wall time of all executions in seconds."`
	WallTimeMS    int64  `col:"wall_time_ms" doc:"Wall time of all executions in milliseconds."`
	LastWallMS    int64  `col:"last_wall_time_ms" doc:"Wall time of the last execution in milliseconds."`
	UserTime      int64  `col:"user_time" doc:"CPU time in user space of all executions in milliseconds."`
	LastUser      int64  `col:"last_user_time" doc:"CPU time in user space of the last execution in milliseconds."`
	SystemTime    int64  `col:"system_time" doc:"CPU time in the kernel of all executions in milliseconds."`
	LastSystem    int64  `col:"last_system_time" doc:"CPU time in the kernel of the last execution in milliseconds."`
	AverageMemory int64  `col:"average_memory" doc:"Average memory left allocated by an execution, in bytes."`
	LastMemory    int64  `col:"last_memory" doc:"Memory left allocated by the last execution, in bytes."`
}

// ScheduledQueryMore is a row of edr_schedule.
type ScheduledQueryMore struct {
	ScheduledQuery
	Rows      int64  `col:"rows" doc:"Rows of all executions."`
	LastError string `col:"last_error" doc:"What the last execution failed with; empty if it succeeded."`
}

// EDRSchedule is the table of scheduled queries and their cost.
var EDRSchedule = tables.New(tables.Spec[ScheduledQueryMore]{
	Name: "edr_schedule", Doc: "The scheduled queries of the agent with what they cost.",
	Examples: []string{"SELECT name, executions, wall_time_ms, user_time + system_time AS cpu_ms, last_error FROM edr_schedule ORDER BY cpu_ms DESC"},
	Class:    tables.Inventory, Platforms: tables.AllPlatforms, Ours: true,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[ScheduledQueryMore, error] {
		return schedule(q, func(s tables.QueryStats) ScheduledQueryMore {
			return ScheduledQueryMore{ScheduledQuery: scheduledQuery(s), Rows: s.Rows, LastError: s.LastError}
		})
	},
})

// OsquerySchedule is osquery's table of scheduled queries.
var OsquerySchedule = tables.New(tables.Spec[ScheduledQuery]{
	Name: "osquery_schedule", Doc: "The scheduled queries of the agent as osquery describes its own.",
	Examples: []string{"SELECT name, interval, executions, wall_time_ms FROM osquery_schedule"},
	Class:    tables.Inventory, Platforms: tables.AllPlatforms,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[ScheduledQuery, error] {
		return schedule(q, scheduledQuery)
	},
})

func schedule[Row any](q *tables.Query, row func(tables.QueryStats) Row) iter.Seq2[Row, error] {
	if q.Host.Schedule == nil {
		return fail[Row](errOutside)
	}
	return func(yield func(Row, error) bool) {
		for _, s := range q.Host.Schedule() {
			if !yield(row(s), nil) {
				return
			}
		}
	}
}

func scheduledQuery(s tables.QueryStats) ScheduledQuery {
	r := ScheduledQuery{
		Name: s.Name, Query: s.SQL, Interval: int64(s.Interval / time.Second), Executions: s.Executions,
		Denylisted: s.Denylisted, OutputSize: s.OutputSize,
		WallTime: int64(s.Wall / time.Second), WallTimeMS: s.Wall.Milliseconds(), LastWallMS: s.LastWall.Milliseconds(),
		UserTime: s.User.Milliseconds(), LastUser: s.LastUser.Milliseconds(),
		SystemTime: s.System.Milliseconds(), LastSystem: s.LastSystem.Milliseconds(),
		AverageMemory: s.Memory, LastMemory: s.LastMemory,
	}
	if !s.LastExecuted.IsZero() {
		r.LastExecuted = s.LastExecuted.Unix()
	}
	return r
}
