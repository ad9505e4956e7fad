package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/aiedr/edr/wire"
)

// Poster delivers a batch and returns the highest number up to which the
// server has all. An error with a method Missing() bool that says true means
// that the server lacks what follows that number.
type Poster interface {
	Post(ctx context.Context, records []wire.Record) (ack uint64, err error)
}

const (
	defaultMinDelay   = time.Second
	defaultMaxDelay   = 2 * time.Minute
	defaultBatchBytes = 4 << 20
)

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

// Run posts as records come, and after a failure waits with growing, jittered
// pauses. It ends with ctx's error, or where the outbox cannot be read.
func (s *Sender) Run(ctx context.Context) error {
	least, most, size := s.MinDelay, s.MaxDelay, s.BatchBytes
	if least <= 0 {
		least = defaultMinDelay
	}
	if most <= 0 {
		most = defaultMaxDelay
	}
	if size <= 0 {
		size = defaultBatchBytes
	}
	log := s.Log
	if log == nil {
		log = slog.Default()
	}
	failures := 0
	for {
		if err := s.Outbox.Wait(ctx); err != nil {
			return err
		}
		err := s.once(ctx, size)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, ErrClosed) {
			return err
		}
		if err == nil {
			if failures > 0 {
				log.Info("the server takes records again", "failures", failures)
			}
			failures = 0
			continue
		}
		failures++
		d := pause(failures, least, most)
		level := slog.LevelWarn
		if failures > 1 {
			level = slog.LevelDebug // once is enough until it works again
		}
		log.Log(ctx, level, "records could not be sent; they wait on disk", "error", err, "next", d.Round(time.Millisecond))
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

// pause doubles from least to most, and spreads by half around it.
func pause(failures int, least, most time.Duration) time.Duration {
	d := most
	if shift := failures - 1; shift < 20 && least<<shift < most {
		d = least << shift
	}
	return d/2 + rand.N(d)
}

func (s *Sender) once(ctx context.Context, size int) error {
	batch, err := s.Outbox.Batch(size)
	if err != nil {
		return err
	}
	if len(batch) == 0 {
		return nil
	}
	ack, err := s.Poster.Post(ctx, batch)
	var m interface{ Missing() bool }
	if errors.As(err, &m) && m.Missing() {
		err = errors.Join(err, s.Outbox.Missing(ack))
	}
	before := s.Outbox.Stats().Acked
	if ack > 0 {
		if aerr := s.Outbox.Ack(ack); aerr != nil {
			err = errors.Join(err, aerr)
		}
	}
	if err == nil && s.Outbox.Stats().Acked <= before {
		err = fmt.Errorf("post %d records: the server answered with number %d and nothing new", len(batch), ack)
	}
	s.Outbox.posted(err)
	return err
}

// posted keeps what came of a post for Stats.
func (b *Outbox) posted(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.stats.Failures++
		b.stats.LastErr = err.Error()
		return
	}
	b.stats.Posts++
	b.stats.LastSent, b.stats.LastErr = b.o.Now(), ""
}
