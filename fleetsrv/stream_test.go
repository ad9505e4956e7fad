package fleetsrv

import (
	"bufio"
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

type event struct{ name, id, data string }

// sse reads an event stream.
type sse struct {
	t      *testing.T
	events chan event
	cancel context.CancelFunc
}

func (w *world) stream(c *client, path, lastID string) *sse {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	w.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for k, v := range c.head {
		req.Header[k] = v
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := c.h.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("stream: status %d, %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	s := &sse{w.t, make(chan event, 10000), cancel}
	go func() {
		defer resp.Body.Close()
		defer close(s.events)
		var e event
		sc := bufio.NewScanner(resp.Body)
		sc.Buffer(nil, 16<<20)
		for sc.Scan() {
			key, value, _ := strings.Cut(sc.Text(), ": ")
			switch key {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			case "":
				if e.name != "" {
					s.events <- e
				}
				e = event{}
			}
		}
	}()
	return s
}

// until answers the events up to the first of a name.
func (s *sse) until(name string) []event {
	s.t.Helper()
	defer s.cancel()
	var out []event
	for e := range s.events {
		out = append(out, e)
		if e.name == name {
			return out
		}
	}
	s.t.Fatalf("the stream ended without %q: %+v", name, out)
	return nil
}

func (w *world) agentByKey(name string, pem []byte) *agent {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "server.pem")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		w.t.Fatal(err)
	}
	key, err := seal.ReadPublicKey(file)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := seal.NewHTTPClient(seal.HTTPOptions{Dir: w.t.TempDir(), Server: w.url, PublicKey: key, Log: slog.New(slog.DiscardHandler),
		Details: func() wire.HostDetails { return wire.HostDetails{Hostname: name} }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	if err := c.Enrol(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	return &agent{HTTPClient: c, t: w.t, outbox: "ob-" + name}
}

func TestStreamOfChanges(t *testing.T) {
	w := newWorld(t)
	viewer := w.user("vera", auth.Viewer)
	a := w.agent("h")
	s := w.stream(viewer, "/api/v1/stream", "")
	a.post(a.record(wire.KindHit, hit("h1", "pid 1")))
	events := s.until("alert")
	if last := events[len(events)-1]; !strings.Contains(last.data, `"title":"A miner runs"`) {
		t.Errorf("alert event: %s", last.data)
	}
}
