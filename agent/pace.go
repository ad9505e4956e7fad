package agent

import (
	"context"
	"errors"
	"time"

	"github.com/aiedr/edr/scheduler/governor"
)

// ruleWait is the longest that rules wait for the CPU limit after a batch of
// events. Detection must not fall minutes behind in a storm: what rules use
// beyond it is charged to the governor all the same, so that queries, which
// can wait, pay for it.
const ruleWait = 50 * time.Millisecond

// paceRules holds rules back a little while the agent is over its limit.
func paceRules(g *governor.Governor) func(context.Context) error {
	return func(ctx context.Context) error {
		short, cancel := context.WithTimeout(ctx, ruleWait)
		defer cancel()
		err := g.Pace(short)
		var over *governor.BudgetError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &over): // the debt is longer: Pace did not wait
			<-short.Done()
		}
		return ctx.Err()
	}
}
