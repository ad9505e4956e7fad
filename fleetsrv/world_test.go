package fleetsrv

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/api"
	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/export"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/store/sqlite"
	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

// sealingKey is one RSA key for all tests: making one is slow.
var sealingKey = sync.OnceValue(func() []byte {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
})

const testPassword = "correct horse battery"

// passwordHash is that of testPassword, made once.
var passwordHash = sync.OnceValue(func() string {
	h, err := auth.HashPassword(testPassword)
	if err != nil {
		panic(err)
	}
	return h
})

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	add time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.add)
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add += d
}

// world is a server with its listener on loopback, and what tests need of it.
type world struct {
	t     *testing.T
	dir   string
	db    *sqlite.DB
	keys  *seal.ServerKeys
	srv   *Server
	url   string
	clock *clock
	sinks []export.Config
	end   func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), clock: &clock{}}
	w.start()
	return w
}

// start starts the server on what is in the world's folder.
func (w *world) start() {
	w.t.Helper()
	ctx := context.Background()
	key := filepath.Join(w.dir, "rsa.pem")
	if err := os.WriteFile(key, sealingKey(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	var err error
	w.keys, _, err = seal.OpenServerKeys(seal.KeyOptions{Dir: filepath.Join(w.dir, "keys"), RSAKeyFile: key, Now: w.clock.now, Log: log})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.db, err = sqlite.Open(ctx, filepath.Join(w.dir, "edr.db")); err != nil {
		w.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.url = "https://" + l.Addr().String()
	w.srv, err = New(ctx, Options{Store: w.db, Keys: w.keys, Address: w.url, ContentDir: filepath.Join(w.dir, "content"), Version: "test", Sinks: w.sinks, Now: w.clock.now, Log: log})
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := w.keys.TLSConfig("127.0.0.1")
	cfg.NextProtos = []string{"h2", "http/1.1"}
	hs := &http.Server{Handler: w.srv.Handler(), TLSConfig: cfg, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	served := make(chan struct{})
	go func() { _ = hs.Serve(tls.NewListener(l, cfg)); close(served) }()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { w.srv.Run(ctx); close(done) }()
	var once sync.Once
	w.end = func() {
		once.Do(func() {
			w.srv.Stop()
			_ = hs.Close()
			<-served
			cancel()
			<-done
			if err := w.db.Close(); err != nil {
				w.t.Error(err)
			}
		})
	}
	w.t.Cleanup(w.end)
}

// user makes a user and answers a client that sends the user's API token.
func (w *world) user(name string, role auth.Role) *client {
	w.t.Helper()
	return w.userWith(name, role, role.DefaultClasses(), []string{store.GroupAll})
}

func (w *world) userWith(name string, role auth.Role, classes, groups []string) *client {
	w.t.Helper()
	ctx := context.Background()
	err := w.db.AddUser(ctx, store.Everything(), store.User{Name: name, Hash: passwordHash(), Role: string(role), Classes: classes, Groups: groups, CreatedAt: w.clock.now()})
	if err != nil {
		w.t.Fatal(err)
	}
	text, k := api.NewToken(name, "test", w.clock.now())
	if err := w.db.AddToken(ctx, store.Everything(), k); err != nil {
		w.t.Fatal(err)
	}
	return &client{t: w.t, base: w.url, h: w.httpClient(), head: http.Header{"Authorization": {"Bearer " + text}}}
}

func (w *world) httpClient() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(w.keys.CAPEM())
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.TLSClientConfig.RootCAs = pool
	tr.Proxy = nil
	w.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// client asks the API.
type client struct {
	t    *testing.T
	base string
	h    *http.Client
	head http.Header
}

// raw asks and answers the response with its whole body.
func (c *client) raw(method, path string, body any) (*http.Response, []byte) {
	c.t.Helper()
	var r io.Reader
	if s, ok := body.(string); ok {
		r = bytes.NewReader([]byte(s))
	} else if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, c.base+path, r)
	if err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range c.head {
		req.Header[k] = v
	}
	resp, err := c.h.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, b
}

// ask asks, wants a status and reads the answer.
func (c *client) ask(status int, method, path string, body, into any) {
	c.t.Helper()
	resp, b := c.raw(method, path, body)
	if resp.StatusCode != status {
		c.t.Fatalf("%s %s: status %d, want %d: %s", method, path, resp.StatusCode, status, b)
	}
	if into != nil {
		if err := json.Unmarshal(b, into); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	}
}

// agent is an enrolled host that the test plays.
type agent struct {
	*seal.HTTPClient
	t      *testing.T
	outbox string
	number uint64
}

// token makes an enrol token in the store.
func (w *world) token(uses int) seal.Token {
	w.t.Helper()
	text, secret, err := w.srv.EnrolToken()
	if err != nil {
		w.t.Fatal(err)
	}
	now := w.clock.now()
	err = w.db.AddEnrolment(context.Background(), store.Everything(), store.Enrolment{ID: auth.ID("e"), Hash: auth.Hash(secret), By: "test",
		CreatedAt: now, ExpiresAt: now.Add(time.Hour), Uses: uses})
	if err != nil {
		w.t.Fatal(err)
	}
	tok, err := seal.ParseToken(text)
	if err != nil {
		w.t.Fatal(err)
	}
	return tok
}

func (w *world) agent(name string) *agent {
	w.t.Helper()
	tok := w.token(1)
	return w.agentIn(name, w.t.TempDir(), &tok)
}

func (w *world) agentIn(name, dir string, tok *seal.Token) *agent {
	w.t.Helper()
	c, err := seal.NewHTTPClient(seal.HTTPOptions{Dir: dir, Server: w.url, Token: tok, Log: slog.New(slog.DiscardHandler),
		Details: func() wire.HostDetails {
			return wire.HostDetails{Hostname: name, UUID: "uuid-" + name, OS: "Test OS", Platform: "linux", Arch: "amd64", AgentVersion: "test"}
		}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	a := &agent{HTTPClient: c, t: w.t, outbox: "ob-" + name}
	if err := c.Enrol(context.Background()); err != nil {
		w.t.Fatalf("enrol %s: %v", name, err)
	}
	return a
}

// record makes the next record of the agent's outbox.
func (a *agent) record(kind wire.Kind, body any) wire.Record {
	a.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		a.t.Fatal(err)
	}
	a.number++
	return wire.Record{Outbox: a.outbox, Number: a.number, Kind: kind, Time: time.Now(), Body: b}
}

func (a *agent) post(records ...wire.Record) {
	a.t.Helper()
	ack, err := a.Post(context.Background(), records)
	if err != nil {
		a.t.Fatalf("post: %v", err)
	}
	if last := records[len(records)-1].Number; ack < last {
		a.t.Fatalf("post: acknowledged up to %d, want %d", ack, last)
	}
}

// command polls until a command of the type comes.
func (a *agent) command(want wire.CommandType) wire.Command {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		cmds, err := a.Poll(ctx)
		if err != nil {
			a.t.Fatalf("poll for %s: %v", want, err)
		}
		for _, c := range cmds {
			if c.Type == want {
				return c
			}
		}
	}
}

func hit(id, entity string) wire.Hit {
	return wire.Hit{ID: id, Rule: wire.RuleRef{ID: "miner", Name: "Miner", Version: "v1"}, Severity: wire.High, Title: "A miner runs",
		Attack: []string{"T1496"}, Time: time.Now(), Entity: entity, Count: 1, Table: "process_events",
		Event:   []wire.Field{{Name: "path", Value: wire.ValueOf("/tmp/xmrig")}},
		Process: &wire.Process{PID: 4242, StartTime: 99, Name: "xmrig", Path: "/tmp/xmrig", Cmdline: "xmrig"}}
}
