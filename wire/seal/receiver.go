package seal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"sort"
	"sync"
	"time"

	"github.com/aiedr/edr/wire"
)

// postReply is the sealed answer to a batch.
type postReply struct {
	Time time.Time `json:"time"`
	// Ack is the highest number up to which the server has all.
	Ack uint64 `json:"ack"`
	// Error names why the rest was not taken; empty if all was.
	Error  string `json:"error,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// receiver decides what of a batch is new. One host's batches go one after
// another; the store's uniqueness holds between servers.
type receiver struct {
	store  ReceiverStore
	seed   maphash.Seed
	locks  [256]sync.Mutex
	events func(Event)
}

func newReceiver(store ReceiverStore, events func(Event)) *receiver {
	return &receiver{store: store, seed: maphash.MakeSeed(), events: events}
}

// receive keeps what is new of a batch and returns the number acknowledged.
// With ErrGap what stands before the gap is kept and acknowledged all the
// same; after any other error nothing is.
func (r *receiver) receive(ctx context.Context, host Host, batch []Received, now time.Time) (uint64, error) {
	if len(batch) == 0 {
		return 0, nil
	}
	lock := &r.locks[maphash.Bytes(r.seed, host.Key)%uint64(len(r.locks))]
	lock.Lock()
	defer lock.Unlock()

	outbox := batch[0].Record.Outbox
	from, to := batch[0].Record.Number, batch[0].Record.Number
	for _, rec := range batch {
		from, to = min(from, rec.Record.Number), max(to, rec.Record.Number)
	}
	held, err := r.store.Held(ctx, host, outbox, from, to)
	if err != nil {
		return 0, fmt.Errorf("ask the store for outbox %s of host %s: %v: %w", outbox, host.ID, err, ErrUnavailable)
	}
	d, gap := decide(batch, held)
	d.Host, d.Outbox, d.Time = host, outbox, now
	d.NewOutbox = !held.Known
	if d.NewOutbox || len(d.Records)+len(d.Conflicts)+len(d.Gaps) > 0 {
		if err := r.store.Keep(ctx, d); err != nil {
			return 0, fmt.Errorf("keep %d records of outbox %s of host %s: %v: %w", len(d.Records), outbox, host.ID, err, ErrUnavailable)
		}
	}
	r.tell(d, held, now)
	return d.Contiguous, gap
}

func (r *receiver) tell(d Delivery, held Held, now time.Time) {
	e := Event{Time: now, Host: d.Host, Outbox: d.Outbox}
	if d.NewOutbox && held.Others {
		e.Kind, e.Detail = EventNewOutbox, "the host's former outbox was lost or set aside"
		r.events(e)
	}
	for _, c := range d.Conflicts {
		e.Kind, e.Number, e.Detail = EventConflict, c.Record.Number, "a number that was kept came again with other content; both are kept"
		r.events(e)
	}
	for _, g := range d.Gaps {
		e.Kind, e.Number, e.Detail = EventGap, g.From, fmt.Sprintf("records %d to %d were dropped: %.200s", g.From, g.To, g.Reason)
		r.events(e)
	}
}

// decide sorts a batch into what is new, what is known and what conflicts.
func decide(batch []Received, held Held) (Delivery, error) {
	batch = append([]Received(nil), batch...)
	sort.SliceStable(batch, func(i, j int) bool { return batch[i].Record.Number < batch[j].Record.Number })
	gaps := declaredGaps(batch)
	d := Delivery{Contiguous: held.Contiguous}
	seen := map[uint64][][32]byte{}
	for _, rec := range batch {
		n := rec.Record.Number
		if n <= d.Contiguous {
			known, ours := held.Hashes[n], seen[n]
			if contains(known, rec.Hash) || contains(ours, rec.Hash) {
				continue
			}
			if len(known)+len(ours) > 0 {
				d.Conflicts = append(d.Conflicts, rec)
				seen[n] = append(ours, rec.Hash)
			}
			// Otherwise it was declared dropped or has left the store since:
			// it was accounted for once and is not taken a second time.
			continue
		}
		if n > d.Contiguous+1 {
			used, ok := bridge(gaps, d.Contiguous+1, n-1)
			if !ok {
				if rec.Record.Kind == wire.KindGap {
					// A gap record may come ahead of its turn to explain a
					// jump; it is kept when its number's turn comes.
					continue
				}
				return d, fmt.Errorf("record %d follows %d: %w", n, d.Contiguous, ErrGap)
			}
			d.Gaps = append(d.Gaps, used...)
		}
		d.Records = append(d.Records, rec)
		d.Contiguous = n
		seen[n] = append(seen[n], rec.Hash)
	}
	return d, nil
}

// declaredGaps reads the gap records of a batch. A gap lies below the number
// of the record that declares it.
func declaredGaps(batch []Received) []wire.Gap {
	var gaps []wire.Gap
	for _, rec := range batch {
		var g wire.Gap
		if rec.Record.Kind != wire.KindGap || json.Unmarshal(rec.Record.Body, &g) != nil {
			continue
		}
		if g.From >= 1 && g.From <= g.To && g.To < rec.Record.Number {
			gaps = append(gaps, g)
		}
	}
	sort.Slice(gaps, func(i, j int) bool { return gaps[i].From < gaps[j].From })
	return gaps
}

// bridge says whether the gaps together cover from to to, and which parts of
// them do.
func bridge(gaps []wire.Gap, from, to uint64) (used []wire.Gap, ok bool) {
	for _, g := range gaps {
		if g.From > from || from > to {
			break
		}
		if g.To < from {
			continue
		}
		end := min(g.To, to)
		used = append(used, wire.Gap{From: from, To: end, Reason: g.Reason})
		from = end + 1
	}
	return used, from > to
}

func contains(hashes [][32]byte, h [32]byte) bool {
	for _, x := range hashes {
		if bytes.Equal(x[:], h[:]) {
			return true
		}
	}
	return false
}

// err is what Post returns beside the number.
func (p postReply) err() error {
	switch p.Error {
	case "":
		return nil
	case ErrGap.Name:
		return &missingError{p.Ack, p.Detail}
	}
	return fmt.Errorf("the server took records up to %d only: %.64q: %w", p.Ack, p.Error, ErrUnavailable)
}

// missingError says that the server lacks the records after a number. The
// outbox knows it by its method.
type missingError struct {
	ack    uint64
	detail string
}

func (e *missingError) Error() string {
	return fmt.Sprintf("the server has records up to %d and lacks what follows: %.300s", e.ack, e.detail)
}

// Missing says that the server lacks records that it was not sent.
func (e *missingError) Missing() bool { return true }

func (e *missingError) Unwrap() error { return ErrGap }
