package agent

import (
	"context"
	"errors"
	"time"

	"github.com/aiedr/edr/scheduler/governor"
	"github.com/aiedr/edr/tables/sensor"
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

// captureLook is how often the governor learns what capture has cost.
const captureLook = 250 * time.Millisecond

// excludeCapture tells the governor what capture costs, which it neither
// limits nor charges to queries.
func excludeCapture(ctx context.Context, g *governor.Governor, m *sensor.Meter) {
	ticker := time.NewTicker(captureLook)
	defer ticker.Stop()
	var told time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if total := m.Total(); total > told {
			g.Exclude(total - told)
			told = total
		}
	}
}
