package agent

import (
	"context"

	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/tables"
)

type limStats struct{ CapturePercent float64 }
type limiter interface {
	Pace(ctx context.Context) error
	Stats() limStats
}
type nolimit struct{}

func (nolimit) Pace(ctx context.Context) error { return ctx.Err() }
func (nolimit) Stats() limStats                { return limStats{} }
func newLimiter(float64) (limiter, error)      { return nolimit{}, nil }

type packs struct{}

func newPacks(a *Agent) (*packs, error)               { return &packs{}, nil }
func (p *packs) set(c *pack.Config, classes []string) {}
func (p *packs) run(ctx context.Context)              { <-ctx.Done() }
func (p *packs) stats() []tables.QueryStats           { return nil }
