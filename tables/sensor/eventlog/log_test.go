package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/event"
)

func open(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

var start = time.Unix(1_800_000_000, 0)

// exec is the nth event: all of it follows from n.
func exec(n int) *event.Exec {
	e := &event.Exec{Name: fmt.Sprint("name", n%7), Cmdline: fmt.Sprintf("/usr/bin/prog%d --flag value %d", n%13, n)}
	e.PID, e.Path, e.Source = int64(n), fmt.Sprintf("/usr/bin/prog%d", n%13), "test"
	e.At(start.Add(time.Duration(n) * time.Millisecond))
	return e
}

func file(n int) *event.File {
	e := &event.File{TargetPath: fmt.Sprint("/etc/f", n), PID: int64(n)}
	e.At(start.Add(time.Duration(n) * time.Millisecond))
	return e
}

func appendN(t testing.TB, l *Log, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if err := l.Append([]event.Event{exec(n)}); err != nil {
			t.Fatal(err)
		}
	}
}

// read reads and checks that numbers rise and each event is whole.
func read(t testing.TB, l *Log, q tables.EventQuery) (pids []int, gaps []*tables.GapError) {
	t.Helper()
	if q.Table == "" {
		q.Table = "process_events"
	}
	var last uint64
	for rec, err := range l.Read(context.Background(), q) {
		var gap *tables.GapError
		if errors.As(err, &gap) {
			gaps = append(gaps, gap)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if rec.ID <= last {
			t.Fatalf("number %d after %d", rec.ID, last)
		}
		last = rec.ID
		e, err := event.Decode(q.Table, rec)
		if err != nil {
			t.Fatal(err)
		}
		if x, ok := e.(*event.Exec); ok {
			want := exec(int(x.PID))
			want.SetID(rec.ID)
			if *x != *want {
				t.Fatalf("read %+v, wrote %+v", x, want)
			}
			pids = append(pids, int(x.PID))
		}
	}
	return pids, gaps
}

func run(from, to int) []int {
	s := make([]int, 0, to-from)
	for n := from; n < to; n++ {
		s = append(s, n)
	}
	return s
}

func TestReadSeesWhatIsNotYetOnDisk(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), SyncEvery: time.Hour})
	appendN(t, l, 0, 3)
	if got, _ := read(t, l, tables.EventQuery{}); !slices.Equal(got, run(0, 3)) {
		t.Errorf("in memory: %v", got)
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	appendN(t, l, 3, 5)
	if got, _ := read(t, l, tables.EventQuery{}); !slices.Equal(got, run(0, 5)) {
		t.Errorf("half on disk: %v", got)
	}
	if s := l.Stats(); s.Events != 5 || s.PendingEvents != 2 || s.LastID != 5 || s.FirstID != 1 || s.Segments != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	n := 0
	for range 4 {
		l := open(t, Options{Dir: dir})
		if got, gaps := read(t, l, tables.EventQuery{}); !slices.Equal(got, run(0, n)) || len(gaps) > 0 {
			t.Fatalf("%d events and gaps %v, want %d", len(got), gaps, n)
		}
		appendN(t, l, n, n+1000)
		n += 1000
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if s := l.Stats(); s.Unclean || s.LastID != uint64(n) {
			t.Errorf("stats %+v", s)
		}
	}
}

func TestQueriesSkipWhatTheyDoNotWant(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	for n := range 3000 {
		e := event.Event(exec(n))
		if n%3 == 0 {
			e = file(n)
		}
		if err := l.Append([]event.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	from, to := start.Add(1000*time.Millisecond), start.Add(1010*time.Millisecond)
	got, _ := read(t, l, tables.EventQuery{From: from, To: to})
	if want := []int{1000, 1001, 1003, 1004, 1006, 1007, 1009, 1010}; !slices.Equal(got, want) {
		t.Errorf("by time: %v", got)
	}
	if got, _ := read(t, l, tables.EventQuery{After: 2996, UpTo: 2999}); !slices.Equal(got, []int{2996, 2998}) {
		t.Errorf("by number: %v", got)
	}
	if got, _ := read(t, l, tables.EventQuery{Table: "socket_events"}); len(got) != 0 {
		t.Errorf("another table: %v", got)
	}
	for _, err := range l.Read(t.Context(), tables.EventQuery{Table: "processes"}) {
		if err == nil {
			t.Error("a table that is no event table was read")
		}
	}
}

func TestSecondOpenSaysWhoHasIt(t *testing.T) {
	dir := t.TempDir()
	open(t, Options{Dir: dir})
	_, err := Open(Options{Dir: dir})
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("%q does not name the process", err)
	}
}

func TestRetention(t *testing.T) {
	now := start
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, MaxBytes: 1 << 20, MaxAge: time.Hour, Now: func() time.Time { return now }})
	const total = 60000
	r := rand.New(rand.NewPCG(1, 2))
	for n := range total {
		e := exec(n)
		e.CWD = fmt.Sprintf("%016x%016x%016x", r.Uint64(), r.Uint64(), r.Uint64()) // does not compress
		if err := l.Append([]event.Event{e}); err != nil {
			t.Fatal(err)
		}
		if n%500 == 0 {
			if err := l.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	s := l.Stats()
	if s.Bytes > 1<<20 || s.Bytes < 900<<10 {
		t.Errorf("%d bytes kept of 1 MiB", s.Bytes)
	}
	if s.ExpiredSegments == 0 || s.ExpiredEvents+s.Events != total || s.FirstID != s.ExpiredEvents+1 {
		t.Errorf("stats %+v", s)
	}
	var onDisk int64
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), segmentSuffix) {
			onDisk += info.Size()
		}
	}
	if onDisk != s.Bytes {
		t.Errorf("%d bytes on disk, %d counted", onDisk, s.Bytes)
	}
	// A reader keeps what it has begun to read.
	next := 0
	for _, err := range l.Read(t.Context(), tables.EventQuery{Table: "process_events"}) {
		if err != nil {
			t.Fatal(err)
		}
		if next == 0 {
			now = now.Add(25 * time.Hour)
			l.writing.Lock()
			l.expire(0)
			l.writing.Unlock()
		}
		next++
	}
	if uint64(next) != s.Events {
		t.Errorf("read %d events of %d while they expired", next, s.Events)
	}
	if s := l.Stats(); s.Events != 0 || s.FirstID != total+1 {
		t.Errorf("after a day: %+v", s)
	}
	if err := l.Append([]event.Event{exec(1)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
}

func TestWritesWhileRead(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), SyncEvery: 5 * time.Millisecond})
	const writers, each = 3, 4000
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for n := 0; n < each; n += 20 {
				batch := make([]event.Event, 0, 20)
				for i := range 20 {
					batch = append(batch, exec(n+i))
				}
				if err := l.Append(batch); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for {
				before := l.LastID()
				got, gaps := read(t, l, tables.EventQuery{})
				if uint64(len(got)) < before || len(gaps) > 0 {
					t.Errorf("read %d events of at least %d, gaps %v", len(got), before, gaps)
				}
				if before == writers*each {
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestDiskThatCannotBeWritten(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a folder with an open file cannot be removed here")
	}
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, Options{Dir: dir, SyncEvery: time.Hour, MaxPending: 20 << 10})
	if err := os.RemoveAll(dir); err != nil { // no new segment can be made
		t.Fatal(err)
	}
	var lost int
	for n := range 500 {
		var notRecorded *NotRecordedError
		e := exec(n)
		if err := l.Append([]event.Event{e}); errors.As(err, &notRecorded) {
			lost++
		} else if err != nil {
			t.Fatal(err)
		}
		if e.ID() != uint64(n+1) {
			t.Fatalf("event %d has number %d", n, e.ID())
		}
	}
	if err := l.Sync(); err == nil {
		t.Fatal("writing without a directory went well")
	}
	if s := l.Stats(); lost == 0 || s.NotRecorded != uint64(lost) || s.LastError == "" {
		t.Errorf("lost %d, stats %+v", lost, s)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	got, gaps := read(t, l, tables.EventQuery{})
	if len(got) != 500-lost || len(gaps) != 1 || gaps[0].ToID-gaps[0].FromID+1 != uint64(lost) {
		t.Errorf("%d events and gaps %v, lost %d", len(got), gaps, lost)
	}
}
