package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/wire"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func small(dir string) Options {
	return Options{Dir: dir, MaxBytes: 8 << 10, SegmentBytes: 1 << 10, Log: quiet}
}

func mustOpen(t *testing.T, o Options) *Outbox {
	t.Helper()
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func add(t *testing.T, b *Outbox, kind wire.Kind, text string) uint64 {
	t.Helper()
	n, err := b.Add(kind, wire.Problem{Source: "test", Error: text})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func text(t *testing.T, r wire.Record) string {
	t.Helper()
	var p wire.Problem
	if err := json.Unmarshal(r.Body, &p); err != nil {
		t.Fatal(err)
	}
	return p.Error
}

// numbers of the batch, as text.
func numbers(batch []wire.Record) string {
	var s []string
	for _, r := range batch {
		s = append(s, fmt.Sprint(r.Number))
	}
	return strings.Join(s, " ")
}

func batch(t *testing.T, b *Outbox, size int) []wire.Record {
	t.Helper()
	got, err := b.Batch(size)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestQueue(t *testing.T) {
	dir := t.TempDir()
	b := mustOpen(t, small(dir))
	for i := range 10 {
		if n := add(t, b, wire.KindHit, fmt.Sprint(i)); n != uint64(i+1) {
			t.Fatalf("record %d got number %d", i, n)
		}
	}
	one := batch(t, b, 1)
	if numbers(one) != "1" {
		t.Fatalf("a batch of one byte gave %q; want the first record all the same", numbers(one))
	}
	if err := b.Ack(4); err != nil {
		t.Fatal(err)
	}
	before := batch(t, b, 1<<20)
	if numbers(before) != "5 6 7 8 9 10" || text(t, before[0]) != "4" {
		t.Fatalf("after ack of 4: %q", numbers(before))
	}
	if err := b.Ack(11); err == nil {
		t.Fatal("a number that was never given was acknowledged")
	}
	id := b.Stats().Outbox
	b.Close()

	b = mustOpen(t, small(dir))
	after := batch(t, b, 1<<20)
	x, _ := json.Marshal(before)
	y, _ := json.Marshal(after)
	if !bytes.Equal(x, y) {
		t.Fatalf("opened again the records are\n%s\nand were\n%s", y, x)
	}
	if s := b.Stats(); s.Outbox != id || s.Next != 11 || s.Acked != 4 || s.Records != 6 {
		t.Fatalf("stats after opening again: %+v", s)
	}
	if err := b.Ack(10); err != nil {
		t.Fatal(err)
	}
	if got := batch(t, b, 1<<20); len(got) != 0 {
		t.Fatalf("all is acknowledged and the batch is %q", numbers(got))
	}
	b.Close()
	b = mustOpen(t, small(dir))
	if n := add(t, b, wire.KindHit, "next"); n != 11 {
		t.Fatalf("the next number is %d; want 11", n)
	}
}

func TestFilesGoWhenAcknowledged(t *testing.T) {
	b := mustOpen(t, small(t.TempDir()))
	for i := range 40 {
		add(t, b, wire.KindResult, fmt.Sprint("record ", i))
	}
	full := b.Stats().Bytes
	if len(b.segments) < 3 {
		t.Fatalf("%d segments; the test wants several", len(b.segments))
	}
	if err := b.Ack(40); err != nil {
		t.Fatal(err)
	}
	if left := b.Stats().Bytes; left > 512 || left >= full {
		t.Fatalf("%d bytes of %d are left after everything was acknowledged", left, full)
	}
	files, _ := filepath.Glob(filepath.Join(b.dir, "*.seg"))
	if len(files) != 1 {
		t.Fatalf("files left: %v", files)
	}
}

func TestBoundDropsTheOldestAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	b := mustOpen(t, small(dir))
	for i := range 200 {
		add(t, b, wire.KindResult, fmt.Sprint("record ", i))
	}
	s := b.Stats()
	if s.Bytes > 8<<10+1<<10 {
		t.Fatalf("%d bytes on disk above the bound", s.Bytes)
	}
	if s.Dropped == 0 || s.Records+s.Dropped != s.Next-1 {
		t.Fatalf("dropped and waiting do not add up: %+v", s)
	}
	check := func(b *Outbox) {
		t.Helper()
		got := batch(t, b, 1<<20)
		var g wire.Gap
		if got[0].Kind != wire.KindGap || json.Unmarshal(got[0].Body, &g) != nil {
			t.Fatalf("the batch begins with %s; want the gap", got[0].Kind)
		}
		if g.From != 1 || g.To != got[1].Number-1 || !strings.Contains(g.Reason, "bound") {
			t.Fatalf("the gap says %+v and the next record is %d", g, got[1].Number)
		}
		for i := 2; i < len(got); i++ {
			if got[i].Number <= got[i-1].Number {
				t.Fatalf("numbers do not rise: %s", numbers(got))
			}
			if got[i].Number == got[0].Number {
				t.Fatal("the gap record is twice in the batch")
			}
		}
	}
	check(b)
	b.Close()
	b = mustOpen(t, small(dir))
	check(b)
	if err := b.Ack(b.Stats().Next - 1); err != nil {
		t.Fatal(err)
	}
	n := add(t, b, wire.KindResult, "after")
	if got := batch(t, b, 1<<20); numbers(got) != fmt.Sprint(n) {
		t.Fatalf("after the gap was acknowledged the batch is %q; want %d", numbers(got), n)
	}
}

func TestServerThatLostRecords(t *testing.T) {
	b := mustOpen(t, small(t.TempDir()))
	for i := range 30 {
		add(t, b, wire.KindResult, fmt.Sprint("record ", i))
	}
	if err := b.Ack(29); err != nil {
		t.Fatal(err)
	}
	if err := b.Missing(3); err != nil {
		t.Fatal(err)
	}
	got := batch(t, b, 1<<20)
	var g wire.Gap
	if err := json.Unmarshal(got[0].Body, &g); err != nil || got[0].Kind != wire.KindGap || g.From != 4 || g.To+1 != got[1].Number {
		t.Fatalf("the batch is %s with gap %+v; want a gap from 4 to before %d", numbers(got), g, got[1].Number)
	}
	if err := b.Missing(3); err != nil {
		t.Fatal(err)
	}
	if again := batch(t, b, 1<<20); numbers(again) != numbers(got) {
		t.Fatalf("told twice, the batch changed from %s to %s", numbers(got), numbers(again))
	}
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	b := mustOpen(t, small(dir))
	if _, err := Open(small(dir)); !errors.Is(err, ErrInUse) {
		t.Fatalf("a second opening gave %v; want ErrInUse", err)
	}
	b.Close()
	mustOpen(t, small(dir))
}

func TestTooLarge(t *testing.T) {
	b := mustOpen(t, small(t.TempDir()))
	if _, err := b.Add(wire.KindResult, strings.Repeat("x", maxRecord)); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("got %v; want ErrTooLarge", err)
	}
	if n := add(t, b, wire.KindResult, "small"); n != 1 {
		t.Fatalf("the refused record took a number: next is %d", n)
	}
}

func TestConcurrentAdds(t *testing.T) {
	b := mustOpen(t, Options{Dir: t.TempDir(), SegmentBytes: 4 << 10, Log: quiet})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				kind := wire.KindHit
				if i%2 == 0 {
					kind = wire.KindResult
				}
				if _, err := b.Add(kind, wire.Problem{Error: fmt.Sprint(g, i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := 0
	for seen < 160 {
		if err := b.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := batch(t, b, 2000)
		seen += len(got)
		if err := b.Ack(got[len(got)-1].Number); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if s := b.Stats(); s.Added != 160 || s.Records != 0 {
		t.Fatalf("stats %+v", s)
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	b := mustOpen(t, small(t.TempDir()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func corruptFiles(t *testing.T, dir string) []string {
	t.Helper()
	f, err := filepath.Glob(filepath.Join(dir, "*.corrupt-*"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDamageIsSetAsideAndSaid(t *testing.T) {
	dir := t.TempDir()
	b := mustOpen(t, small(dir))
	for i := range 30 {
		add(t, b, wire.KindHit, fmt.Sprint("record ", i))
	}
	if err := b.Ack(2); err != nil {
		t.Fatal(err)
	}
	old, victim := b.id, b.segments[1]
	b.Close()
	raw, err := os.ReadFile(victim.path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 0x40
	if err := os.WriteFile(victim.path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	good, _ := scanSegment(raw)
	lost := victim.next - good.next

	b = mustOpen(t, small(dir))
	if b.id == old {
		t.Fatal("the outbox kept its id")
	}
	aside := corruptFiles(t, dir)
	if len(aside) != 1 {
		t.Fatalf("set aside: %v; want one file", aside)
	}
	kept, err := os.ReadFile(aside[0])
	if err != nil || !bytes.Equal(kept, raw) {
		t.Fatalf("the file set aside is not the damaged one: %v", err)
	}
	got := batch(t, b, 1<<20)
	last := got[len(got)-1]
	if last.Kind != wire.KindProblem || !strings.Contains(text(t, last), fmt.Sprintf("records %d to %d of outbox %s are lost", good.next, victim.next-1, old)) {
		t.Fatalf("the last record says %q", text(t, last))
	}
	if want := 30 - 2 - int(lost) + 1; len(got) != want || got[0].Number != 1 || text(t, got[0]) != "record 2" {
		t.Fatalf("%d records are there, the first %q; want %d, and record 2", len(got), text(t, got[0]), want)
	}
	if s := b.Stats(); s.Dropped != lost {
		t.Fatalf("dropped is %d; want %d", s.Dropped, lost)
	}
	b.Close()
	b = mustOpen(t, small(dir))
	if again := batch(t, b, 1<<20); numbers(again) != numbers(got) || len(corruptFiles(t, dir)) != 1 {
		t.Fatal("opened once more, the outbox is another")
	}
}

func TestSenderDeliversAndBacksOff(t *testing.T) {
	b := mustOpen(t, small(t.TempDir()))
	p := &poster{fail: 3}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- (&Sender{Outbox: b, Poster: p, Log: quiet, MinDelay: time.Millisecond, MaxDelay: 4 * time.Millisecond}).Run(ctx)
	}()
	for i := range 25 {
		add(t, b, wire.KindHit, fmt.Sprint(i))
	}
	for p.has() < 25 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("Run ended with %v", err)
	}
	if s := b.Stats(); s.Failures != 3 || s.LastErr != "" && s.Records > 0 {
		t.Fatalf("stats %+v; want 3 failures", s)
	}
}

type poster struct {
	mu   sync.Mutex
	fail int
	got  uint64
}

func (p *poster) has() uint64 { p.mu.Lock(); defer p.mu.Unlock(); return p.got }

func (p *poster) Post(_ context.Context, batch []wire.Record) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail > 0 {
		p.fail--
		return 0, errors.New("no route")
	}
	for _, r := range batch {
		if r.Number == p.got+1 {
			p.got++
		}
	}
	return p.got, nil
}

func TestPauseStaysInItsBounds(t *testing.T) {
	for n := 1; n < 100; n++ {
		if d := pause(n, time.Second, time.Minute); d < time.Second/2 || d > 90*time.Second {
			t.Fatalf("pause %d is %s", n, d)
		}
	}
}
