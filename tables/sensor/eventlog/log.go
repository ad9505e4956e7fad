package eventlog

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/aiedr/edr/tables"
)

// ErrLocked says that another process has the directory open.
var ErrLocked = errors.New("in use by another agent; ask that one, or give this one its own -data")

// Options are what a log may be told. The zero value of each field but Dir
// takes the default named.
type Options struct {
	Dir       string
	MaxBytes  int64         // of all segments; 256 MiB
	MaxAge    time.Duration // of a segment's newest event; 24 h
	SyncEvery time.Duration // at most this much is lost in a crash; 1 s
	// MaxPending bounds what waits in memory while the disk cannot be
	// written; 16 MiB.
	MaxPending int64
	// Enter is called by the goroutine that writes, and what it returns at its
	// end, so that writing is counted as capture (sensor.Meter); nil is none.
	Enter  func() (leave func())
	Logger *slog.Logger
	Now    func() time.Time
}

// Stats is the state of a log.
type Stats struct {
	Segments        int
	Bytes           int64  // on disk
	Events          uint64 // kept, on disk and in memory
	FirstID, LastID uint64
	Oldest, Newest  time.Time // times of events; zero if there is none
	PendingEvents   int       // in memory only
	PendingBytes    int64
	Recorded        uint64 // events taken since the log was opened
	WrittenBytes    int64  // since then, blocks with their headers

	ExpiredSegments uint64 // removed for size or age since then
	ExpiredEvents   uint64
	NotRecorded     uint64 // given a number, but not kept: disk full or too slow
	CutBytes        int64  // torn end that the opening cut off
	DamagedBlocks   uint64 // places that could not be read, at the opening and since
	Unclean         bool   // the log had not been closed in order
	SetAside        []string
	LastError       string // of writing; empty when the last write went well
}

// Log is an event log on disk. Its methods may be called from any goroutine.
type Log struct {
	o       Options
	lock    *os.File
	enc     *zstd.Encoder
	dec     *zstd.Decoder
	kick    chan struct{} // wakes the writer
	quit    chan struct{}
	stopped chan struct{}
	started time.Time
	// writing lets one goroutine at a time write: the writer, or who calls Sync.
	writing sync.Mutex
	reserve *reservation

	mu           sync.Mutex
	segments     []*segment
	flushing     []record // being written
	pending      []record // to be written next; only appended to
	pendingBytes int64
	gaps         []gap // to be written next
	arena        []byte
	nextID       uint64
	reserved     uint64
	dirty        bool // written and not synced
	closed       bool
	damaged      map[blockKey]bool
	unread       uint64 // highest first number of a segment that could not be opened
	stats        Stats
}

type blockKey struct {
	segment uint64
	at      int64
}

// gap is a run of events that are known to be missing.
type gap struct {
	tables           uint64
	firstID, lastID  uint64
	minTime, maxTime int64
	reason           string
	loss             bool // of a sensor: it takes one number, which no event has
}

// asError is the gap as a read tells of it.
func (g *gap) asError() *tables.GapError {
	if g.loss {
		return &tables.GapError{Reason: g.reason}
	}
	return &tables.GapError{FromID: g.firstID, ToID: g.lastID, Reason: g.reason}
}

const allTables = ^uint64(0)

// Open opens the log of a directory, which it makes where it is missing. Only
// one process can have it open; another gets an error that wraps ErrLocked.
// Damage on disk never prevents opening: it is stepped over, counted in Stats
// and told to the logger.
func Open(o Options) (*Log, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 20
	}
	if o.MaxAge <= 0 {
		o.MaxAge = 24 * time.Hour
	}
	if o.SyncEvery <= 0 {
		o.SyncEvery = time.Second
	}
	if o.MaxPending <= 0 {
		o.MaxPending = 16 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	fail := func(err error) (*Log, error) {
		return nil, fmt.Errorf("open event log %s: %w", o.Dir, err)
	}
	if o.Dir == "" {
		return fail(errors.New("no directory is given"))
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fail(err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return fail(err)
	}
	l := &Log{
		o: o, lock: lock, kick: make(chan struct{}, 1), quit: make(chan struct{}), stopped: make(chan struct{}),
		damaged: map[blockKey]bool{}, started: o.Now(),
	}
	if err := l.load(); err != nil {
		l.releaseAll()
		return fail(err)
	}
	go func() {
		if o.Enter != nil {
			defer o.Enter()()
		}
		l.run()
	}()
	return l, nil
}

func (l *Log) releaseAll() {
	for _, s := range l.segments {
		s.release()
	}
	if l.reserve != nil {
		l.reserve.f.Close()
	}
	if l.enc != nil {
		l.enc.Close()
	}
	if l.dec != nil {
		l.dec.Close()
	}
	l.lock.Close()
}

// LastID is the number of the newest event; 0 if there never was one.
func (l *Log) LastID() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nextID - 1
}

// FirstID is the number of the oldest event kept, or of the next to come.
func (l *Log) FirstID() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.firstID()
}

func (l *Log) firstID() uint64 {
	for _, s := range l.segments {
		for i := range s.blocks {
			if !s.blocks[i].gap() {
				return s.blocks[i].firstID
			}
		}
	}
	for _, recs := range [][]record{l.flushing, l.pending} {
		if len(recs) > 0 {
			return recs[0].ID
		}
	}
	return l.nextID
}

// Stats is the log's state now.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.SetAside = append([]string(nil), s.SetAside...)
	s.Segments, s.FirstID, s.LastID = len(l.segments), l.firstID(), l.nextID-1
	s.PendingEvents, s.PendingBytes = len(l.pending)+len(l.flushing), l.pendingBytes
	widen := func(low, high int64) {
		if s.Oldest.IsZero() || low < s.Oldest.UnixNano() {
			s.Oldest = time.Unix(0, low)
		}
		if s.Newest.IsZero() || high > s.Newest.UnixNano() {
			s.Newest = time.Unix(0, high)
		}
	}
	for _, seg := range l.segments {
		s.Bytes += seg.size
		s.Events += seg.events
		if seg.events > 0 {
			widen(seg.minTime, seg.maxTime)
		}
	}
	for _, recs := range [][]record{l.flushing, l.pending} {
		s.Events += uint64(len(recs))
		for i := range recs {
			widen(recs[i].Time.UnixNano(), recs[i].Time.UnixNano())
		}
	}
	return s
}

// Dir is the directory of the log.
func (l *Log) Dir() string { return filepath.Clean(l.o.Dir) }
