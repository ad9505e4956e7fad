package export

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// Record is a document in the format "edr": exactly one of Hit, Result and
// Outcome is set, as Kind says.
type Record struct {
	ID       string        `json:"id"`
	Kind     wire.Kind     `json:"kind"`
	Time     time.Time     `json:"time"`     // by the host's clock
	Received time.Time     `json:"received"` // by the server's
	Host     RecordHost    `json:"host"`
	Hit      *wire.Hit     `json:"hit,omitempty"`
	Result   *RecordResult `json:"result,omitempty"`
	Outcome  *wire.Outcome `json:"outcome,omitempty"`
}

// RecordHost is the host as the server knows it when it sends.
type RecordHost struct {
	ID           string `json:"id"`
	Hostname     string `json:"hostname"`
	UUID         string `json:"uuid,omitempty"`
	OS           string `json:"os,omitempty"`
	Platform     string `json:"platform,omitempty"`
	Arch         string `json:"arch,omitempty"`
	AgentVersion string `json:"agent_version,omitempty"`
}

// RecordResult is one row of a scheduled query's result.
type RecordResult struct {
	Query   string    `json:"query"`
	Pack    string    `json:"pack,omitempty"`
	Action  string    `json:"action"` // added, removed or snapshot
	Time    time.Time `json:"time"`
	Epoch   uint64    `json:"epoch"`
	Counter uint64    `json:"counter"`
	// Columns are in the order of the query; a name that comes again gets
	// "_2", "_3" … behind it.
	Columns rowFields `json:"columns"`
}

type rowFields []wire.Field

// MarshalJSON writes the fields as one object in their order.
func (r rowFields) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, f := range r {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(f.Value)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}

// fieldsOf pairs a row's values with their names, each name once. A host that
// sends more of one than of the other gets names by number, or nulls.
func fieldsOf(columns []string, values wire.Row) rowFields {
	out := make(rowFields, 0, max(len(columns), len(values)))
	used := make(map[string]bool, cap(out))
	for i := range cap(out) {
		var f wire.Field
		if i < len(columns) {
			f.Name = columns[i]
		} else {
			f.Name = "column_" + strconv.Itoa(i+1)
		}
		base := f.Name
		for n := 2; used[f.Name]; n++ {
			f.Name = base + "_" + strconv.Itoa(n)
		}
		used[f.Name] = true
		if i < len(values) {
			f.Value = values[i]
		}
		out = append(out, f)
	}
	return out
}

func newRecord(d *store.ExportDocument) Record {
	r := Record{ID: d.ID, Kind: d.Kind, Time: timeOf(d), Received: d.Received.UTC(), Hit: d.Hit, Outcome: d.Outcome,
		Host: RecordHost{ID: d.Host, Hostname: d.Details.Hostname, UUID: d.Details.UUID, OS: d.Details.OS, Platform: d.Details.Platform,
			Arch: d.Details.Arch, AgentVersion: d.Details.AgentVersion}}
	if d.Row != nil {
		r.Result = &RecordResult{Query: d.Row.Query, Pack: d.Row.Pack, Action: d.Row.Action, Time: clampTime(d.Row.Time), Epoch: d.Row.Epoch,
			Counter: d.Row.Counter, Columns: fieldsOf(d.Row.Columns, d.Row.Values)}
	}
	return r
}

// timeOf is when the thing happened by the host's clock; when it came, if the
// host gave none.
func timeOf(d *store.ExportDocument) time.Time {
	var t time.Time
	switch {
	case d.Hit != nil:
		t = d.Hit.Time
	case d.Outcome != nil:
		t = d.Outcome.Time
	case d.Row != nil:
		t = d.Row.Time
	}
	if t = clampTime(t); t.IsZero() {
		t = d.Received.UTC()
	}
	return t
}

// clampTime keeps a host's time within what every receiver can read: four
// digits of a year, not before the epoch.
func clampTime(t time.Time) time.Time {
	t = t.UTC()
	if t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}
