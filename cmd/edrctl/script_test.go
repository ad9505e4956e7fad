package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/aiedr/edr/fleetsrv"
	"github.com/aiedr/edr/fleetsrv/api"
	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/store/sqlite"
	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"edrctl": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			code := (&env{os.Stdout, os.Stderr, os.Getenv}).main(ctx, os.Args[1:])
			stop()
			os.Exit(code)
		},
	})
}

// TestScripts runs edrctl against a whole server with one host that the test
// plays, for each script anew.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			s := &site{dir: env.WorkDir, log: slog.New(slog.DiscardHandler)}
			env.Defer(s.close)
			token, err := s.start()
			if err != nil {
				return err
			}
			env.Setenv("EDR_SERVER", s.url)
			env.Setenv("EDR_TOKEN", token)
			env.Setenv("EDR_CA", filepath.Join(env.WorkDir, "keys", "ca.pem"))
			return nil
		},
	})
}

type site struct {
	dir, url string
	log      *slog.Logger
	ends     []func()
}

func (s *site) close() {
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
}

func (s *site) start() (token string, err error) {
	ctx := context.Background()
	keys, _, err := seal.OpenServerKeys(seal.KeyOptions{Dir: filepath.Join(s.dir, "keys"), Log: s.log})
	if err != nil {
		return "", err
	}
	db, err := sqlite.Open(ctx, filepath.Join(s.dir, "edr.db"))
	if err != nil {
		return "", err
	}
	s.ends = append(s.ends, func() { _ = db.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s.url = "https://" + l.Addr().String()
	srv, err := fleetsrv.New(ctx, fleetsrv.Options{Store: db, Keys: keys, Address: s.url, Log: s.log})
	if err != nil {
		return "", err
	}
	hs := &http.Server{Handler: srv.Handler(), ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	go func() { _ = hs.Serve(tls.NewListener(l, keys.TLSConfig("127.0.0.1"))) }()
	run, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { srv.Run(run) })
	s.ends = append(s.ends, func() { srv.Stop(); _ = hs.Close(); cancel(); all.Wait() })
	now := time.Now()
	err = db.AddUser(ctx, store.Everything(), store.User{Name: "ann", Role: "admin", Classes: auth.Classes(), Groups: []string{store.GroupAll}, CreatedAt: now})
	if err != nil {
		return "", err
	}
	text, k := api.NewToken("ann", "test", now)
	if err := db.AddToken(ctx, store.Everything(), k); err != nil {
		return "", err
	}
	return text, s.host(run, &all, db, keys)
}

// host enrols the host web1 and plays it: it answers queries by their text.
func (s *site) host(ctx context.Context, all *sync.WaitGroup, db *sqlite.DB, keys *seal.ServerKeys) error {
	tok, err := keys.Token(s.url)
	if err != nil {
		return err
	}
	now := time.Now()
	err = db.AddEnrolment(ctx, store.Everything(), store.Enrolment{ID: "e", Hash: auth.Hash(tok.Secret), CreatedAt: now, ExpiresAt: now.Add(time.Hour), Uses: 1})
	if err != nil {
		return err
	}
	c, err := seal.NewHTTPClient(seal.HTTPOptions{Dir: filepath.Join(s.dir, "agent"), Token: &tok, Log: s.log,
		Details: func() wire.HostDetails { return wire.HostDetails{Hostname: "web1", OS: "Test"} }})
	if err != nil {
		return err
	}
	s.ends = append(s.ends, func() { _ = c.Close() })
	if err := c.Enrol(ctx); err != nil {
		return err
	}
	if err := db.AddGroup(ctx, store.Everything(), store.Group{Name: "web", Kind: store.GroupManual, Priority: 5}); err != nil {
		return err
	}
	if err := db.SetMembers(ctx, store.Everything(), "web", []string{c.HostID()}); err != nil {
		return err
	}
	p := &player{c: c}
	if err := p.post(ctx, wire.KindHit, wire.Hit{ID: "1", Rule: wire.RuleRef{ID: "r"}, Severity: wire.High, Title: "A \x1b[31mred\x1b[0m alert", Time: now, Entity: "e", Count: 1}); err != nil {
		return err
	}
	all.Go(func() { p.play(ctx) })
	return nil
}

type player struct {
	c      *seal.HTTPClient
	number uint64
}

func (p *player) post(ctx context.Context, kind wire.Kind, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	p.number++
	_, err = p.c.Post(ctx, []wire.Record{{Outbox: "outbox", Number: p.number, Kind: kind, Time: time.Now(), Body: b}})
	return err
}

func (p *player) play(ctx context.Context) {
	for ctx.Err() == nil {
		cmds, err := p.c.Poll(ctx)
		if err != nil {
			continue
		}
		for _, c := range cmds {
			if err := p.obey(ctx, c); err != nil && !errors.Is(err, context.Canceled) {
				return // the script that waits for it fails
			}
		}
	}
}

func (p *player) obey(ctx context.Context, c wire.Command) error {
	switch c.Type {
	case wire.CommandQuery:
		var q wire.LiveQuery
		if err := json.Unmarshal(c.Args, &q); err != nil {
			return err
		}
		a := wire.Answer{Query: q.ID, Part: 1, Columns: []string{"pid", "name"}, Done: true}
		switch {
		case strings.Contains(q.SQL, "'nothing'"):
		case strings.Contains(q.SQL, "'broken'"):
			a.Error = "it broke"
		case strings.Contains(q.SQL, "'never'"):
			return nil
		default:
			a.Rows = []wire.Row{{wire.ValueOf(int64(1)), wire.ValueOf("init")}, {wire.ValueOf(int64(9007199254740993)), wire.ValueOf("\x1b]0;owned\x07 \u202eevil")}}
			a.Warnings = []string{"one thing could not be read"}
		}
		return p.c.Answer(ctx, a)
	case wire.CommandRespond:
		var r wire.Respond
		if err := json.Unmarshal(c.Args, &r); err != nil {
			return err
		}
		o := wire.Outcome{ID: r.ID, Action: r.Action, Time: time.Now(), State: "done", Seen: "it is gone"}
		if r.DryRun {
			o.State, o.Plan, o.Seen = "planned", "end it", ""
		}
		if strings.Contains(string(r.Args), `"pid":666`) {
			o.State, o.Error, o.Seen = "failed", "no such process", ""
		}
		return p.post(ctx, wire.KindOutcome, o)
	}
	return nil
}
