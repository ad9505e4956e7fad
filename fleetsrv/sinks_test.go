package fleetsrv

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/export"
	"github.com/aiedr/edr/wire"
)

type sinksJSON struct {
	Sinks []export.State `json:"sinks"`
}

// TestSinks: what an agent sends arrives in a file, once also over a restart
// of the server, and the API and the metrics tell how the sinks stand.
func TestSinks(t *testing.T) {
	dir := t.TempDir()
	text := fmt.Sprintf(`[{"name":"lines","type":"file","path":%q},
		{"name":"away","type":"webhook","url":"https://127.0.0.1:1/hidden-path","secret_env":"SECRET"}]`, filepath.Join(dir, "out.jsonl"))
	sinks, err := export.ParseConfig(json.RawMessage(text), dir, func(string) string { return "a secret of some length" })
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, clock: &clock{}, sinks: sinks}
	w.start()
	admin := w.user("ann", auth.Admin)
	a := w.agent("web-1")
	a.post(a.record(wire.KindHit, hit("h1", "one")),
		a.record(wire.KindResult, wire.Result{Query: "q", Time: time.Now(), Columns: []string{"n"}, Added: []wire.Row{{wire.ValueOf(int64(1))}, {wire.ValueOf("two")}}}),
		a.record(wire.KindOutcome, wire.Outcome{ID: "r", Action: "terminate_process", Time: time.Now(), State: "done"}))
	lines := func(want int) []export.Record {
		t.Helper()
		var out []export.Record
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			out = readLines(t, filepath.Join(dir, "out.jsonl"))
			if len(out) >= want {
				break
			}
		}
		if len(out) != want {
			t.Fatalf("%d documents, want %d: %+v", len(out), want, out)
		}
		return out
	}
	got := lines(4)
	if got[0].Hit == nil || got[0].Hit.ID != "h1" || got[0].Host.Hostname != "web-1" || got[1].Result == nil || got[1].Result.Query != "q" || got[3].Outcome == nil {
		t.Errorf("documents %+v", got)
	}

	var s sinksJSON
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		s = sinksJSON{}
		admin.ask(200, "GET", "/api/v1/sinks", nil, &s)
		if len(s.Sinks) == 2 && s.Sinks[0].Sent == 4 && s.Sinks[1].State == export.StateFailing {
			break
		}
	}
	if len(s.Sinks) != 2 || s.Sinks[0].Name != "lines" || s.Sinks[0].State != export.StateOK || s.Sinks[0].Sent != 4 || s.Sinks[0].LagRecords != 0 {
		t.Errorf("the file: %+v", s)
	}
	if len(s.Sinks) != 2 || s.Sinks[1].State != export.StateFailing || !strings.Contains(s.Sinks[1].Error, "not public") || s.Sinks[1].LagRecords != 3 {
		t.Errorf("the webhook: %+v", s)
	}
	_, raw := admin.raw("GET", "/api/v1/sinks", nil)
	if strings.Contains(string(raw), "hidden-path") || strings.Contains(string(raw), "a secret of") {
		t.Errorf("the API tells a secret: %s", raw)
	}
	_, metrics := admin.raw("GET", "/metrics", nil)
	for _, want := range []string{`edr_sink_documents_total{outcome="sent",sink="lines"} 4`, `edr_sink_up{sink="lines"} 1`, `edr_sink_up{sink="away"} 0`, `edr_sink_lag_records{sink="away"} 3`} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}

	w.end()
	w.start()
	a2 := w.agent("web-2")
	a2.post(a2.record(wire.KindHit, hit("h2", "two")))
	if got := lines(5); got[4].Hit == nil || got[4].Hit.ID != "h2" {
		t.Errorf("after a restart: %+v", got[4])
	}
}

func readLines(t *testing.T, path string) []export.Record {
	t.Helper()
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []export.Record
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var r struct {
			export.Record
			Result *struct{ Query string } `json:"result"`
		}
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			return out // a line that is being written
		}
		if r.Result != nil {
			r.Record.Result = &export.RecordResult{Query: r.Result.Query}
		}
		out = append(out, r.Record)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
