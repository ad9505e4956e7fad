package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv"
	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/ingest"
	"github.com/aiedr/edr/fleetsrv/live"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/store/sqlite"
	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

const (
	serverClients = 8
	checkIns      = 12000 // of each kind, over all clients
)

// fleet is keys and a store in a folder of its own, and a listener on loopback.
type fleet struct {
	dir  string
	url  string
	keys *seal.ServerKeys
	db   *sqlite.DB
	l    net.Listener
	log  *slog.Logger
	ends []func()
}

func newFleet() (*fleet, error) {
	dir, err := os.MkdirTemp("", "edr-bench-server-")
	if err != nil {
		return nil, err
	}
	f := &fleet{dir: dir, log: slog.New(slog.DiscardHandler)}
	f.ends = append(f.ends, func() { _ = os.RemoveAll(dir) })
	if f.keys, _, err = seal.OpenServerKeys(seal.KeyOptions{Dir: filepath.Join(dir, "keys"), Log: f.log}); err != nil {
		f.close()
		return nil, err
	}
	if f.db, err = sqlite.Open(context.Background(), filepath.Join(dir, "edr.db")); err != nil {
		f.close()
		return nil, err
	}
	f.ends = append(f.ends, func() { _ = f.db.Close() })
	if f.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		f.close()
		return nil, err
	}
	f.url = "https://" + f.l.Addr().String()
	return f, nil
}

func (f *fleet) close() {
	for i := len(f.ends) - 1; i >= 0; i-- {
		f.ends[i]()
	}
}

// serve answers on the listener until close.
func (f *fleet) serve(h http.Handler) {
	hs := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(f.log.Handler(), slog.LevelDebug)}
	go func() { _ = hs.Serve(tls.NewListener(f.l, f.keys.TLSConfig("127.0.0.1"))) }()
	f.ends = append(f.ends, func() { _ = hs.Close() })
}

// agents enrols hosts, each with connections of its own.
func (f *fleet) agents(n int) ([]*seal.HTTPClient, error) {
	var out []*seal.HTTPClient
	for i := range n {
		t, err := f.keys.Token(f.url)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		err = f.db.AddEnrolment(context.Background(), store.Everything(), store.Enrolment{ID: auth.ID("e"), Hash: auth.Hash(t.Secret),
			CreatedAt: now, ExpiresAt: now.Add(time.Hour), Uses: 1})
		if err != nil {
			return nil, err
		}
		c, err := seal.NewHTTPClient(seal.HTTPOptions{Dir: filepath.Join(f.dir, fmt.Sprint("agent", i)), Token: &t, Log: f.log})
		if err != nil {
			return nil, err
		}
		f.ends = append(f.ends, func() { _ = c.Close() })
		if err := c.Enrol(context.Background()); err != nil {
			return nil, err
		}
		if err := c.Open(context.Background()); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// CheckIns prints how many sealed check-ins a second the server takes on
// keep-alive TLS, against a bare Gin handler on the same listener. A check-in
// is a poll that finds nothing; clients and server share this process.
func CheckIns(w io.Writer) error {
	f, err := newFleet()
	if err != nil {
		return err
	}
	defer f.close()
	receiver := ingest.New(ingest.Options{Store: f.db, Bus: live.NewBus(), Now: time.Now, Log: f.log})
	sealed, err := seal.NewServer(seal.ServerOptions{Keys: f.keys, Hosts: receiver, Receiver: receiver})
	if err != nil {
		return err
	}
	f.serve(checkInRoutes(sealed))
	agents, err := f.agents(serverClients)
	if err != nil {
		return err
	}
	bareClients := make([]*http.Client, serverClients)
	for i := range bareClients {
		bareClients[i] = f.plainClient()
	}
	ctx := context.Background()
	poll := func(client int) error { _, err := agents[client].Poll(ctx); return err }
	bare := func(client int) error { return bareCheckIn(bareClients[client], f.url) }
	// Warm both, then each in turn, twice; the better counts.
	var best [2]float64
	for round := range 3 {
		n := checkIns
		if round == 0 {
			n = checkIns / 10
		}
		for i, do := range []func(int) error{bare, poll} {
			rate, err := perSecond(n, serverClients, do)
			if err != nil {
				return err
			}
			if round > 0 {
				best[i] = max(best[i], rate)
			}
		}
	}
	fmt.Fprintf(w, "check-ins on keep-alive TLS, %d clients, client and server in one process\n", serverClients)
	fmt.Fprintf(w, "%-28s %10.0f /s\n%-28s %10.0f /s  %3.0f %% of bare\n", "bare Gin handler", best[0], "sealed poll", best[1], 100*best[1]/best[0])
	return nil
}

type bareMessage struct {
	Host  string    `json:"host"`
	Taken uint64    `json:"taken"`
	Time  time.Time `json:"time"`
}

func checkInRoutes(s *seal.Server) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.POST("/bare", func(c *gin.Context) {
		var in bareMessage
		if err := json.NewDecoder(c.Request.Body).Decode(&in); err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		in.Time = time.Now()
		c.JSON(http.StatusOK, in)
	})
	nothing := func(context.Context, seal.Host, seal.PollInfo) ([]seal.SignedCommand, error) { return nil, nil }
	for path, do := range map[string]func(ctx context.Context, body []byte) seal.Reply{
		seal.PathKeys:  s.HandleKeys,
		seal.PathEnrol: func(ctx context.Context, b []byte) seal.Reply { return s.HandleEnrol(ctx, b, "127.0.0.1") },
		seal.PathOpen:  func(ctx context.Context, b []byte) seal.Reply { return s.HandleOpen(ctx, b, "127.0.0.1") },
		seal.PathPoll:  func(ctx context.Context, b []byte) seal.Reply { return s.HandlePoll(ctx, b, nothing) },
	} {
		r.POST(path, func(c *gin.Context) {
			body, err := seal.ReadBody(c.Request)
			reply := seal.RefusalReply(err)
			if err == nil {
				reply = do(c.Request.Context(), body)
			}
			c.Data(reply.Status, seal.ContentType, reply.Body)
		})
	}
	return r
}

func (f *fleet) plainClient() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(f.keys.CAPEM())
	tr := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}, MaxIdleConnsPerHost: 1, DisableCompression: true}
	f.ends = append(f.ends, tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func bareCheckIn(c *http.Client, url string) error {
	b, err := json.Marshal(bareMessage{Host: "h-0123456789abcdef", Taken: 12345})
	if err != nil {
		return err
	}
	resp, err := c.Post(url+"/bare", "application/json", bytes.NewReader(b))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var out bareMessage
	return json.NewDecoder(resp.Body).Decode(&out)
}

// perSecond runs n calls over clients, each its own goroutine.
func perSecond(n, clients int, do func(client int) error) (float64, error) {
	var left atomic.Int64
	left.Store(int64(n))
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	start := time.Now()
	for i := range clients {
		all.Go(func() {
			for left.Add(-1) >= 0 && failed.Load() == nil {
				if err := do(i); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// wholeServer is the server as edr-server runs it.
func (f *fleet) wholeServer() error {
	srv, err := fleetsrv.New(context.Background(), fleetsrv.Options{Store: f.db, Keys: f.keys, Address: f.url, Version: "bench", Log: f.log})
	if err != nil {
		return err
	}
	f.serve(srv.Handler())
	f.ends = append(f.ends, srv.Stop)
	return nil
}

// resultRow is a row of a scheduled query, some 230 bytes of JSON.
func resultRow(i int) wire.Row {
	return wire.Row{wire.ValueOf(int64(i)), wire.ValueOf("nginx"), wire.ValueOf("/usr/sbin/nginx"),
		wire.ValueOf("nginx: worker process -c /etc/nginx/nginx.conf -g daemon off; --with-a-long-argument=" + fmt.Sprintf("%032d", i)),
		wire.ValueOf(int64(1000)), wire.ValueOf(int64(3600000) + int64(i)), wire.ValueOf("/var/lib/nginx/some/working/directory"), wire.ValueOf("running")}
}
