package outbox

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/aiedr/edr/wire"
)

// Batch is the oldest records not acknowledged, at least one if there is any,
// up to maxBytes of JSON. Where numbers before them were dropped, the gap
// record that says so stands first, ahead of its number's turn. What it
// returns is on disk, so that a number never means two things.
func (b *Outbox) Batch(maxBytes int) ([]wire.Record, error) {
	b.mu.Lock()
	end := b.segments[len(b.segments)-1].next
	b.mu.Unlock()
	if err := b.syncTo(end - 1); err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, fmt.Errorf("read the outbox: %w", ErrClosed)
	}
	var out []wire.Record
	if b.gap != nil && b.segments[0].first > b.acked+1 && b.gap.Number < end {
		out = append(out, *b.gap)
		maxBytes -= len(b.gap.Body) + frameHead
	}
	size := 0
	for i := range b.segments {
		from := b.at
		if i > 0 {
			from = int64(headerLen(b.id))
		}
		more, err := b.readFrom(&b.segments[i], from, func(f frame, _ int64) (bool, error) {
			if f.number >= end || size > 0 && size+len(f.record) > maxBytes {
				return false, nil
			}
			size += len(f.record)
			var rec wire.Record
			if err := json.Unmarshal(f.record, &rec); err != nil {
				return false, fmt.Errorf("record %d: %w", f.number, err)
			}
			if len(out) > 0 && out[0].Number == rec.Number {
				return true, nil // the gap record's own turn has come
			}
			out = append(out, rec)
			return true, nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the outbox: %s: %w: restart the agent, which sets the file aside", b.segments[i].path, err)
		}
		if !more {
			break
		}
	}
	return out, nil
}

// readFrom walks a segment's frames from a byte on, until take says no. end is
// the byte after the frame.
func (b *Outbox) readFrom(seg *segment, from int64, take func(f frame, end int64) (bool, error)) (more bool, err error) {
	f, err := os.Open(seg.path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var head [frameHead]byte
	buf := make([]byte, 0, 64<<10)
	for from < seg.size {
		if _, err := f.ReadAt(head[:], from); err != nil {
			return false, err
		}
		n := int64(binary.BigEndian.Uint32(head[:]))
		if n == 0 || n > maxRecord || from+frameHead+n > seg.size {
			return false, fmt.Errorf("a frame of %d bytes: %w", n, errCorrupt)
		}
		if need := frameHead + int(n); cap(buf) < need {
			buf = make([]byte, 0, need)
		}
		buf = buf[:frameHead+n]
		if _, err := f.ReadAt(buf, from); err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		number, record, size, err := readFrame(buf)
		if err != nil {
			return false, err
		}
		from += int64(size)
		if ok, err := take(frame{number, record}, from); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// Ack removes the records up to number n. A number below the last is nothing
// new; see Missing.
func (b *Outbox) Ack(n uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("acknowledge record %d: %w", n, ErrClosed)
	}
	if next := b.segments[len(b.segments)-1].next; n >= next {
		return fmt.Errorf("acknowledge record %d: the last one here is %d", n, next-1)
	}
	if n <= b.acked {
		return nil
	}
	b.acked = n
	if err := b.forward(); err != nil {
		return fmt.Errorf("acknowledge record %d: %w", n, err)
	}
	// If this is lost in a crash the records are sent again, and the server
	// knows them; so it need not be synced.
	return b.disk.replace(filepath.Join(b.dir, ackedFile), ackedBytes(n), false)
}

// forward removes segments that are acknowledged whole and finds the first
// record that is not; the caller holds mu.
func (b *Outbox) forward() error {
	for len(b.segments) > 1 && b.segments[0].next <= b.acked+1 {
		if err := b.disk.remove(b.segments[0].path); err != nil {
			return err
		}
		b.segments, b.at = b.segments[1:], int64(headerLen(b.id))
	}
	if b.gap != nil && b.acked >= b.gapEnd {
		b.gap = nil
	}
	seg := &b.segments[0]
	if seg.next <= b.acked+1 {
		b.at = seg.size
		// All is delivered. A large file would stay until it is full; begin a
		// new one so that it can go.
		if seg.size >= b.o.SegmentBytes/4 {
			return b.replaceEmpty()
		}
		return nil
	}
	at := b.at
	_, err := b.readFrom(seg, b.at, func(f frame, end int64) (bool, error) {
		if f.number > b.acked {
			return false, nil
		}
		at = end
		return true, nil
	})
	b.at = at
	return err
}

func (b *Outbox) replaceEmpty() error {
	if err := b.roll(); err != nil {
		return err
	}
	if err := b.disk.remove(b.segments[0].path); err != nil {
		return err
	}
	b.segments, b.at = b.segments[1:], int64(headerLen(b.id))
	return nil
}

// bound drops the oldest segments while the outbox is above its bound; the
// caller holds mu. The gap record is on disk before they go.
func (b *Outbox) bound() {
	total := int64(0)
	for _, s := range b.segments {
		total += s.size
	}
	if total <= b.o.MaxBytes {
		return
	}
	k := 0
	for total > b.o.MaxBytes && k < len(b.segments)-1 {
		total -= b.segments[k].size
		k++
	}
	if k == 0 {
		return
	}
	from, to := b.acked+1, b.segments[k-1].next-1
	lost := uint64(0)
	if first := max(from, b.segments[0].first); to >= first {
		lost = to - first + 1
	}
	if from <= to {
		reason := fmt.Sprintf("the outbox reached its bound of %d bytes", b.o.MaxBytes)
		if err := b.declare(from, to, reason); err != nil {
			b.o.Log.Error("the outbox is above its bound and the oldest records cannot be dropped", "error", err)
			return
		}
	}
	for range k {
		if err := b.disk.remove(b.segments[0].path); err != nil {
			b.o.Log.Error("a file of the outbox cannot be removed", "error", err)
			break
		}
		b.segments, b.at = b.segments[1:], int64(headerLen(b.id))
	}
	b.stats.Dropped += lost
	b.o.Log.Warn("the outbox is full: the oldest records were dropped", "from", from, "to", to)
}

// declare appends a gap record and syncs it; the caller holds mu.
func (b *Outbox) declare(from, to uint64, reason string) error {
	body, err := json.Marshal(wire.Gap{From: from, To: to, Reason: reason})
	if err != nil {
		return err
	}
	if _, err := b.append(wire.KindGap, body, b.o.Now()); err != nil {
		return err
	}
	return b.disk.sync(b.file)
}

// Missing tells that the server has the records up to n only and misses what
// follows, though it may have acknowledged more before: it lost them. What is
// still here is sent again, the rest is declared as a gap.
func (b *Outbox) Missing(n uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	if n >= b.acked {
		return nil // nothing is missing that was acknowledged
	}
	if first := b.segments[0].first; n+1 < first && !b.explained(n+1, first-1) {
		if err := b.declare(n+1, first-1, "the server had them and has them no more"); err != nil {
			return fmt.Errorf("declare records %d to %d lost: %w", n+1, first-1, err)
		}
	}
	b.o.Log.Warn("the server lost records that it had acknowledged", "has", n, "had", b.acked)
	b.acked, b.at = n, int64(headerLen(b.id))
	if err := b.forward(); err != nil {
		return fmt.Errorf("go back to record %d: %w", n+1, err)
	}
	b.announce()
	return b.disk.replace(filepath.Join(b.dir, ackedFile), ackedBytes(n), false)
}

// explained says whether the last gap record covers the numbers; the caller
// holds mu.
func (b *Outbox) explained(from, to uint64) bool {
	var g wire.Gap
	return b.gap != nil && json.Unmarshal(b.gap.Body, &g) == nil && g.From <= from && g.To >= to
}

const ackedFile = "acked"

// ackedBytes is the number with its checksum.
func ackedBytes(n uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, n)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func readAcked(b []byte) (uint64, bool) {
	if len(b) != 12 || binary.BigEndian.Uint32(b[8:]) != crc32.Checksum(b[:8], castagnoli) {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}
