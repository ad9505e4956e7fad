package export_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aiedr/edr/fleetsrv/export"
	"github.com/aiedr/edr/fleetsrv/export/exporttest"
	"github.com/aiedr/edr/wire"
)

// searchDouble is as much of a search engine as a sink speaks to, in memory,
// and as fickle as a busy one: the first try of some documents is put off.
type searchDouble struct {
	server *httptest.Server
	about  string // its distribution

	mu        sync.Mutex
	down      bool
	busy      int // one in this many documents is put off once; 0 for none
	status    int // of the whole bulk, where it is not 200
	most      int // bytes of a bulk; 0 for any
	putOff    map[string]bool
	ids       []string
	docs      map[string]json.RawMessage
	templates map[string]json.RawMessage
	auths     []string
}

func newSearchDouble(t *testing.T) *searchDouble {
	d := &searchDouble{about: `"distribution":"opensearch"`, putOff: map[string]bool{}, docs: map[string]json.RawMessage{}, templates: map[string]json.RawMessage{}}
	d.server = httptest.NewServer(d)
	t.Cleanup(d.server.Close)
	return d
}

func (d *searchDouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	d.auths = append(d.auths, r.Header.Get("Authorization"))
	switch {
	case err != nil || d.down:
		http.Error(w, `{"error":"no cluster manager"}`, http.StatusServiceUnavailable)
	case r.Method == http.MethodGet && r.URL.Path == "/":
		fmt.Fprintf(w, `{"version":{"number":"2.19.1",%s}}`, d.about)
	case r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/_index_template/"):
		d.templates[strings.TrimPrefix(r.URL.Path, "/_index_template/")] = body
		fmt.Fprint(w, `{"acknowledged":true}`)
	case r.Method == http.MethodPost && r.URL.Path == "/_bulk" && r.Header.Get("Content-Type") == "application/x-ndjson":
		d.bulk(w, body)
	default:
		http.Error(w, "what is "+r.URL.Path, http.StatusBadRequest)
	}
}

func (d *searchDouble) bulk(w http.ResponseWriter, body []byte) {
	if d.status != 0 {
		w.WriteHeader(d.status)
		return
	}
	if d.most > 0 && len(body) > d.most {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	var items []string
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var head struct {
			Index struct {
				Index string `json:"_index"`
				ID    string `json:"_id"`
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &head); err != nil || !lines.Scan() {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		id, doc := head.Index.ID, slices.Clone(lines.Bytes())
		switch {
		case bytes.Contains(doc, []byte(`"description":"no date at all"`)):
			items = append(items, `{"index":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse field","caused_by":{"type":"illegal_argument_exception","reason":"no date"}}}}`)
		case d.busy > 0 && !d.putOff[id] && len(d.putOff)%d.busy == 0:
			d.putOff[id] = true
			items = append(items, `{"index":{"status":429,"error":{"type":"rejected_execution_exception","reason":"busy"}}}`)
		default:
			if d.busy > 0 {
				d.putOff[id] = true
			}
			if _, ok := d.docs[id]; !ok {
				d.ids = append(d.ids, id)
			}
			d.docs[id] = doc
			items = append(items, `{"index":{"status":201}}`)
		}
	}
	fmt.Fprintf(w, `{"errors":true,"items":[%s]}`, strings.Join(items, ","))
}

func (d *searchDouble) Config() string {
	return fmt.Sprintf(`{"type":"opensearch","urls":[%q]}`, d.server.URL)
}

func (d *searchDouble) Traits() exporttest.Traits {
	return exporttest.Traits{Overwrites: true, CanFail: true, Refuses: true}
}
func (d *searchDouble) Poison(_ *testing.T, h *wire.Hit) { h.Description = "no date at all" }
func (d *searchDouble) Down(*testing.T)                  { d.set(func() { d.down = true }) }
func (d *searchDouble) Up(*testing.T)                    { d.set(func() { d.down = false }) }

func (d *searchDouble) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *searchDouble) Taken(*testing.T) []exporttest.Taken {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []exporttest.Taken
	for _, id := range d.ids {
		out = append(out, exporttest.Taken{ID: id, Body: d.docs[id]})
	}
	return out
}

func TestSearchDoubleContract(t *testing.T) {
	exporttest.Run(t, func(t *testing.T) exporttest.Receiver {
		d := newSearchDouble(t)
		d.busy = 100
		return d
	})
}

func searchSink(t *testing.T, kind, more string, urls ...string) export.Sink {
	t.Helper()
	text, err := json.Marshal(urls)
	if err != nil {
		t.Fatal(err)
	}
	list, err := parse(t, t.TempDir(), fmt.Sprintf(`[{"name":"o","type":%q,"urls":%s%s}]`, kind, text, more))
	if err != nil {
		t.Fatal(err)
	}
	s, err := list[0].Open(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestSearchFailures: nothing is called taken that was not, a bulk that is too
// large is halved, and the next node is asked where one is away.
func TestSearchFailures(t *testing.T) {
	d := newSearchDouble(t)
	docs := export.ECSDocuments(t, rowOf(int64(1)), rowOf(int64(2)), rowOf(int64(3)))
	s := searchSink(t, "opensearch", "", "http://127.0.0.1:1", d.server.URL)
	for _, status := range []int{401, 403, 404, 429, 500, 502} {
		d.set(func() { d.status = status })
		if refused, err := s.Send(t.Context(), docs); err == nil || len(refused) > 0 || !strings.Contains(err.Error(), fmt.Sprint(status)) {
			t.Errorf("%d: %v %v", status, refused, err)
		}
	}
	d.set(func() { d.status, d.most = 0, len(docs[0].Body)*2 })
	if refused, err := s.Send(t.Context(), docs); err != nil || len(refused) > 0 || len(d.Taken(t)) != 3 {
		t.Errorf("a small bulk: %v %v", refused, err)
	}
	d.set(func() { d.most = 10 })
	if refused, err := s.Send(t.Context(), docs[1:2]); err != nil || len(refused) != 1 || refused[0].Index != 0 {
		t.Errorf("a document that is too large: %v %v", refused, err)
	}
	away := searchSink(t, "opensearch", "", "http://127.0.0.1:1")
	if _, err := away.Send(t.Context(), docs); err == nil {
		t.Error("a node that is away took documents")
	}
}

// TestElasticsearch: its template has its own type for the columns, and an API
// key goes in every request.
func TestElasticsearch(t *testing.T) {
	d := newSearchDouble(t)
	d.about = `"build_flavor":"default"`
	s := searchSink(t, "elasticsearch", `,"api_key_env":"SECRET","index":"fleet","period":"none"`, d.server.URL)
	if _, err := s.Send(t.Context(), export.ECSDocuments(t, rowOf(int64(1)))); err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.auths {
		if a != "ApiKey a secret of some length" {
			t.Errorf("Authorization %q", a)
		}
	}
	if len(d.templates) != 3 {
		t.Errorf("templates %v", d.templates)
	}
	text := d.templates["fleet-result"]
	if kind := at(t, text, "template.mappings.properties.edr.properties.columns.type"); kind != `"flattened"` {
		t.Errorf("columns are %s", kind)
	}
	if patterns := at(t, text, "index_patterns"); patterns != `["fleet-result"]` {
		t.Errorf("patterns %s", patterns)
	}
}
