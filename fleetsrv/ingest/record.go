package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

// Bounds of what is kept of a host's texts.
const (
	maxName   = 512
	maxText   = 8192
	maxFields = 256
	maxAncest = 64
	// ahead is how far a host's clock may run before its times are cut to ours.
	ahead = 5 * time.Minute
)

// result is wire.Result whose rows stay as they came.
type result struct {
	Query    string            `json:"query"`
	Pack     string            `json:"pack"`
	Time     time.Time         `json:"time"`
	Epoch    uint64            `json:"epoch"`
	Counter  uint64            `json:"counter"`
	Snapshot bool              `json:"snapshot"`
	Columns  []string          `json:"columns"`
	Added    []json.RawMessage `json:"added"`
	Removed  []json.RawMessage `json:"removed"`
}

// item decodes a record. A record that cannot be read is kept as a problem of
// its host: its number counts as received, and the operator sees it.
func (r *Receiver) item(rec *seal.Received, now time.Time) store.Item {
	it := store.Item{Number: rec.Record.Number, Hash: rec.Hash[:], Kind: rec.Record.Kind, Time: notAhead(rec.Record.Time, now)}
	if err := r.decode(&it, rec, now); err != nil {
		it.Problem = &wire.Problem{Time: now, Source: "record", Count: 1,
			Error: fmt.Sprintf("a record of kind %q could not be read and is lost: %s", clip(string(rec.Record.Kind), 40), clip(err.Error(), maxName))}
		it.Kind = wire.KindProblem
		it.Hit, it.Result, it.Outcome, it.Health = nil, nil, nil, nil
	}
	return it
}

func (r *Receiver) decode(it *store.Item, rec *seal.Received, now time.Time) error {
	body := rec.Record.Body
	switch rec.Record.Kind {
	case wire.KindHit:
		it.Hit = &wire.Hit{}
		if err := json.Unmarshal(body, it.Hit); err != nil {
			return err
		}
		boundHit(it.Hit, hexHash(rec.Hash), now)
	case wire.KindResult:
		var res result
		if err := json.Unmarshal(body, &res); err != nil {
			return err
		}
		if err := checkRows(res.Added); err != nil {
			return err
		}
		if err := checkRows(res.Removed); err != nil {
			return err
		}
		it.Result = &store.ResultBatch{Query: clip(res.Query, maxName), Pack: clip(res.Pack, maxName), Time: notAhead(res.Time, now),
			Epoch: res.Epoch, Counter: res.Counter, Snapshot: res.Snapshot, Columns: res.Columns, Added: res.Added, Removed: res.Removed}
		if r.o.Classes != nil {
			it.Result.Classes = r.o.Classes(it.Result.Query)
		}
	case wire.KindOutcome:
		it.Outcome = &wire.Outcome{}
		if err := json.Unmarshal(body, it.Outcome); err != nil {
			return err
		}
		o := it.Outcome
		o.Time = notAhead(o.Time, now)
		o.Plan, o.Seen, o.Error, o.Action = clip(o.Plan, maxText), clip(o.Seen, maxText), clip(o.Error, maxText), clip(o.Action, maxName)
	case wire.KindHealth:
		it.Health = &wire.Health{}
		if err := json.Unmarshal(body, it.Health); err != nil {
			return err
		}
		it.Health.Time = notAhead(it.Health.Time, now)
		it.Health.Version = clip(it.Health.Version, maxName)
		if len(it.Health.Sensors) > maxFields {
			it.Health.Sensors = it.Health.Sensors[:maxFields]
		}
	case wire.KindProblem:
		it.Problem = &wire.Problem{}
		if err := json.Unmarshal(body, it.Problem); err != nil {
			return err
		}
		p := it.Problem
		p.Time, p.Source, p.Error = notAhead(p.Time, now), clip(p.Source, maxName), clip(p.Error, maxText)
	case wire.KindGap: // the protocol has read it; see store.Delivery.Gaps
		var g wire.Gap
		return json.Unmarshal(body, &g)
	default:
		return fmt.Errorf("this server knows no such kind; it may be older than the agent")
	}
	return nil
}

// checkRows refuses rows that are no lists: they are shown by position.
func checkRows(rows []json.RawMessage) error {
	for i, row := range rows {
		if !bytes.HasPrefix(bytes.TrimLeft(row, " \t\r\n"), []byte("[")) {
			return fmt.Errorf("row %d of a result is not a list of values", i+1)
		}
	}
	return nil
}

func notAhead(t, now time.Time) time.Time {
	if t.IsZero() || t.After(now.Add(ahead)) || t.Year() < 1980 {
		return now.UTC()
	}
	return t.UTC()
}

func boundHit(h *wire.Hit, hash string, now time.Time) {
	if h.ID == "" {
		h.ID = hash
	}
	h.ID, h.Rule.ID, h.Rule.Name, h.Rule.Version, h.Rule.Pack = clip(h.ID, maxName), clip(h.Rule.ID, maxName), clip(h.Rule.Name, maxName), clip(h.Rule.Version, maxName), clip(h.Rule.Pack, maxName)
	h.Title, h.Description, h.Entity, h.Table = clip(h.Title, maxName), clip(h.Description, maxText), clip(h.Entity, maxText), clip(h.Table, maxName)
	h.Time = notAhead(h.Time, now)
	if !knownSeverity(h.Severity) {
		h.Severity = wire.Medium
	}
	if h.Title == "" {
		h.Title = h.Rule.Name
	}
	if len(h.Attack) > maxAncest {
		h.Attack = h.Attack[:maxAncest]
	}
	if len(h.Event) > maxFields {
		h.Event = h.Event[:maxFields]
	}
	if len(h.Ancestry) > maxAncest {
		h.Ancestry = h.Ancestry[:maxAncest]
	}
	if len(h.Actions) > maxAncest {
		h.Actions = h.Actions[:maxAncest]
	}
}
