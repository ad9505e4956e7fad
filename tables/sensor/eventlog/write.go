package eventlog

import (
	"errors"
	"fmt"
	"time"
)

// wake tells the writer that there is something to write. Only the first event
// after a quiet time and a full block do so: the writer's clock does the rest.
func (l *Log) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// run writes: at once when a block is full, and what there is after SyncEvery.
// With nothing to write it sleeps.
func (l *Log) run() {
	defer close(l.stopped)
	var due <-chan time.Time
	expiry := time.NewTicker(time.Minute)
	defer expiry.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-l.kick:
			if due == nil {
				due = time.After(l.o.SyncEvery)
			}
			if l.full() {
				l.flush(false)
			}
		case <-due:
			due = nil
			l.flush(true)
			if l.waiting() {
				due = time.After(l.o.SyncEvery)
			}
		case <-expiry.C:
			l.writing.Lock()
			l.expire(0)
			l.writing.Unlock()
		}
	}
}

func (l *Log) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pendingBytes >= blockRaw && l.stats.LastError == "" // a disk that fails is tried on the clock
}

func (l *Log) waiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending) > 0 || len(l.gaps) > 0 || l.dirty
}

// Sync writes and syncs what has been appended so far.
func (l *Log) Sync() error { return l.flush(true) }

// flush writes what is pending and, if asked, syncs it. What cannot be written
// stays pending.
func (l *Log) flush(sync bool) error {
	l.writing.Lock()
	defer l.writing.Unlock()

	l.keepAhead()
	l.mu.Lock()
	recs, gaps := l.pending, l.gaps
	l.flushing, l.pending, l.gaps = recs, nil, nil
	l.mu.Unlock()

	err := l.write(recs, gaps)

	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		// write has taken over into segments what it wrote; the rest waits.
		l.pending = append(append(make([]record, 0, len(l.flushing)+len(l.pending)), l.flushing...), l.pending...)
		l.flushing = nil
		if l.stats.LastError == "" {
			l.o.Logger.Error("event log cannot be written; events wait in memory", "err", err, "dir", l.o.Dir)
		}
		l.stats.LastError = err.Error()
		return err
	}
	l.flushing = nil
	if l.stats.LastError != "" {
		l.o.Logger.Info("event log is written again", "dir", l.o.Dir)
		l.stats.LastError = ""
	}
	if !sync || !l.dirty {
		return nil
	}
	s := l.segments[len(l.segments)-1]
	s.retain()
	l.dirty = false
	l.mu.Unlock()
	err = s.f.Sync()
	s.release()
	l.mu.Lock()
	if err != nil {
		l.dirty = true
		l.stats.LastError = err.Error()
		return fmt.Errorf("sync event log %s: %w", s.path, err)
	}
	return nil
}

// keepAhead reserves numbers long before they are needed, so that Append need
// not wait for it.
func (l *Log) keepAhead() {
	l.mu.Lock()
	upTo := l.nextID + 2*ahead
	enough := l.nextID+ahead/2 <= l.reserved
	l.mu.Unlock()
	if enough {
		return
	}
	if err := l.reserve.write(upTo, 0); err != nil {
		l.o.Logger.Error("event log: after a crash numbers may be given out twice", "err", err)
		return
	}
	l.mu.Lock()
	l.reserved = max(l.reserved, upTo)
	l.mu.Unlock()
}

// write writes gaps and records in the order of their numbers, block by block.
// Each block that is written moves from flushing into its segment at once.
func (l *Log) write(recs []record, gaps []gap) error {
	for len(recs) > 0 || len(gaps) > 0 {
		var buf []byte
		var b block
		n := 0
		if len(gaps) > 0 && (len(recs) == 0 || gaps[0].firstID < recs[0].ID) {
			buf, b = encodeGap(nil, gaps[0])
			if err := l.writeBlock(buf, b, 0); err != nil {
				l.putBack(gaps)
				return err
			}
			gaps = gaps[1:]
			continue
		}
		for raw := 0; n < len(recs) && (n == 0 || raw+recs[n].size() <= blockRaw); n++ {
			if len(gaps) > 0 && recs[n].ID > gaps[0].firstID {
				break
			}
			raw += recs[n].size()
		}
		buf, b = encodeBlock(nil, recs[:n], l.enc)
		if err := l.writeBlock(buf, b, n); err != nil {
			l.putBack(gaps)
			return err
		}
		recs = recs[n:]
	}
	return nil
}

func (l *Log) putBack(gaps []gap) {
	l.mu.Lock()
	l.gaps = append(append([]gap(nil), gaps...), l.gaps...)
	l.mu.Unlock()
}

// writeBlock appends one block of n records to the newest segment, or to a new
// one. Where the disk is full, the oldest segment makes room, once.
func (l *Log) writeBlock(buf []byte, b block, n int) error {
	l.expire(int64(len(buf)))
	s, err := l.current(b.firstID, int64(len(buf)))
	if err == nil {
		_, err = s.f.WriteAt(buf, s.size)
	}
	if err != nil && l.dropOldest("the disk cannot be written: "+err.Error()) {
		if s, err = l.current(b.firstID, int64(len(buf))); err == nil {
			_, err = s.f.WriteAt(buf, s.size)
		}
	}
	if err != nil {
		if s != nil {
			err = errors.Join(err, s.f.Truncate(s.size))
		}
		return fmt.Errorf("write event log in %s: %w (free some space there, or give another -data)", l.o.Dir, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b.at = s.size
	s.size += int64(len(buf))
	s.add(b)
	for _, r := range l.flushing[:n] {
		l.pendingBytes -= int64(r.size())
	}
	l.flushing = l.flushing[n:]
	l.dirty = true
	l.stats.WrittenBytes += int64(len(buf))
	return nil
}

// segmentBytes is how large a segment grows: small enough that removing one
// keeps most of the record.
func (l *Log) segmentBytes() int64 { return max(l.o.MaxBytes/32, 64<<10) }

// current is the segment to append to.
func (l *Log) current(firstID uint64, size int64) (*segment, error) {
	l.mu.Lock()
	var s *segment
	if n := len(l.segments); n > 0 {
		s = l.segments[n-1]
		old := l.o.Now().Sub(s.created) > l.o.MaxAge/24
		if s.size+size <= l.segmentBytes() && !(old && len(s.blocks) > 0) || len(s.blocks) == 0 {
			l.mu.Unlock()
			return s, nil
		}
	}
	l.mu.Unlock()
	if s != nil {
		if err := s.f.Sync(); err != nil {
			return nil, err
		}
	}
	next, err := createSegment(l.o.Dir, firstID)
	if err != nil {
		return nil, err
	}
	if err := syncDir(l.o.Dir); err != nil {
		l.o.Logger.Warn("event log: sync directory", "dir", l.o.Dir, "err", err)
	}
	next.created = l.o.Now()
	l.mu.Lock()
	l.segments = append(l.segments, next)
	l.mu.Unlock()
	return next, nil
}

// Close writes and syncs everything and gives the directory back. Reads that
// are under way end as they would have.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.quit)
	<-l.stopped
	err := l.flush(true)
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		err = l.reserve.write(l.nextID, reservationClean)
	}
	for _, s := range l.segments {
		s.release()
	}
	l.segments = nil
	l.enc.Close()
	return errors.Join(err, l.reserve.f.Close(), l.lock.Close())
}
