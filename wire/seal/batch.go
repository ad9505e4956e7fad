package seal

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"

	"github.com/aiedr/edr/wire"
)

// A batch is the records of one outbox in rising number, each its JSON with
// its length before it. The hash of a record is over that JSON as it came.

func makeBatch(records []wire.Record) ([]byte, error) {
	w := &writer{}
	for _, rec := range records {
		text, err := json.Marshal(rec)
		if err != nil {
			return nil, fmt.Errorf("write record %d: %w", rec.Number, err)
		}
		if len(text) > MaxRecord {
			return nil, fmt.Errorf("write record %d of %d bytes: %w", rec.Number, len(text), ErrOversized)
		}
		w.var32(text)
	}
	return w.b, nil
}

func readBatch(b []byte) ([]Received, error) {
	r := &reader{b: b}
	var out []Received
	for r.err == nil && r.off < len(b) {
		text := r.var32(MaxRecord)
		if r.err != nil {
			break
		}
		if len(out) >= MaxRecords {
			return nil, fmt.Errorf("read a batch of more than %d records: %w", MaxRecords, ErrOversized)
		}
		rec := Received{Bytes: text, Hash: sha256.Sum256(text)}
		if err := json.Unmarshal(text, &rec.Record); err != nil {
			return nil, fmt.Errorf("read record %d of a batch: %v: %w", len(out)+1, err, ErrMalformed)
		}
		if n := rec.Record.Number; n == 0 || n > math.MaxInt64 {
			return nil, fmt.Errorf("read a batch: %d is no record's number: %w", n, ErrMalformed)
		}
		if !validHostID(rec.Record.Outbox) {
			return nil, fmt.Errorf("read a batch: %.64q is no outbox id: %w", rec.Record.Outbox, ErrMalformed)
		}
		if len(out) > 0 && rec.Record.Outbox != out[0].Record.Outbox {
			return nil, fmt.Errorf("read a batch of two outboxes: %w", ErrMalformed)
		}
		out = append(out, rec)
	}
	if r.err != nil {
		return nil, fmt.Errorf("read a batch: %w", r.err)
	}
	return out, nil
}
