package export_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aiedr/edr/fleetsrv/export/exporttest"
	"github.com/aiedr/edr/fleetsrv/export/realtest"
	"github.com/aiedr/edr/wire"
)

// kafkaReceiver is the topics of one test on a broker.
type kafkaReceiver struct {
	k     *realtest.Kafka
	topic string
}

func (r *kafkaReceiver) Config() string {
	return fmt.Sprintf(`{"type":"kafka","brokers":[%q],"topic":%q}`, r.k.Address, r.topic)
}

func (r *kafkaReceiver) Traits() exporttest.Traits {
	return exporttest.Traits{Ordered: true, CanFail: true, Refuses: true}
}
func (r *kafkaReceiver) Poison(_ *testing.T, h *wire.Hit) {
	h.Description = strings.Repeat("more than a broker takes ", 60_000)
}
func (r *kafkaReceiver) Down(t *testing.T) { r.k.Stop(t) }
func (r *kafkaReceiver) Up(t *testing.T)   { r.k.Start(t) }

func (r *kafkaReceiver) Taken(t *testing.T) []exporttest.Taken {
	var out []exporttest.Taken
	partitions := map[string]string{}
	for _, rec := range r.k.Read(t, r.topic+".") {
		d := takenOf(t, rec.Value)
		var doc struct {
			Kind string
			Host struct{ ID string }
		}
		if err := json.Unmarshal(rec.Value, &doc); err != nil {
			t.Fatal(err)
		}
		if rec.Topic != r.topic+"."+doc.Kind || string(rec.Key) != doc.Host.ID || string(rec.Headers[0].Value) != d.ID {
			t.Errorf("document %s of host %s: topic %s, key %s, headers %v", d.ID, doc.Host.ID, rec.Topic, rec.Key, rec.Headers)
		}
		stream, partition := rec.Topic+" "+string(rec.Key), fmt.Sprint(rec.Partition)
		if was, ok := partitions[stream]; ok && was != partition {
			t.Errorf("%s is in partitions %s and %s", stream, was, partition)
		}
		partitions[stream] = partition
		out = append(out, d)
	}
	return out
}

func TestKafkaContract(t *testing.T) {
	k := realtest.StartKafka(t)
	var n atomic.Int32
	exporttest.Run(t, func(*testing.T) exporttest.Receiver {
		return &kafkaReceiver{k, fmt.Sprintf("test%d", n.Add(1))}
	})
}

// searchReceiver is the indices of one test on a node.
type searchReceiver struct {
	o     *realtest.OpenSearch
	relay *realtest.Relay
	index string
}

func (r *searchReceiver) Config() string {
	return fmt.Sprintf(`{"type":"opensearch","urls":["http://%s"],"index":%q}`, r.relay.Address, r.index)
}

func (r *searchReceiver) Traits() exporttest.Traits {
	return exporttest.Traits{Overwrites: true, CanFail: true, Refuses: true}
}
func (r *searchReceiver) Down(t *testing.T) { r.relay.Down(t) }
func (r *searchReceiver) Up(t *testing.T)   { r.relay.Up(t) }

// Poison: somebody mapped the rule's description as a date.
func (r *searchReceiver) Poison(t *testing.T, h *wire.Hit) {
	r.o.Do(t, http.MethodPut, "/"+r.index+"-hit-*/_mapping", `{"properties":{"rule":{"properties":{"description":{"type":"date"}}}}}`, nil)
	h.Description = "no date at all"
}

// found is the answer of a search.
type found struct {
	Hits struct {
		Total struct{ Value int }
		Hits  []struct {
			ID     string          `json:"_id"`
			Index  string          `json:"_index"`
			Source json.RawMessage `json:"_source"`
		}
	}
}

func (r *searchReceiver) search(t *testing.T, query string) found {
	t.Helper()
	r.o.Do(t, http.MethodPost, "/"+r.index+"-*/_refresh", "", nil)
	var f found
	r.o.Do(t, http.MethodPost, "/"+r.index+"-*/_search?size=10000", query, &f)
	return f
}

func (r *searchReceiver) Taken(t *testing.T) []exporttest.Taken {
	var out []exporttest.Taken
	for _, h := range r.search(t, `{"query":{"match_all":{}}}`).Hits.Hits {
		var doc struct{ Event struct{ ID, Dataset string } }
		if err := json.Unmarshal(h.Source, &doc); err != nil {
			t.Fatal(err)
		}
		kind, _ := strings.CutPrefix(doc.Event.Dataset, "edr.")
		if doc.Event.ID != h.ID || !strings.HasPrefix(h.Index, r.index+"-"+kind+"-20") {
			t.Errorf("document %s in %s: %s", h.ID, h.Index, h.Source)
		}
		out = append(out, exporttest.Taken{ID: h.ID, Body: h.Source})
	}
	return out
}

func TestOpenSearchContract(t *testing.T) {
	o := realtest.StartOpenSearch(t)
	relay := realtest.StartRelay(t, o.Address)
	var n atomic.Int32
	open := func(*testing.T) exporttest.Receiver {
		return &searchReceiver{o, relay, fmt.Sprintf("test%d", n.Add(1))}
	}
	exporttest.Run(t, open)
	t.Run("mapping", func(t *testing.T) { testMapping(t, &searchReceiver{o, relay, "mapped"}) })
}
