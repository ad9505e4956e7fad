// Package export lets hits, outcomes and the rows of results flow out of the
// server to sinks: files, webhooks, Kafka, OpenSearch and Elasticsearch.
//
// Each sink has one pump, which reads the store's journal from the sink's
// cursor, sends, and moves the cursor in the store once the sink has durably
// taken what was sent. So a sink that was down misses nothing, and what is
// sent twice carries the same id, by which a receiver tells. A document that a
// sink will never take goes to the sink's dead-letter file, counted and shown,
// and does not hold up what is behind it.
package export

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// Sink is where documents go. A pump uses one from one goroutine.
type Sink interface {
	// Send delivers documents, which are in order, and returns when the sink
	// has them durably. It names those that the sink will never take; the
	// others are taken then. With an error nothing is known of any of them:
	// all will be sent again.
	Send(ctx context.Context, docs []Document) ([]Refusal, error)
	// Target says for people where the sink leads, without any secret.
	Target() string
	Close() error
}

// Document is one thing to send.
type Document struct {
	ID       string    // the same however often it is sent
	Kind     wire.Kind // wire.KindHit, KindResult or KindOutcome
	Host     string    // id of the host; the order of each host's documents holds
	Received time.Time // by the server's clock
	Body     json.RawMessage
}

// Refusal is a document that the sink will never take, by its index in Send.
type Refusal struct {
	Index int
	Err   error
}

// Kinds lists the kinds of documents.
func Kinds() []wire.Kind { return []wire.Kind{wire.KindHit, wire.KindResult, wire.KindOutcome} }

// Formats of a document's body.
const (
	FormatEDR = "edr" // as this package's Record
	FormatECS = "ecs" // Elastic Common Schema
)

// encode makes what is sent of a document of the journal.
func encode(format string, d *store.ExportDocument) (Document, error) {
	var v any = newRecord(d)
	if format == FormatECS {
		v = ecsOf(d)
	}
	body, err := json.Marshal(v)
	if err != nil {
		return Document{}, fmt.Errorf("write document %s as JSON: %w", d.ID, err)
	}
	return Document{ID: d.ID, Kind: d.Kind, Host: d.Host, Received: d.Received, Body: body}, nil
}
