package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/aiedr/edr/fleetsrv"
	"github.com/aiedr/edr/fleetsrv/api"
	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/store/sqlite"
	"github.com/aiedr/edr/wire/seal"
)

const shutdownTime = 10 * time.Second

// run is the server itself.
func (e *env) run(ctx context.Context, args []string) error {
	var s settings
	var config string
	fs := e.newFlags("edr-server", &s, &config)
	fs.Usage = func() { fmt.Fprint(e.stderr, usage+"\nflags:\n"); fs.PrintDefaults() }
	rest, err := e.parse(fs, &s, &config, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("there is no command %q\n%s", rest[0], usage)
	}
	log := newLog(e.stderr, s.Debug)
	sinks, err := e.sinks(&s, config)
	if err != nil {
		return err
	}
	address, err := s.address()
	if err != nil {
		return err
	}
	keys, db, err := e.open(ctx, &s, log)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := e.firstAdmin(ctx, db, log); err != nil {
		return err
	}
	srv, err := fleetsrv.New(ctx, fleetsrv.Options{Store: db, Keys: keys, Address: address,
		ContentDir: fleetsrv.ContentFolder(s.Data), Version: e.version, Sinks: sinks, Log: log})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("-addr: listen on %s: %w; choose another address, or stop what listens there", s.Addr, err)
	}
	return e.serve(ctx, srv, l, keys, address, log)
}

// open makes the data folder and opens keys and database.
func (e *env) open(ctx context.Context, s *settings, log *slog.Logger) (*seal.ServerKeys, *sqlite.DB, error) {
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return nil, nil, fmt.Errorf("-data: make the folder: %w; give a folder that can be written", err)
	}
	keys, err := e.openKeys(s, log)
	if err != nil {
		return nil, nil, err
	}
	db, err := sqlite.Open(ctx, s.DB)
	if err != nil {
		return nil, nil, fmt.Errorf("-db: %w", err)
	}
	return keys, db, nil
}

func (e *env) openKeys(s *settings, log *slog.Logger) (*seal.ServerKeys, error) {
	keys, made, err := seal.OpenServerKeys(seal.KeyOptions{Dir: filepath.Join(s.Data, "keys"), RSAKeyFile: s.PrivateKey,
		CertFile: s.Cert, KeyFile: s.Key, Log: log})
	if err != nil {
		return nil, fmt.Errorf("open the server's keys (-cert, -key, -privkey, or keys in -data): %w", err)
	}
	for _, f := range made {
		log.Info("made", "file", f)
	}
	return keys, nil
}

// firstAdmin makes the first administrator of an empty server and prints the
// password, which is kept nowhere else.
func (e *env) firstAdmin(ctx context.Context, db store.Store, log *slog.Logger) error {
	users, err := db.ListUsers(ctx, store.Everything())
	if err != nil || len(users) > 0 {
		return err
	}
	password := auth.Secret()[:20]
	u, err := api.NewUser("admin", password, string(auth.Admin), nil, false, time.Now())
	if err != nil {
		return err
	}
	if err := db.AddUser(ctx, store.Everything(), u); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "first login: name admin, password %s (shown once)\n", password)
	log.Info("made the first administrator", "name", "admin")
	return nil
}

// serve answers requests until ctx ends, then lets what runs finish.
func (e *env) serve(ctx context.Context, srv *fleetsrv.Server, l net.Listener, keys *seal.ServerKeys, address string, log *slog.Logger) error {
	names := seal.LocalNames()
	if u, err := url.Parse(address); err == nil {
		names = append(names, u.Hostname())
	}
	if host, _, err := net.SplitHostPort(l.Addr().String()); err == nil && !net.ParseIP(host).IsUnspecified() {
		names = append(names, host)
	}
	if _, err := keys.TLS(names...); err != nil {
		return fmt.Errorf("make the server's certificate: %w", err)
	}
	hs := &http.Server{
		Handler: srv.Handler(), TLSConfig: keys.TLSConfig(names...), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute,
		MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	hs.TLSConfig.NextProtos = []string{"h2", "http/1.1"}
	background, end := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { srv.Run(background); close(ran) }()
	failed := make(chan error, 1)
	go func() { failed <- hs.Serve(tls.NewListener(l, hs.TLSConfig)) }()
	log.Info("listening", "address", l.Addr().String(), "url", address, "version", e.version)

	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
		log.Info("stopping")
		srv.Stop()
		limit, cancel := context.WithTimeout(context.Background(), shutdownTime)
		defer cancel()
		if serr := hs.Shutdown(limit); errors.Is(serr, context.DeadlineExceeded) {
			log.Warn("some requests did not end in time and were cut off")
			serr = hs.Close()
			if serr != nil {
				log.Warn("close the listener", "err", serr)
			}
		}
	}
	end()
	<-ran
	return err
}
