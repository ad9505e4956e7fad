package agent

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/wire"
)

func TestLocalSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "edr-") // t.TempDir's path may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if _, err := Dial(dir); !errors.Is(err, ErrNoAgent) {
		t.Fatalf("without an agent: %v", err)
	}
	if err := os.WriteFile(SocketPath(dir), nil, 0o600); err != nil { // what a dead agent left
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	s := &localServer{ask: echo{}, status: func() any { return map[string]int{"rules": 3} }, log: silent}
	go func() { ended <- s.serve(ctx, SocketPath(dir)) }()
	if l, err := net.Listen("unix", SocketPath(dir)+"x"); withoutSockets(err) {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		testneed.Missing(t, "sockets of names")
	} else if err == nil {
		l.Close()
	}
	var c *LocalClient
	for range 500 {
		if c, err = Dial(dir); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(SocketPath(dir)); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, %v", fi.Mode(), err)
	}
	var got []wire.Answer
	err = c.Ask(ctx, wire.LiveQuery{ID: "local", SQL: "SELECT 1"}, func(a wire.Answer) error { got = append(got, a); return nil })
	if err != nil || len(got) != 1 || got[0].Rows[0][0].String() != "SELECT 1" {
		t.Errorf("asked: %+v, %v", got, err)
	}
	stop := errors.New("enough")
	if err := c.Ask(ctx, wire.LiveQuery{SQL: "x"}, func(wire.Answer) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a printer that fails: %v", err)
	}
	if raw, err := c.Status(ctx); err != nil || !strings.Contains(string(raw), `"rules":3`) {
		t.Errorf("status: %s, %v", raw, err)
	}
	resp, err := c.http.Post("http://agent/query", "application/json", strings.NewReader(`{"sql":`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a broken question: %s", resp.Status)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the end: %v", err)
	}
}
