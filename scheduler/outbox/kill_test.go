package outbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/aiedr/edr/wire"
)

var errKilled = errors.New("killed here")

// killAt is a disk on which the process dies at change number n, a write after
// part of its bytes.
func killAt(n, divisor int) *disk {
	return &disk{noSync: true, hook: func(op string, bytes int) (int, error) {
		n--
		switch {
		case n > 0:
			return bytes, nil
		case n == 0 && divisor > 0:
			return bytes / divisor, errKilled
		}
		return 0, errKilled
	}}
}

// ledger is what a server would know and what the caller was promised.
type ledger struct {
	content  map[string]string // outbox/number -> bytes, of all that was handed out
	promised map[string]bool   // texts of hits that Add said are on disk
	got      map[string]bool   // texts that were delivered and acknowledged
	gaps     bool
}

// deliver takes a batch as the server does, and complains if a number means
// two things.
func (l *ledger) deliver(t *testing.T, batch []wire.Record) {
	t.Helper()
	for _, r := range batch {
		raw, _ := json.Marshal(r)
		key := fmt.Sprint(r.Outbox, "/", r.Number)
		if was, ok := l.content[key]; ok && was != string(raw) {
			t.Fatalf("number %s means two things:\n%s\n%s", key, was, raw)
		}
		l.content[key] = string(raw)
		if r.Kind == wire.KindGap {
			l.gaps = true
			continue
		}
		l.got[text(t, r)] = true
	}
}

// work is a scenario that touches every kind of change. It stops at the first
// failure, as a process that is killed.
func work(t *testing.T, b *Outbox, l *ledger, run int) {
	for i := range 24 {
		what := fmt.Sprintf("run %d record %d", run, i)
		kind := wire.KindHit
		if i%3 == 2 {
			kind = wire.KindResult
		}
		if _, err := b.Add(kind, wire.Problem{Error: what}); err != nil {
			return
		}
		if kind == wire.KindHit {
			l.promised[what] = true
		}
		if i%5 == 4 {
			batch, err := b.Batch(300)
			if err != nil {
				return
			}
			l.deliver(t, batch)
			last := batch[len(batch)-1]
			if err := b.Ack(last.Number); err != nil {
				return
			}
		}
	}
}

// crash lets go of the files as the kernel does when a process dies.
func crash(b *Outbox) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.file.Close()
	b.lock.Close()
}

func TestKilledAtAnyChange(t *testing.T) {
	for _, divisor := range []int{0, 1, 3} {
		finished := false
		for n := 1; !finished; n++ {
			if n > 2000 {
				t.Fatal("the scenario does not end")
			}
			dir := t.TempDir()
			l := &ledger{content: map[string]string{}, promised: map[string]bool{}, got: map[string]bool{}}
			o := Options{Dir: dir, MaxBytes: 4 << 10, SegmentBytes: 512, Log: quiet, disk: killAt(n, divisor)}
			b, err := Open(o)
			if err == nil {
				work(t, b, l, 1)
				finished = !b.closed && o.disk.alive()
				crash(b)
			}
			o.disk = &disk{noSync: true}
			if b, err = Open(o); err != nil {
				t.Fatalf("killed at change %d, the outbox does not open: %v", n, err)
			}
			if c := corruptFiles(t, dir); len(c) > 0 {
				t.Fatalf("killed at change %d, a file was called damaged: %v", n, c)
			}
			work(t, b, l, 2)
			drain(t, b, l)
			if !l.gaps {
				for what := range l.promised {
					if !l.got[what] {
						t.Fatalf("killed at change %d, %q was promised and is lost", n, what)
					}
				}
			}
			b.Close()
			os.RemoveAll(dir)
		}
	}
}

func (d *disk) alive() bool {
	_, err := d.before("probe", 0)
	return err == nil
}

func drain(t *testing.T, b *Outbox, l *ledger) {
	t.Helper()
	for {
		batch, err := b.Batch(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) == 0 {
			return
		}
		l.deliver(t, batch)
		if err := b.Ack(batch[len(batch)-1].Number); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTornAnywhere cuts the last file at every byte, as a machine that stops.
func TestTornAnywhere(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Log: quiet, disk: &disk{noSync: true}}
	b := mustOpen(t, o)
	for i := range 6 {
		add(t, b, wire.KindHit, fmt.Sprint("record ", i))
	}
	path, id := b.segments[0].path, b.id
	b.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := headerLen(id); cut <= len(whole); cut++ {
		for _, zeros := range []int{0, 40} {
			if err := os.WriteFile(path, append(append([]byte(nil), whole[:cut]...), make([]byte, zeros)...), 0o600); err != nil {
				t.Fatal(err)
			}
			want, _ := scanSegment(whole[:cut])
			b, err := Open(o)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			got := batch(t, b, 1<<20)
			if b.id == id && len(got) != len(want.frames) {
				t.Fatalf("cut at %d: %d records are there; want %d", cut, len(got), len(want.frames))
			}
			if zeros == 0 && b.id != id {
				t.Fatalf("cut at %d: a torn end was called damage", cut)
			}
			b.Close()
			if b.id != id { // zeros within a frame: damage, said and set aside
				if len(got) != len(want.frames)+1 {
					t.Fatalf("cut at %d with zeros: %d records; want %d and the problem", cut, len(got), len(want.frames))
				}
				os.RemoveAll(dir)
				if err := os.MkdirAll(b.dirOf(id), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(dir+"/"+currentFile, []byte(id), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func (b *Outbox) dirOf(id string) string { return b.o.Dir + "/" + lifePrefix + id }

// TestDamagedAnywhere flips one bit in every byte of a file in turn.
func TestDamagedAnywhere(t *testing.T) {
	for at := 0; ; at++ {
		dir := t.TempDir()
		b := mustOpen(t, Options{Dir: dir, Log: quiet, disk: &disk{noSync: true}})
		for i := range 3 {
			add(t, b, wire.KindHit, fmt.Sprint("record ", i))
		}
		path := b.segments[0].path
		before := batch(t, b, 1<<20)
		b.Close()
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if at >= len(raw) {
			return
		}
		raw[at] ^= 0x10
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err = Open(Options{Dir: dir, Log: quiet, disk: &disk{noSync: true}})
		if err != nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		got := batch(t, b, 1<<20)
		switch {
		case b.id == before[0].Outbox && len(got) >= len(before):
			t.Fatalf("byte %d: the damage went unseen", at)
		case b.id != before[0].Outbox && len(corruptFiles(t, dir)) == 0 && at >= 9:
			t.Fatalf("byte %d: damage was not set aside", at)
		}
		b.Close()
		os.RemoveAll(dir)
	}
}

func FuzzSegment(f *testing.F) {
	seg := appendHeader(nil, "20260101t000000-abc", 7)
	f.Add(seg)
	f.Add(appendFrame(append([]byte(nil), seg...), 7, []byte(`{"a":1}`)))
	f.Add([]byte(segmentMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := scanSegment(b)
		if err == nil && s.good != int64(len(b)) {
			t.Fatalf("%d of %d bytes are good and there is no error", s.good, len(b))
		}
		if s.first == 0 {
			return
		}
		again := appendHeader(nil, s.id, s.first)
		for _, fr := range s.frames {
			again = appendFrame(again, fr.number, fr.record)
		}
		if string(again) != string(b[:s.good]) {
			t.Fatal("what was read does not write the same bytes")
		}
	})
}
