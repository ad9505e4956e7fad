package eventlog

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
)

// load reads the directory and mends what a crash left.
func (l *Log) load() (err error) {
	// Small windows: a block is no larger, and an agent at rest should be small.
	l.enc, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(blockRaw), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return err
	}
	l.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxPayload))
	if err != nil {
		return err
	}
	names, err := segmentsIn(l.o.Dir)
	if err != nil {
		return err
	}
	for i, name := range names {
		if err := l.loadSegment(name, i == len(names)-1); err != nil {
			return err
		}
	}
	for i, s := range l.segments[:max(len(l.segments)-1, 0)] {
		if next := l.segments[i+1]; s.cut && next.firstID > s.lastID+1 {
			s.add(block{flags: flagGap, tables: allTables, at: -1, firstID: s.lastID + 1, lastID: next.firstID - 1,
				minTime: s.maxTime, maxTime: max(s.maxTime, next.minTime)})
		}
	}
	reserve, next, clean, err := openReservation(l.o.Dir)
	if err != nil {
		return err
	}
	l.reserve = reserve
	last := l.unread
	for _, s := range l.segments {
		last = max(last, s.lastID, s.firstID-1)
	}
	fresh := next == 0 && len(names) == 0 && len(l.stats.SetAside) == 0
	switch {
	case fresh:
		next = 1
	case next <= last: // the file is lost or older than the events
		next, clean = last+1+ahead, false
	}
	l.nextID = next
	if !fresh && (!clean || l.stats.CutBytes > 0) {
		l.unclean(last)
	}
	if err := l.reserve.write(l.nextID+ahead, 0); err != nil {
		return err
	}
	l.reserved = l.nextID + ahead
	l.report()
	return nil
}

func segmentsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if _, ok := segmentID(e.Name()); ok && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names) // equal width: also by number
	return names, nil
}

func (l *Log) loadSegment(name string, newest bool) error {
	path := filepath.Join(l.o.Dir, name)
	id, _ := segmentID(name)
	s, d, err := openSegment(path, id, newest, l.dec)
	if err != nil {
		// One file is no reason to record nothing: it stays for who can read it.
		l.o.Logger.Error("event log: a segment cannot be opened; the others are in use", "path", path, "err", err)
		l.stats.SetAside = append(l.stats.SetAside, path)
		l.noteGap(gap{allTables, id, id, 0, l.o.Now().UnixNano(), fmt.Sprintf("segment %s cannot be opened: %v", name, err), false})
		l.unread = max(l.unread, id)
		return nil
	}
	l.stats.DamagedBlocks += uint64(d.places)
	if newest {
		l.stats.CutBytes = d.cut
	} else if d.cut > 0 {
		l.stats.DamagedBlocks++
	}
	if len(s.blocks) == 0 && (newest && d.cut == 0 || s.size <= segmentHeader) {
		s.release()
		return os.Remove(path) // nothing had been written to it
	}
	if len(s.blocks) == 0 {
		// A whole file without one good block is kept for who wants to look,
		// and out of the way.
		s.release()
		aside := path + ".damaged"
		if err := os.Rename(path, aside); err != nil {
			return err
		}
		l.stats.SetAside = append(l.stats.SetAside, aside)
		l.noteGap(gap{allTables, id, id, 0, l.o.Now().UnixNano(), "segment " + name + " held no readable block and was set aside", false})
		return nil
	}
	s.mark(d)
	l.segments = append(l.segments, s)
	return nil
}

// mark puts gaps between the blocks of a damaged segment where numbers are
// missing, so that each read tells of them.
func (s *segment) mark(d damage) {
	if d.places == 0 {
		return
	}
	marked := make([]block, 0, len(s.blocks)+d.places)
	prev := block{lastID: s.firstID - 1, maxTime: s.blocks[0].minTime, at: segmentHeader - headerSize}
	for _, b := range s.blocks {
		if b.at > prev.at+prev.size() && b.firstID > prev.lastID+1 {
			marked = append(marked, block{
				flags: flagGap, tables: allTables, at: -1,
				firstID: prev.lastID + 1, lastID: b.firstID - 1,
				minTime: min(prev.maxTime, b.minTime), maxTime: max(prev.maxTime, b.minTime),
			})
			s.tables = allTables
		}
		marked = append(marked, b)
		prev = b
	}
	s.blocks = marked
}

// unclean notes that the events of the last moments before a crash are missing.
func (l *Log) unclean(last uint64) {
	l.stats.Unclean = true
	now := l.o.Now()
	since := now.Add(-l.o.MaxAge).UnixNano()
	if n := len(l.segments); n > 0 {
		since = l.segments[n-1].maxTime
	}
	to := max(since, min(now.UnixNano(), since+int64(time.Minute)))
	l.noteGap(gap{allTables, last + 1, max(l.nextID-1, last+1), since, to, fmt.Sprintf(
		"the agent did not stop in order after %s: events of its last %s may be missing",
		time.Unix(0, since).UTC().Format(time.RFC3339), l.o.SyncEvery),
		// Unless something was cut off, the numbers were only set aside: to name
		// them would tell of events that most likely never were.
		l.stats.CutBytes == 0})
}

// report tells the operator what opening found.
func (l *Log) report() {
	s := &l.stats
	if s.Unclean || s.CutBytes > 0 || s.DamagedBlocks > 0 || len(s.SetAside) > 0 {
		l.o.Logger.Warn("event log was not closed in order or is damaged; the rest is in use",
			"dir", l.o.Dir, "cut_bytes", s.CutBytes, "damaged_places", s.DamagedBlocks, "set_aside", s.SetAside,
			"may_be_missing", l.o.SyncEvery.String()+" before the stop")
	}
}
