package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aiedr/edr/wire"
)

// SocketPath is where an agent on a data folder answers local questions. Unix
// sockets have short names, so it stands directly in the folder.
func SocketPath(data string) string { return filepath.Join(data, "agent.sock") }

// maxQuestion bounds a local request.
const maxQuestion = 1 << 20

// asker answers one statement part by part; an Asker, or one that paces it.
type asker interface {
	Ask(ctx context.Context, q wire.LiveQuery, emit func(wire.Answer) error)
}

// localServer answers `edr-agent query` and `edr-agent status` over a socket
// that only root, or the agent's own user, can open.
type localServer struct {
	ask    asker
	status func() any
	log    *slog.Logger
}

func (s *localServer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /query", func(w http.ResponseWriter, r *http.Request) {
		var q wire.LiveQuery
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&q); err != nil {
			http.Error(w, "read the question: "+err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		enc := json.NewEncoder(w)
		flush := http.NewResponseController(w)
		s.ask.Ask(r.Context(), q, func(a wire.Answer) error {
			if err := enc.Encode(a); err != nil {
				return err
			}
			return flush.Flush()
		})
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(s.status()); err != nil {
			s.log.Warn("answer a local status request", "error", err)
		}
	})
	return mux
}

// serve answers until the context ends.
func (s *localServer) serve(ctx context.Context, path string) error {
	// The data folder is locked: a socket that is there is a dead agent's.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the old socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if withoutSockets(err) {
		s.log.Warn("this Windows has no sockets of names: edr-agent query and status cannot ask the running agent", "error", err)
		<-ctx.Done()
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the local socket %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return fmt.Errorf("guard the local socket: %w", err)
	}
	srv := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second}
	var wg sync.WaitGroup
	wg.Go(func() {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = srv.Shutdown(stop) // what still runs is cut off with the process
	})
	err = srv.Serve(l)
	wg.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// LocalClient asks the agent that runs on a data folder.
type LocalClient struct{ http *http.Client }

// ErrNoAgent says that no agent answers on the data folder.
var ErrNoAgent = errors.New("no agent runs there")

// Dial looks for an agent on the data folder.
func Dial(data string) (*LocalClient, error) {
	path := SocketPath(data)
	c, err := net.DialTimeout("unix", path, 2*time.Second)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("ask the agent at %s: %w; run this as root or as the agent's user", path, err)
		}
		return nil, fmt.Errorf("%w (%s: %v)", ErrNoAgent, path, err)
	}
	c.Close()
	return &LocalClient{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}}, nil
}

// Ask sends one statement and gives each part of the answer to emit.
func (c *LocalClient) Ask(ctx context.Context, q wire.LiveQuery, emit func(wire.Answer) error) error {
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent/query", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the local agent: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the local agent: it answered %s", resp.Status)
	}
	d := json.NewDecoder(resp.Body)
	for {
		var a wire.Answer
		if err := d.Decode(&a); err != nil {
			return fmt.Errorf("read the local agent's answer: %w (it may have stopped)", err)
		}
		if err := emit(a); err != nil {
			return err
		}
		if a.Done {
			return nil
		}
	}
}

// Status is the agent's own account of itself.
func (c *LocalClient) Status(ctx context.Context) (json.RawMessage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent/status", nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the local agent: %w", err)
	}
	defer resp.Body.Close()
	var raw json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&raw); err != nil {
		return nil, fmt.Errorf("read the local agent's status: %w", err)
	}
	return raw, nil
}
