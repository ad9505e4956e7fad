package agent

import (
	"context"
	"time"

	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/tables/engine"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/wire"
)

// actDrain is how long capture gathers events while a rule could act on them.
const actDrain = 10 * time.Millisecond

// runningSQL asks for what the machine runs already when the agent starts. Its
// rows become executions, so that a program that was started while no agent
// watched is found all the same; one that was reported before has the same hit
// id and is not reported twice.
const runningSQL = `SELECT pid, parent, start_time_ns, name, path, cmdline, cwd, uid, euid, gid, egid, container_id
	FROM processes WHERE path <> ''`

// matchRunning matches the rules on the processes that run now.
func (a *Agent) matchRunning(ctx context.Context) {
	res, err := a.engine.Collect(ctx, a.host, engine.Request{SQL: runningSQL, Classes: engine.AllClasses(), Deadline: time.Minute})
	if err != nil {
		a.problems.tell("rules on what runs already", err)
		if res == nil {
			return
		}
	}
	var ev rule.Event
	for i, r := range res.Rows {
		a.detector.one(ctx, &ev, a.execOf(r))
		if i%64 == 63 && a.detector.pace(ctx) != nil {
			return
		}
	}
}

func (a *Agent) execOf(r []any) *event.Exec {
	num := func(i int) int64 { n, _ := r[i].(int64); return n } // NULL is 0
	text := func(i int) string { return wire.ValueOf(r[i]).String() }
	e := &event.Exec{
		Actor:  event.Actor{PID: num(0), StartTime: num(2), Path: text(4), Container: text(11)},
		Parent: num(1), Name: text(3), Cmdline: text(5), CWD: text(6),
		UID: num(7), EUID: num(8), GID: num(9), EGID: num(10),
	}
	e.Source = "processes"
	if at := a.detector.convert.wall(e.StartTime); !at.IsZero() {
		e.At(at)
	} else {
		e.At(a.now())
	}
	return e
}
