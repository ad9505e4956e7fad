package agent

import (
	"context"
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
