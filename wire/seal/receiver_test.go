package seal

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"testing"
	"time"

	"github.com/aiedr/edr/wire"
)

// deliverWorld is a receiver with its store and events.
type deliverWorld struct {
	t      *testing.T
	r      *receiver
	store  *memStore
	host   Host
	events map[EventKind]int
}

func newDeliver(t *testing.T) *deliverWorld {
	d := &deliverWorld{t: t, store: newMemStore(), events: map[EventKind]int{}}
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	d.host = Host{ID: "h-1", Key: pub, State: HostAdmitted}
	d.r = newReceiver(d.store, func(e Event) { d.events[e.Kind]++ })
	return d
}

func (d *deliverWorld) deliver(records ...wire.Record) (uint64, error) {
	d.t.Helper()
	b, err := makeBatch(records)
	if err != nil {
		d.t.Fatal(err)
	}
	batch, err := readBatch(b)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.r.receive(context.Background(), d.host, batch, time.Unix(1700000000, 0))
}

func gapRecord(outbox string, n, from, to uint64) wire.Record {
	r := record(outbox, n, "")
	r.Kind = wire.KindGap
	r.Body, _ = json.Marshal(wire.Gap{From: from, To: to, Reason: "full"})
	return r
}

func TestDelivery(t *testing.T) {
	d := newDeliver(t)
	step := func(name string, wantAck uint64, want *Refusal, wantKept int, records ...wire.Record) {
		t.Helper()
		ack, err := d.deliver(records...)
		if ack != wantAck || RefusalName(err) != nameOf(want) || d.store.records() != wantKept {
			t.Fatalf("%s: ack %d, error %v, %d kept; want %d, %q, %d", name, ack, err, d.store.records(), wantAck, nameOf(want), wantKept)
		}
	}
	step("the first two", 2, nil, 2, record("a", 1, "one"), record("a", 2, "two"))
	step("again, and one more", 3, nil, 3, record("a", 1, "one"), record("a", 2, "two"), record("a", 3, "three"))
	step("out of order in the batch", 5, nil, 5, record("a", 5, "five"), record("a", 4, "four"))
	step("a jump", 5, ErrGap, 5, record("a", 8, "eight"))
	step("a jump behind a good one", 6, ErrGap, 6, record("a", 6, "six"), record("a", 8, "eight"))
	step("a gap that explains too little", 6, ErrGap, 6, gapRecord("a", 20, 7, 8), record("a", 10, "ten"))
	step("a gap ahead of its turn", 10, nil, 7, gapRecord("a", 12, 7, 9), record("a", 10, "ten"))
	step("its turn", 12, nil, 9, record("a", 11, "eleven"), gapRecord("a", 12, 7, 9))
	step("a gap that claims numbers above its own", 13, ErrGap, 10, gapRecord("a", 13, 13, 20), record("a", 21, "x"))
	if d.events[EventGap] != 1 || d.events[EventConflict] != 0 {
		t.Fatalf("events %v", d.events)
	}
	step("another content under a number", 13, nil, 11, record("a", 3, "changed"))
	step("the same conflict again", 13, nil, 11, record("a", 3, "changed"))
	step("two contents in one batch", 14, nil, 13, record("a", 14, "p"), record("a", 14, "q"))
	if d.events[EventConflict] != 2 {
		t.Fatalf("%d conflicts were told; want 2", d.events[EventConflict])
	}
	step("a new outbox", 1, nil, 14, record("b", 1, "one"))
	if d.events[EventNewOutbox] != 1 {
		t.Fatalf("events %v", d.events)
	}
	step("a number that was declared dropped", 14, nil, 14, record("a", 8, "late"))
}

func nameOf(r *Refusal) string {
	if r == nil {
		return ""
	}
	return r.Name
}
