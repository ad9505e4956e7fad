// Package outbox is the agent's durable queue of records for the server: what
// was added is on disk, numbered, and stays until the server has it. Where it
// reaches its bound the oldest records go, and a gap record says which.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aiedr/edr/wire"
)

// ErrInUse says that another process holds the outbox.
var ErrInUse = errors.New("another process holds this outbox: stop the other agent or give another -data folder")

// ErrTooLarge says that a record is larger than the wire can carry: split it.
var ErrTooLarge = errors.New("the record is larger than the wire carries: split it")

// ErrClosed says that the outbox was closed.
var ErrClosed = errors.New("the outbox is closed")

const (
	defaultMaxBytes     = 256 << 20
	defaultSegmentBytes = 4 << 20
	syncEvery           = time.Second
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

	disk *disk // a test's
}

// Stats is the state of an outbox.
type Stats struct {
	Outbox  string // the id of its life
	Records uint64 // waiting
	Bytes   int64  // on disk
	Added   uint64 // since it was opened
	Dropped uint64 // lost to the bound or to damage since it was opened
	Next    uint64 // number of the next record
	Acked   uint64 // highest number that the server has

	Posts    uint64    // that were answered, since it was opened
	Failures uint64    // posts that failed
	LastSent time.Time // of the last good post
	LastErr  string    // of the last failed post; empty after a good one
}

// segment is one file of records.
type segment struct {
	path        string
	first, next uint64 // numbers of its first record and after its last
	size        int64
}

// Outbox is the queue. One process holds it at a time; its methods may be
// called from several goroutines.
type Outbox struct {
	o    Options
	disk *disk
	lock *os.File
	id   string
	dir  string // of this life

	mu       sync.Mutex
	segments []segment // oldest first; the last is written
	file     *os.File  // of the last
	acked    uint64
	// at is the byte in the first segment at which the first record stands
	// that is not acknowledged.
	at     int64
	gap    *wire.Record // the last gap record, while what it explains is to come
	gapEnd uint64       // Gap.To of it
	stats  Stats
	wake   chan struct{} // closed and renewed when a record comes
	dirty  bool          // a sync is under way for what is not synced
	synced uint64        // number up to which all is on disk
	closed bool

	syncMu sync.Mutex // one sync at a time; taken before mu
}

// urgent says which records are on disk before Add returns.
func urgent(k wire.Kind) bool { return k == wire.KindHit || k == wire.KindOutcome }

// Add appends a record whose body is marshalled to JSON and returns its
// number. A hit or outcome is on disk when it returns; others are within a
// second.
func (b *Outbox) Add(kind wire.Kind, body any) (uint64, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, fmt.Errorf("add a %s to the outbox: %w", kind, err)
	}
	b.mu.Lock()
	n, err := b.append(kind, text, b.o.Now())
	if err == nil {
		b.bound()
		b.announce()
		if !urgent(kind) {
			b.syncSoon()
		}
	}
	b.mu.Unlock()
	if err != nil {
		return 0, fmt.Errorf("add a %s to the outbox: %w", kind, err)
	}
	if urgent(kind) {
		return n, b.syncTo(n)
	}
	return n, nil
}

// append writes a record; the caller holds mu.
func (b *Outbox) append(kind wire.Kind, body json.RawMessage, at time.Time) (uint64, error) {
	if b.closed {
		return 0, ErrClosed
	}
	last := &b.segments[len(b.segments)-1]
	rec := wire.Record{Outbox: b.id, Number: last.next, Kind: kind, Time: at.UTC().Round(0), Body: body}
	text, err := json.Marshal(rec)
	if err != nil {
		return 0, err
	}
	if len(text) > maxRecord {
		return 0, fmt.Errorf("%d bytes: %w", len(text), ErrTooLarge)
	}
	if last.size >= b.o.SegmentBytes && last.next > last.first {
		if err := b.roll(); err != nil {
			return 0, err
		}
		last = &b.segments[len(b.segments)-1]
	}
	f := appendFrame(nil, rec.Number, text)
	if err := b.disk.write(b.file, f); err != nil {
		// Part of the frame may be there: take it back, so that the next one
		// does not stand behind it.
		if terr := b.disk.truncate(b.file, last.size); terr != nil {
			err = errors.Join(err, terr, b.abandon())
		}
		return 0, fmt.Errorf("write %s: %w: make room on the disk", last.path, err)
	}
	last.size += int64(len(f))
	last.next++
	b.stats.Added++
	if kind == wire.KindGap {
		var g wire.Gap
		if json.Unmarshal(body, &g) == nil && g.To < rec.Number {
			b.gap, b.gapEnd = &rec, g.To
		}
	}
	return rec.Number, nil
}

// abandon closes an outbox whose file is in an unknown state; opening it again
// takes the torn end away.
func (b *Outbox) abandon() error {
	b.closed = true
	return fmt.Errorf("%s has a torn end that cannot be taken away: restart the agent", b.segments[len(b.segments)-1].path)
}

// roll begins a new segment after syncing the present one.
func (b *Outbox) roll() error {
	last := b.segments[len(b.segments)-1]
	if err := b.disk.sync(b.file); err != nil {
		return fmt.Errorf("sync %s: %w", last.path, err)
	}
	seg, f, err := b.newSegment(b.dir, b.id, last.next)
	if err != nil {
		return err
	}
	old := b.file
	b.file, b.segments = f, append(b.segments, seg)
	b.synced = max(b.synced, last.next-1)
	return old.Close()
}

// newSegment makes a segment's file with its header, durable.
func (b *Outbox) newSegment(dir, id string, first uint64) (segment, *os.File, error) {
	path := filepath.Join(dir, fmt.Sprintf("%020d.seg", first))
	f, err := b.disk.create(path)
	if err != nil {
		return segment{}, nil, fmt.Errorf("make %s: %w", path, err)
	}
	h := appendHeader(nil, id, first)
	err = b.disk.write(f, h)
	if err == nil {
		err = b.disk.sync(f)
	}
	if err == nil {
		err = b.disk.syncDir(dir)
	}
	if err != nil {
		f.Close()
		return segment{}, nil, fmt.Errorf("make %s: %w", path, err)
	}
	return segment{path, first, first, int64(len(h))}, f, nil
}

// syncTo returns when the record with number n is on disk. Those who wait for
// each other share one sync.
func (b *Outbox) syncTo(n uint64) error {
	b.syncMu.Lock()
	defer b.syncMu.Unlock()
	b.mu.Lock()
	done, closed := b.synced >= n, b.closed
	f, last := b.file, b.segments[len(b.segments)-1]
	b.mu.Unlock()
	if done {
		return nil
	}
	if closed {
		return ErrClosed
	}
	err := b.disk.sync(f)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil && b.synced < n { // roll may have synced and closed the file meanwhile
		return fmt.Errorf("sync %s: %w", last.path, err)
	}
	if err == nil {
		b.synced = max(b.synced, last.next-1)
	}
	return nil
}

// syncSoon syncs within a second; the caller holds mu.
func (b *Outbox) syncSoon() {
	if b.dirty {
		return
	}
	b.dirty = true
	time.AfterFunc(syncEvery*9/10, func() {
		b.mu.Lock()
		b.dirty = false
		n, closed := b.segments[len(b.segments)-1].next-1, b.closed
		b.mu.Unlock()
		if closed {
			return
		}
		if err := b.syncTo(n); err != nil && !errors.Is(err, ErrClosed) {
			b.o.Log.Error("the outbox cannot be synced: records may be lost if the machine stops", "error", err)
		}
	})
}

func (b *Outbox) announce() {
	close(b.wake)
	b.wake = make(chan struct{})
}

// Wait returns when there is something to send, or with ctx's error.
func (b *Outbox) Wait(ctx context.Context) error {
	for {
		b.mu.Lock()
		waiting, wake, closed := b.waiting(), b.wake, b.closed
		b.mu.Unlock()
		if closed {
			return ErrClosed
		}
		if waiting > 0 {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waiting is how many records are here and not acknowledged; the caller holds
// mu.
func (b *Outbox) waiting() uint64 {
	return b.segments[len(b.segments)-1].next - max(b.acked+1, b.segments[0].first)
}

// Stats tells the outbox's state.
func (b *Outbox) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.Outbox, s.Acked = b.id, b.acked
	s.Next = b.segments[len(b.segments)-1].next
	s.Records = b.waiting()
	for _, seg := range b.segments {
		s.Bytes += seg.size
	}
	return s
}

// Close syncs and lets go of the folder.
func (b *Outbox) Close() error {
	b.syncMu.Lock()
	defer b.syncMu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	b.announce()
	return errors.Join(b.disk.sync(b.file), b.file.Close(), b.lock.Close())
}
