package outbox_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/scheduler/outbox"
	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

// fleet is a sealed server that loses every third answer after it kept what
// came, and whose process and store can be replaced.
type fleet struct {
	mu     sync.Mutex
	keys   *seal.ServerKeys
	server *seal.Server
	host   seal.Host
	top    map[string]uint64
	kept   map[string][][32]byte // outbox/number
	posts  int
}

func (f *fleet) Host(context.Context, string) (seal.Host, error) { return f.host, nil }

func (f *fleet) Enrol(_ context.Context, e seal.Enrolment) (seal.Host, error) {
	f.host = seal.Host{ID: e.ProposedID, Key: e.Key, State: seal.HostAdmitted}
	return f.host, nil
}

func (f *fleet) Held(_ context.Context, _ seal.Host, box string, from, to uint64) (seal.Held, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := seal.Held{Known: f.top[box] > 0, Contiguous: f.top[box], Hashes: map[uint64][][32]byte{}}
	for n := from; n <= to; n++ {
		h.Hashes[n] = f.kept[fmt.Sprint(box, "/", n)]
	}
	return h, nil
}

func (f *fleet) Keep(_ context.Context, d seal.Delivery) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range append(d.Records, d.Conflicts...) {
		key := fmt.Sprint(d.Outbox, "/", r.Record.Number)
		f.kept[key] = append(f.kept[key], r.Hash)
	}
	f.top[d.Outbox] = d.Contiguous
	return nil
}

func (f *fleet) restart(t *testing.T) {
	t.Helper()
	s, err := seal.NewServer(seal.ServerOptions{Keys: f.keys, Hosts: f, Receiver: f})
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.server = s
}

func (f *fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := seal.ReadBody(r)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	s := f.server
	f.mu.Unlock()
	var reply seal.Reply
	switch r.URL.Path {
	case seal.PathKeys:
		reply = s.HandleKeys(r.Context(), body)
	case seal.PathEnrol:
		reply = s.HandleEnrol(r.Context(), body, r.RemoteAddr)
	case seal.PathOpen:
		reply = s.HandleOpen(r.Context(), body, r.RemoteAddr)
	case seal.PathPost:
		reply = s.HandlePost(r.Context(), body)
		f.mu.Lock()
		f.posts++
		lose := f.posts%3 == 0
		f.mu.Unlock()
		if lose {
			panic(http.ErrAbortHandler) // the connection breaks before the answer
		}
	}
	w.Header().Set("Content-Type", seal.ContentType)
	w.WriteHeader(reply.Status)
	_, _ = w.Write(reply.Body)
}

// TestEachRecordArrivesOnce sends through lost answers, a restart of the
// server, a restart of the agent, and a server that lost its store.
func TestEachRecordArrivesOnce(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	keys, _, err := seal.OpenServerKeys(seal.KeyOptions{Dir: t.TempDir(), RSAKeyFile: "../../wire/seal/testdata/rsa2048-a.pem", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{keys: keys, top: map[string]uint64{}, kept: map[string][][32]byte{}}
	f.restart(t)
	cert, err := keys.TLS("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(f)
	web.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	web.Config.ErrorLog = slog.NewLogLogger(quiet.Handler(), slog.LevelError)
	web.StartTLS()
	t.Cleanup(web.Close)
	token, err := keys.Token(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, err := seal.NewHTTPClient(seal.HTTPOptions{Dir: t.TempDir(), Token: &token, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if err := client.Enrol(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var added uint64
	run := func(records int) {
		t.Helper()
		box, err := outbox.Open(outbox.Options{Dir: dir, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer box.Close()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- (&outbox.Sender{Outbox: box, Poster: client, Log: quiet, MinDelay: time.Millisecond, MaxDelay: 5 * time.Millisecond, BatchBytes: 2000}).Run(ctx)
		}()
		for range records {
			added++
			if _, err := box.Add(wire.KindHit, wire.Hit{ID: fmt.Sprint(added)}); err != nil {
				t.Fatal(err)
			}
		}
		for box.Stats().Acked < box.Stats().Next-1 {
			select {
			case err := <-done:
				t.Fatalf("the sender ended: %v", err)
			case <-time.After(time.Millisecond):
			}
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	check := func(want int) {
		t.Helper()
		f.mu.Lock()
		defer f.mu.Unlock()
		for key, hashes := range f.kept {
			if len(hashes) != 1 {
				t.Fatalf("%s is kept %d times", key, len(hashes))
			}
		}
		if len(f.kept) != want {
			t.Fatalf("%d records are kept; want %d", len(f.kept), want)
		}
	}
	run(20)
	f.restart(t)
	run(20)
	check(40)
	f.mu.Lock()
	f.top, f.kept = map[string]uint64{}, map[string][][32]byte{}
	f.mu.Unlock()
	run(5)
	f.mu.Lock()
	defer f.mu.Unlock()
	for box, top := range f.top {
		if top < 45 {
			t.Fatalf("after the server lost its store outbox %s stands at %d; want 45 or more", box, top)
		}
	}
}
