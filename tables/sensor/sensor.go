// Package sensor publishes what the kernel and the operating system say as
// events, keeps them in the event log, and counts what was lost on the way.
package sensor

import (
	"context"
	"time"

	"github.com/aiedr/edr/tables/event"
)

// Mechanism is one way to get the events of a table, such as eBPF or audit.
type Mechanism interface {
	// Name is what edr_sensors shows, such as "ebpf".
	Name() string
	// Start begins to publish to out and returns when the first events can
	// be seen; it keeps running until the context ends or Running.Close. An
	// error says why this mechanism cannot run here and what would bring it.
	Start(ctx context.Context, out Publisher) (Running, error)
}

// Running is a mechanism at work.
type Running interface {
	// Done is closed when the mechanism has stopped; Err then says why, and
	// is nil after Close.
	Done() <-chan struct{}
	Err() error
	// Close detaches from the kernel and waits until nothing is published
	// any more. It leaves nothing behind.
	Close() error
}

// Drainer is a Running that gathers events for a while before it publishes
// them. SetDrain sets for how long; 0 brings back its own choice.
type Drainer interface{ SetDrain(d time.Duration) }

// Flusher is a Running that holds events back. Flush publishes them.
type Flusher interface{ Flush() }

// Describer is a Running that has something to say in the status, such as a
// folder that it cannot watch. Degraded means that it sees less than its
// table promises.
type Describer interface {
	Describe() (detail string, degraded bool)
}

// Publisher takes events from a mechanism. Publish never blocks on the disk
// or on the CPU limit for long: capture does not wait for analysis.
type Publisher interface {
	// Publish takes the event over: the caller does not touch it again.
	Publish(e event.Event)
	// Lost counts n events known to be lost (n 0: unknown how many) by cause,
	// such as "ring buffer full" or "sequence gap on cpu 1".
	Lost(n uint64, cause string)
}

// Spec declares a sensor: a table and the mechanisms that can fill it, best
// first. When one cannot run, the next takes over and the status says why.
type Spec struct {
	Name       string // such as "process"
	Tables     []string
	Mechanisms []Mechanism
}
