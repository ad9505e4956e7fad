// Package outbox is the agent's durable queue of records for the server: what
// was added is on disk, numbered, and stays until the server has it.
package outbox

import (
	"context"
	"log/slog"
	"time"

	"github.com/aiedr/edr/wire"
)

// Options says where an outbox is and how large it may grow.
type Options struct {
	Dir string
	// MaxBytes bounds the files; the oldest records go first. 0 is 256 MiB.
	MaxBytes int64
	// SegmentBytes is the size at which a new file begins; 0 is 4 MiB.
	SegmentBytes int64
	Log          *slog.Logger
	Now          func() time.Time
}

// Stats is the state of an outbox.
type Stats struct {
	Outbox   string // the id of its life
	Records  uint64 // waiting
	Bytes    int64  // on disk
	Added    uint64 // since it was opened
	Dropped  uint64 // lost to the bound or to corruption since it was opened
	Next     uint64 // number of the next record
	Acked    uint64 // highest number that the server has
	LastSent time.Time
	Failures uint64 // posts that failed since it was opened
	LastErr  string // of the last failed post; empty after a good one
}

// Outbox is the queue. One process holds it at a time.
type Outbox struct{}

// Open opens the outbox of a folder, or makes it.
func Open(o Options) (*Outbox, error) { return nil, context.Canceled }

// Add appends a record whose body is marshalled to JSON and returns its
// number. A hit or outcome is on disk when it returns; others are within a
// second.
func (b *Outbox) Add(kind wire.Kind, body any) (uint64, error) { return 0, context.Canceled }

// Batch is the oldest records not acknowledged, at least one if there is any,
// up to maxBytes of JSON.
func (b *Outbox) Batch(maxBytes int) ([]wire.Record, error) { return nil, context.Canceled }

// Ack removes the records up to number n.
func (b *Outbox) Ack(n uint64) error { return context.Canceled }

// Wait returns when there is something to send, or with ctx's error.
func (b *Outbox) Wait(ctx context.Context) error { return ctx.Err() }

// Stats tells the outbox's state.
func (b *Outbox) Stats() Stats { return Stats{} }

// Close syncs and lets go of the folder.
func (b *Outbox) Close() error { return nil }

// Poster delivers a batch and returns the highest number that the server has.
type Poster interface {
	Post(ctx context.Context, records []wire.Record) (ack uint64, err error)
}

// Sender posts an outbox's records until ctx ends.
type Sender struct {
	Outbox *Outbox
	Poster Poster
	Log    *slog.Logger
	// MinDelay and MaxDelay bound the wait after a failure; 0 is 1 s and 2 min.
	MinDelay, MaxDelay time.Duration
	// BatchBytes bounds a post before compression; 0 is 4 MiB.
	BatchBytes int
}

// Run posts until ctx ends, whose error it returns.
func (s *Sender) Run(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
