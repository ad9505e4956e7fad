package seal

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/wire"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// world is a server on loopback TLS with its store, and what happens on it.
type world struct {
	t      *testing.T
	dir    string
	keys   *ServerKeys
	store  *memStore
	server *Server
	http   *httptest.Server

	mu      sync.Mutex
	events  []Event
	queue   []SignedCommand // commands that wait, of one host
	answers []wire.Answer
	woken   chan struct{}
	// mangle may change a request on its way, or answer in the server's place.
	mangle func(path string, body []byte) (changed []byte, instead *Reply)
	// mangleReply may change an answer on its way.
	mangleReply func(path string, body []byte) []byte
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), store: newMemStore(), woken: make(chan struct{}, 100)}
	w.openKeys()
	w.restart()
	w.http = httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	cert, err := w.keys.TLS("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	w.http.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	w.http.Config.ErrorLog = slog.NewLogLogger(quiet.Handler(), slog.LevelError)
	w.http.StartTLS()
	t.Cleanup(w.http.Close)
	return w
}

func (w *world) openKeys() {
	w.t.Helper()
	// The largest part of a test's time would be to make RSA keys of 3072 bits.
	keys, _, err := OpenServerKeys(KeyOptions{Dir: w.dir, RSAKeyFile: "testdata/rsa2048-a.pem", Log: quiet})
	if err != nil {
		w.t.Fatal(err)
	}
	w.keys = keys
}

// restart is a new server process on the same store and keys.
func (w *world) restart() {
	w.t.Helper()
	s, err := NewServer(ServerOptions{Keys: w.keys, Hosts: w.store, Receiver: w.store, Events: w.event})
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.server = s
}

func (w *world) event(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func (w *world) count(k EventKind) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, e := range w.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

func (w *world) now() *Server {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.server
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	s := w.now()
	body, err := ReadBody(r)
	if err != nil {
		w.write(rw, r, RefusalReply(err))
		return
	}
	w.mu.Lock()
	mangle := w.mangle
	w.mu.Unlock()
	if mangle != nil {
		var instead *Reply
		if body, instead = mangle(r.URL.Path, body); instead != nil {
			w.write(rw, r, *instead)
			return
		}
	}
	w.write(rw, r, w.handle(r.Context(), s, r.URL.Path, body))
}

func (w *world) handle(ctx context.Context, s *Server, path string, body []byte) Reply {
	switch path {
	case PathKeys:
		return s.HandleKeys(ctx, body)
	case PathEnrol:
		return s.HandleEnrol(ctx, body, "192.0.2.1")
	case PathOpen:
		return s.HandleOpen(ctx, body, "192.0.2.1")
	case PathPost:
		return s.HandlePost(ctx, body)
	case PathPoll:
		return s.HandlePoll(ctx, body, w.wait)
	case PathAnswer:
		return s.HandleAnswer(ctx, body, func(_ context.Context, _ Host, a wire.Answer) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.answers = append(w.answers, a)
			return nil
		})
	}
	return Reply{Status: http.StatusNotFound}
}

func (w *world) wait(ctx context.Context, _ Host, _ PollInfo) ([]SignedCommand, error) {
	for {
		w.mu.Lock()
		q := w.queue
		w.queue = nil
		w.mu.Unlock()
		if len(q) > 0 {
			return q, nil
		}
		select {
		case <-w.woken:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (w *world) write(rw http.ResponseWriter, r *http.Request, reply Reply) {
	w.mu.Lock()
	mangle := w.mangleReply
	w.mu.Unlock()
	if mangle != nil {
		reply.Body = mangle(r.URL.Path, reply.Body)
	}
	rw.Header().Set("Content-Type", ContentType)
	rw.WriteHeader(reply.Status)
	_, _ = rw.Write(reply.Body)
}

// token makes an enrol token that lets one host in.
func (w *world) token() *Token {
	w.t.Helper()
	t, err := w.keys.Token(w.http.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	w.store.secrets[t.Secret] = 1
	return &t
}

// agent makes an agent that is enrolled.
func (w *world) agent() *HTTPClient {
	w.t.Helper()
	c := w.client(HTTPOptions{Dir: w.t.TempDir(), Token: w.token()})
	if err := c.Enrol(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) client(o HTTPOptions) *HTTPClient {
	w.t.Helper()
	if o.Server == "" {
		o.Server = w.http.URL
	}
	o.Log = quiet
	c, err := NewHTTPClient(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

// send queues a command for an agent as the server would sign it.
func (w *world) send(c wire.Command) {
	w.t.Helper()
	b, err := w.now().SignCommand(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.sendBytes(b)
}

func (w *world) sendBytes(b SignedCommand) {
	w.mu.Lock()
	w.queue = append(w.queue, b)
	w.mu.Unlock()
	w.woken <- struct{}{}
}

func command(host string, serial uint64, nonce string) wire.Command {
	now := time.Now().UTC()
	return wire.Command{Host: host, Serial: serial, Nonce: nonce, Type: wire.CommandQuery,
		Args: json.RawMessage(`{"id":"q1","sql":"SELECT 1"}`), Issued: now, Expires: now.Add(time.Hour)}
}

func record(outbox string, n uint64, text string) wire.Record {
	body, _ := json.Marshal(wire.Problem{Source: "test", Error: text, Count: 1})
	return wire.Record{Outbox: outbox, Number: n, Kind: wire.KindProblem, Time: time.Unix(1700000000, 0).UTC(), Body: body}
}

func wantRefusal(t *testing.T, err error, want *Refusal) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %s", err, want.Name)
	}
}
