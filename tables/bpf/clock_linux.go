package bpf

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock turns the kernel's time since boot into wall time. The offset between
// the two moves when somebody sets the clock, so it is measured again now and
// then. Not for concurrent use.
type Clock struct {
	offset   int64 // wall minus boot time, nanoseconds
	measured time.Time
}

// Remeasure is how old an offset may be.
const Remeasure = 5 * time.Second

// Measure takes the offset anew if it is older than Remeasure. Call it once a
// batch of events.
func (c *Clock) Measure() {
	if !c.measured.IsZero() && time.Since(c.measured) < Remeasure {
		return
	}
	var boot, wall unix.Timespec
	// Neither call can fail with these clocks.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
	c.offset = wall.Nano() - boot.Nano()
	c.measured = time.Now()
}

// Wall is the wall time of a moment in nanoseconds since boot.
func (c *Clock) Wall(boot uint64) time.Time {
	if c.measured.IsZero() {
		c.Measure()
	}
	return time.Unix(0, int64(boot)+c.offset)
}
