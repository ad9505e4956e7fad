package eventlog

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"
)

// expire removes the oldest segments until coming bytes fit and none is too old.
func (l *Log) expire(coming int64) {
	for {
		l.mu.Lock()
		total := coming
		for _, s := range l.segments {
			total += s.size
		}
		why := ""
		if len(l.segments) > 0 {
			oldest := l.segments[0]
			switch {
			case total > l.o.MaxBytes && len(l.segments) > 1:
				why = "size"
			case len(oldest.blocks) > 0 && l.o.Now().UnixNano()-oldest.maxTime > int64(l.o.MaxAge) &&
				(len(l.segments) > 1 || coming == 0):
				why = "age"
			}
		}
		l.mu.Unlock()
		if why == "" || !l.dropSegment(why) {
			return
		}
	}
}

// dropOldest removes the oldest segment if it is not the one being written.
func (l *Log) dropOldest(why string) bool {
	l.mu.Lock()
	several := len(l.segments) > 1
	l.mu.Unlock()
	return several && l.dropSegment(why)
}

func (l *Log) dropSegment(why string) bool {
	l.mu.Lock()
	s := l.segments[0]
	l.segments = append([]*segment(nil), l.segments[1:]...)
	if len(l.segments) == 0 {
		l.dirty = false
	}
	l.stats.ExpiredSegments++
	l.stats.ExpiredEvents += s.events
	l.mu.Unlock()
	var failed atomic.Bool
	remove := func() { failed.Store(!l.removeSegment(s, why)) }
	if runtime.GOOS == "windows" { // which removes no file that is open
		s.unused.Store(&remove)
	} else {
		remove()
	}
	s.release() // readers that hold it read on
	return !failed.Load()
}

func (l *Log) removeSegment(s *segment, why string) bool {
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		l.o.Logger.Error("event log: remove the oldest segment", "path", s.path, "why", why, "err", err)
		return false
	}
	l.o.Logger.Debug("event log: removed the oldest segment", "path", s.path, "why", why, "events", s.events)
	return true
}
