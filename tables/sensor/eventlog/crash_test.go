package eventlog

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/event"
)

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// prefix checks that got is 0, 1, 2 … with nothing missing, at least atLeast long.
func prefix(t *testing.T, got []int, atLeast int) {
	t.Helper()
	if len(got) < atLeast || !slices.Equal(got, run(0, len(got))) {
		t.Errorf("%d events whole and in order: %v; want at least the first %d", len(got), slices.Equal(got, run(0, len(got))), atLeast)
	}
}

func TestCrashLosesOnlyWhatWasNotSynced(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, MaxBytes: 4 << 20, SyncEvery: time.Hour})
	r := rand.New(rand.NewPCG(3, 4))
	n := 0
	for range 12 {
		more := r.IntN(1500)
		appendN(t, l, n, n+more)
		n += more
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		synced := n
		more = r.IntN(3000) // of these, full blocks reach the disk by chance
		appendN(t, l, n, n+more)
		n += more
		crashed := copyDir(t, dir)
		after := open(t, Options{Dir: crashed})
		got, gaps := read(t, after, tables.EventQuery{})
		prefix(t, got, synced)
		if !after.Stats().Unclean || len(gaps) != 1 {
			t.Errorf("a crash was not told of: %+v, gaps %v", after.Stats(), gaps)
		}
		if after.LastID() < uint64(n) {
			t.Errorf("number %d could be given out again: %d had been", after.LastID()+1, n)
		}
		appendN(t, after, len(got), len(got)+10)
		if again, _ := read(t, after, tables.EventQuery{}); len(again) != len(got)+10 {
			t.Errorf("%d events after a crash, want %d", len(again), len(got)+10)
		}
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
		reopened := open(t, Options{Dir: crashed})
		if again, gaps := read(t, reopened, tables.EventQuery{}); len(again) != len(got)+10 || len(gaps) != 1 {
			t.Errorf("reopened: %d events, gaps %v", len(again), gaps)
		}
	}
}

func lastSegment(t *testing.T, dir string) string {
	t.Helper()
	names, err := segmentsIn(dir)
	if err != nil || len(names) == 0 {
		t.Fatalf("segments %v: %v", names, err)
	}
	return filepath.Join(dir, names[len(names)-1])
}

// written makes a directory of 3,000 events in blocks of at most 100.
func written(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, SyncEvery: time.Hour})
	for n := 0; n < 3000; n += 100 {
		appendN(t, l, n, n+100)
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTornTailIsCut(t *testing.T) {
	dir := written(t)
	r := rand.New(rand.NewPCG(5, 6))
	for range 40 {
		torn := copyDir(t, dir)
		seg := lastSegment(t, torn)
		info, _ := os.Stat(seg)
		size := r.Int64N(info.Size())
		if err := os.Truncate(seg, size); err != nil {
			t.Fatal(err)
		}
		l := open(t, Options{Dir: torn})
		got, gaps := read(t, l, tables.EventQuery{})
		prefix(t, got, 0)
		if len(got)%100 != 0 {
			t.Errorf("cut to %d bytes: %d events: half a block", size, len(got))
		}
		if s := l.Stats(); len(got) < 3000 && (s.LastID < 3000 || len(gaps) == 0 && s.CutBytes > 0) {
			t.Errorf("cut to %d bytes: stats %+v, gaps %v", size, s, gaps)
		}
		if err := l.Append([]event.Event{exec(len(got))}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFlippedBytesCostOnlyTheirBlock(t *testing.T) {
	dir := written(t)
	r := rand.New(rand.NewPCG(7, 8))
	for i := range 60 {
		bad := copyDir(t, dir)
		seg := lastSegment(t, bad)
		if i%2 == 0 { // damage to a segment that is no longer the newest
			l := open(t, Options{Dir: bad})
			l.mu.Lock()
			l.segments[0].created = time.Time{}
			l.mu.Unlock()
			appendN(t, l, 3000, 3100)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		data, err := os.ReadFile(seg)
		if err != nil {
			t.Fatal(err)
		}
		at := segmentHeader + r.IntN(len(data)-segmentHeader)
		data[at] ^= byte(1 + r.IntN(255))
		if err := os.WriteFile(seg, data, 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, Options{Dir: bad})
		total := 3000 + 100*(1-i%2)
		got, gaps := read(t, l, tables.EventQuery{})
		if len(got) != total-100 {
			t.Errorf("byte %d: %d events, want all but one block of 100", at, len(got))
		}
		s := l.Stats()
		if len(gaps) == 0 || s.DamagedBlocks == 0 && s.CutBytes == 0 {
			t.Errorf("byte %d: nothing was said: gaps %v, stats %+v", at, gaps, s)
		}
		if n := len(gaps); n > 0 {
			covered := map[uint64]bool{}
			for _, id := range got {
				covered[uint64(id+1)] = true
			}
			for id := uint64(1); id <= uint64(total); id++ {
				in := false
				for _, g := range gaps {
					in = in || id >= g.FromID && id <= g.ToID
				}
				if !covered[id] && !in {
					t.Fatalf("byte %d: event %d is missing and in no gap: %v", at, id, gaps)
				}
			}
		}
		if err := l.Append([]event.Event{exec(1)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGarbageIsSetAside(t *testing.T) {
	dir := written(t)
	names, _ := segmentsIn(dir)
	garbage := make([]byte, 5000)
	for i := range garbage {
		garbage[i] = byte(i * 7)
	}
	if err := os.WriteFile(filepath.Join(dir, segmentName(0)), garbage, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "next"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, Options{Dir: dir})
	got, gaps := read(t, l, tables.EventQuery{})
	prefix(t, got, 3000)
	if s := l.Stats(); len(s.SetAside) != 1 || !s.Unclean || s.LastID < 3000+ahead || len(gaps) == 0 {
		t.Errorf("stats %+v, gaps %v, segments %v", s, gaps, names)
	}
}

func FuzzBlock(f *testing.F) {
	l := open(f, Options{Dir: f.TempDir()})
	recs := []record{}
	for n := range 20 {
		r, err := l.record(exec(n), uint64(n+5))
		if err != nil {
			f.Fatal(err)
		}
		recs = append(recs, r)
	}
	whole, _ := encodeBlock(nil, recs, l.enc)
	f.Add(whole)
	one, _ := encodeBlock(nil, recs[:1], l.enc)
	f.Add(one)
	lost, _ := encodeGap(nil, gap{allTables, 3, 9, 1, 2, "why", false})
	f.Add(lost)
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := parseHeader(data)
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Fatal(err)
			}
			// The checksum stops nearly all inputs: walk the bytes as a payload too.
			b = block{count: 5, firstID: 1, lastID: 1 << 40}
			walk(t, &b, data)
			return
		}
		raw, err := b.open(data[headerSize:], l.dec)
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Fatal(err)
			}
			return
		}
		if !b.gap() {
			walk(t, &b, raw)
		}
	})
}

func walk(t *testing.T, b *block, raw []byte) {
	n, last := uint32(0), uint64(0)
	err := b.records(raw, func(r record) bool {
		if r.ID < last || r.ID > b.lastID {
			t.Fatalf("number %d after %d in a block up to %d", r.ID, last, b.lastID)
		}
		n, last = n+1, r.ID
		return true
	})
	if err == nil && n != b.count || err != nil && !errors.Is(err, errDamaged) {
		t.Fatalf("%d records of %d: %v", n, b.count, err)
	}
}
