package export_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/aiedr/edr/fleetsrv/export"
)

// testMapping asks the search engine for documents as an analyst would: by
// address range, technique, column and the words of a command line.
func testMapping(t *testing.T, r *searchReceiver) {
	sinks, err := export.ParseConfig(json.RawMessage("["+`{"name":"mapping",`+r.Config()[1:]+"]"), t.TempDir(), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	sink, err := sinks[0].Open(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	docs := export.ECSDocuments(t, hitOfSocket(), hitOfFile(), rowOf("123"), rowOf("not a number"))
	refused, err := sink.Send(t.Context(), docs)
	if err != nil || len(refused) > 0 {
		t.Fatalf("%v %v", refused, err)
	}
	for _, c := range []struct {
		query string
		want  int
	}{
		{`{"term":{"destination.ip":"198.51.100.0/24"}}`, 1},
		{`{"term":{"threat.technique.id":"T1071"}}`, 1},
		{`{"term":{"threat.technique.subtechnique.id":"T1071.001"}}`, 1},
		{`{"match":{"process.command_line.text":"example"}}`, 1},
		{`{"term":{"process.command_line":"curl http://c2.example/x"}}`, 1},
		{`{"term":{"process.parent.name":"bash"}}`, 1},
		{`{"term":{"file.hash.sha256":"abcd"}}`, 1},
		{`{"term":{"related.hosts":"web-1"}}`, 4},
		{`{"term":{"edr.columns.value":"123"}}`, 1},
		{`{"term":{"edr.columns.value":"not a number"}}`, 1},
		{`{"range":{"@timestamp":{"gte":"2026-05-01T00:00:00Z","lt":"2026-05-02T00:00:00Z"}}}`, 4},
		{`{"range":{"event.severity":{"gte":70}}}`, 2},
	} {
		if f := r.search(t, fmt.Sprintf(`{"query":%s}`, c.query)); f.Hits.Total.Value != c.want {
			t.Errorf("%s: %d documents, want %d", c.query, f.Hits.Total.Value, c.want)
		}
	}
}
