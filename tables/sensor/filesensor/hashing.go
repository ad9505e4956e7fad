package filesensor

import (
	"context"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

// Hashing says how the content of changed files is hashed. The zero value of
// a field takes the default named.
type Hashing struct {
	// Off leaves all rows without hashes.
	Off bool
	// Pacer holds hashing to the agent's CPU limit; nil does not.
	Pacer tables.Pacer
	// MaxSize is the size in bytes above which a file is not hashed; 64 MiB.
	MaxSize int64
	// Wait is the longest that an event waits for its hash, and so the longest
	// that hashing delays its record; 3 s.
	// While a rule could act on an event it is a second at most.
	Wait time.Duration
	// MaxJobs is how many files may wait to be hashed; an event that finds no
	// room is recorded without. 1,024.
	MaxJobs int
}

func (h Hashing) withDefaults() Hashing {
	if h.MaxSize <= 0 {
		h.MaxSize = 64 << 20
	}
	if h.Wait <= 0 {
		h.Wait = 3 * time.Second
	}
	if h.MaxJobs <= 0 {
		h.MaxJobs = 1024
	}
	return h
}

// hashed puts hashing between a mechanism and who records its events.
type hashed struct {
	inner interface {
		sensor.Mechanism
		startTo(ctx context.Context, out filePublisher) (sensor.Running, error)
	}
	o Hashing
}

// filePublisher is what the mechanisms publish to.
type filePublisher interface {
	sensor.Publisher
	// publishFile takes an event over with the file to hash, which is nil
	// where there is nothing to hash.
	publishFile(e *event.File, t *target)
}

// plain is a filePublisher that does not hash.
type plain struct{ sensor.Publisher }

func (p plain) publishFile(e *event.File, _ *target) { p.Publish(e) }

// withHashes is the mechanisms with hashing, unless it is off.
func withHashes[M interface {
	sensor.Mechanism
	startTo(ctx context.Context, out filePublisher) (sensor.Running, error)
}](m M, o Hashing) sensor.Mechanism {
	if o.Off {
		return m
	}
	return &hashed{m, o.withDefaults()}
}

// Name implements sensor.Mechanism.
func (h *hashed) Name() string { return h.inner.Name() }

// Start implements sensor.Mechanism.
func (h *hashed) Start(ctx context.Context, out sensor.Publisher) (sensor.Running, error) {
	s := newStage(out, h.o)
	inner, err := h.inner.startTo(ctx, s)
	if err != nil {
		s.close()
		return nil, err
	}
	if o, ok := inner.(interface {
		openFile(t *target) (contentFile, error)
	}); ok {
		s.opener(o.openFile)
	}
	return &hashedRun{Running: inner, stage: s}, nil
}

// hashedRun is a mechanism at work with its hashing.
type hashedRun struct {
	sensor.Running
	stage *stage
}

// Close implements sensor.Running: what still waits is recorded without hash.
func (r *hashedRun) Close() error {
	err := r.Running.Close()
	r.stage.close()
	return err
}

// SetDrain implements sensor.Drainer.
func (r *hashedRun) SetDrain(d time.Duration) {
	if inner, ok := r.Running.(sensor.Drainer); ok {
		inner.SetDrain(d)
	}
	r.stage.hurry(d > 0)
}

// Flush implements sensor.Flusher.
func (r *hashedRun) Flush() { r.stage.flush(notEnding) }

// Describe implements sensor.Describer.
func (r *hashedRun) Describe() (text string, degraded bool) {
	if inner, ok := r.Running.(sensor.Describer); ok {
		text, degraded = inner.Describe()
	}
	if text != "" {
		text += "; "
	}
	return text + r.stage.describe(), degraded
}

// hasContent says whether what an action leaves behind is to be hashed.
func hasContent(action string) bool {
	return action == event.FileCreated || action == event.FileUpdated || action == event.FileMovedTo
}
