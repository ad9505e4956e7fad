package ingest

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

func received(kind wire.Kind, body string) *seal.Received {
	return &seal.Received{Record: wire.Record{Outbox: "o", Number: 1, Kind: kind, Time: time.Now(), Body: json.RawMessage(body)},
		Bytes: []byte(body), Hash: sha256.Sum256([]byte(body))}
}

func TestItem(t *testing.T) {
	r := New(Options{Classes: func(string) int64 { return 3 }})
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	it := r.item(received(wire.KindHit, `{"severity":"apocalyptic","time":"2999-01-01T00:00:00Z","title":"`+strings.Repeat("é", 1000)+`"}`), now)
	if it.Hit == nil || it.Hit.Severity != wire.Medium || !it.Hit.Time.Equal(now) || it.Hit.Count != 0 || len(it.Hit.ID) != 64 {
		t.Errorf("%+v", it.Hit)
	}
	if n := len(it.Hit.Title); n > maxName || n%2 != 0 {
		t.Errorf("the title has %d bytes, or ends inside a character", n)
	}
	it = r.item(received(wire.KindResult, `{"query":"q","columns":["a"],"added":[[1],["x"]],"removed":[]}`), now)
	if it.Result == nil || len(it.Result.Added) != 2 || it.Result.Classes != 3 || string(it.Result.Added[1]) != `["x"]` {
		t.Errorf("%+v", it.Result)
	}
	for kind, body := range map[wire.Kind]string{
		wire.KindHit: `{"count":"many"}`, wire.KindResult: `{"added":[{}]}`, wire.KindOutcome: `[]`, wire.KindHealth: `7`,
		wire.KindProblem: `"x"`, wire.KindGap: `{"from":-1}`, "unknown": `{}`,
	} {
		it := r.item(received(kind, body), now)
		if it.Problem == nil || it.Hit != nil || it.Result != nil || it.Outcome != nil || it.Health != nil || it.Number != 1 || len(it.Hash) != 32 {
			t.Errorf("%s %s: %+v", kind, body, it)
		}
	}
}

func FuzzItem(f *testing.F) {
	f.Add("hit", `{"id":"x","process":{"pid":1},"ancestry":[{}],"event":[{"name":"a","value":{"base64":"AA=="}}]}`)
	f.Add("result", `{"columns":["a"],"added":[[1.5,null]],"epoch":18446744073709551615}`)
	f.Add("outcome", `{"id":"r","state":"done","undo":{}}`)
	f.Add("health", `{"time":"2026-01-01T00:00:00Z","sensors":[{}]}`)
	f.Add("problem", `{"error":"\u0000"}`)
	f.Add("gap", `{"from":1,"to":2}`)
	r := New(Options{})
	now := time.Now()
	f.Fuzz(func(t *testing.T, kind, body string) {
		it := r.item(received(wire.Kind(kind), body), now)
		if h := it.Hit; h != nil {
			if h.ID == "" || !knownSeverity(h.Severity) || len(h.Title) > maxName || len(h.Event) > maxFields || h.Time.After(now.Add(ahead)) {
				t.Errorf("a hit out of bounds: %+v", h)
			}
		}
		if it.Result != nil {
			for _, row := range it.Result.Added {
				if !json.Valid(row) {
					t.Errorf("a row that is no JSON: %s", row)
				}
			}
		}
	})
}
