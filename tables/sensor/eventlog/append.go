package eventlog

import (
	"errors"
	"fmt"
	"time"

	"github.com/aiedr/edr/tables/event"
)

// NotRecordedError says that events have their numbers but are not kept: the
// disk cannot be written, or not as fast as events come.
type NotRecordedError struct {
	Events int
	Cause  string
}

func (e *NotRecordedError) Error() string {
	return fmt.Sprintf("record %d events: %s; they can be seen live but not be queried", e.Events, e.Cause)
}

// Append records events in this order and sets their numbers. It does not
// wait for the disk. Events that cannot be kept get their numbers all the
// same; a *NotRecordedError says how many, and the gap is recorded.
func (l *Log) Append(events []event.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return &NotRecordedError{len(events), "the event log is closed"}
	}
	idle := len(l.pending) == 0 && len(l.gaps) == 0
	lost, cause := 0, ""
	for _, e := range events {
		if l.nextID >= l.reserved {
			// The writer reserves long before; only a flood or a stuck disk
			// gets here.
			upTo := l.nextID + 2*ahead
			if err := l.reserve.write(upTo, 0); err != nil {
				l.stats.LastError = err.Error()
			}
			l.reserved = upTo
		}
		id := l.nextID
		l.nextID++
		e.Head().SetID(id)
		r, err := l.record(e, id)
		if err == nil && l.pendingBytes+int64(r.size()) > l.o.MaxPending {
			err = errors.New("what waits to be written fills its memory")
			if l.stats.LastError != "" {
				err = errors.New(l.stats.LastError)
			}
		}
		if err != nil {
			lost, cause = lost+1, err.Error()
			l.noteGap(gap{1 << r.code, id, id, r.Time.UnixNano(), r.Time.UnixNano(), cause, false})
			l.stats.NotRecorded++
			continue
		}
		l.pending = append(l.pending, r)
		l.pendingBytes += int64(r.size())
		l.stats.Recorded++
	}
	if idle || l.pendingBytes >= blockRaw {
		l.wake()
	}
	if lost > 0 {
		return &NotRecordedError{lost, cause}
	}
	return nil
}

// Gap records that a sensor lost events of these tables between two times, so
// that a query of that time says so.
func (l *Log) Gap(names []string, from, to time.Time, reason string) {
	var set uint64
	for _, name := range names {
		if code, ok := event.Code(name); ok {
			set |= 1 << code
		}
	}
	if set == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	id := l.nextID
	l.nextID++
	l.noteGap(gap{set, id, id, from.UnixNano(), to.UnixNano(), reason, true})
	l.wake()
}

// record encodes an event into memory that is never written to again.
func (l *Log) record(e event.Event, id uint64) (record, error) {
	code, ok := event.Code(e.Table())
	r := record{code: code}
	r.ID, r.Time = id, e.When()
	if !ok {
		return r, fmt.Errorf("%s is no event table", e.Table())
	}
	if cap(l.arena)-len(l.arena) < 4<<10 {
		l.arena = make([]byte, 0, 64<<10)
	}
	start := len(l.arena)
	buf, err := event.Append(l.arena, e)
	if err != nil {
		return r, err
	}
	if len(buf)-start > maxRecord {
		return r, fmt.Errorf("an event of %d bytes is larger than the log takes (%d)", len(buf)-start, maxRecord)
	}
	if &buf[0] != &l.arena[:1][0] { // it had outgrown the arena and lies in its own memory
		r.Data = append([]byte(nil), buf[start:]...)
		return r, nil
	}
	l.arena = buf
	r.Data = buf[start:len(buf):len(buf)]
	return r, nil
}

// noteGap joins a gap to the last one where they touch.
func (l *Log) noteGap(g gap) {
	if n := len(l.gaps); n > 0 {
		last := &l.gaps[n-1]
		if last.reason == g.reason && !g.loss && !last.loss && last.lastID+1 == g.firstID {
			last.lastID, last.tables = g.lastID, last.tables|g.tables
			last.minTime, last.maxTime = min(last.minTime, g.minTime), max(last.maxTime, g.maxTime)
			return
		}
		if n >= 1024 { // they stay a fact, but not each by itself
			last.lastID, last.tables = g.lastID, allTables
			last.maxTime = max(last.maxTime, g.maxTime)
			return
		}
	}
	l.gaps = append(l.gaps, g)
}
