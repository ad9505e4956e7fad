package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aiedr/edr/fleetsrv/api"
	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
)

// enrol makes an enrol token: into a file of mode 0600, or to standard output.
func (e *env) enrol(ctx context.Context, args []string) error {
	var s settings
	var config, out, note string
	var uses int
	var expires time.Duration
	fs := e.newFlags("edr-server enrol", &s, &config)
	fs.StringVar(&out, "out", "", "file for the token, made with mode 0600 (default standard output)")
	fs.IntVar(&uses, "uses", 1, "how many hosts may use it; 0: any number")
	fs.DurationVar(&expires, "expires", api.DefaultEnrolLife, "how long it is good")
	fs.StringVar(&note, "note", "", "what it is for")
	rest, err := e.parse(fs, &s, &config, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("enrol: it takes flags only, not %q", rest[0])
	}
	if uses < 0 || expires <= 0 || expires > api.MaxEnrolLife {
		return usagef("enrol: -uses is 0 or more, -expires between 1s and %s", api.MaxEnrolLife)
	}
	address, err := s.address()
	if err != nil {
		return err
	}
	log := newLog(e.stderr, s.Debug)
	keys, db, err := e.open(ctx, &s, log)
	if err != nil {
		return err
	}
	defer db.Close()
	t, err := keys.Token(address)
	if err != nil {
		return err
	}
	now := time.Now()
	en := store.Enrolment{ID: auth.ID("e"), Hash: auth.Hash(t.Secret), Note: note, By: "edr-server", CreatedAt: now, ExpiresAt: now.Add(expires), Uses: uses}
	if err := audit(ctx, db, "make enrol token", en.ID, note); err != nil {
		return err
	}
	if err := db.AddEnrolment(ctx, store.Everything(), en); err != nil {
		return err
	}
	if out == "" {
		fmt.Fprintln(e.stdout, t.String())
		return nil
	}
	if err := os.WriteFile(out, []byte(t.String()+"\n"), 0o600); err != nil {
		return fmt.Errorf("-out: write the token: %w", err)
	}
	fmt.Fprintf(e.stderr, "wrote %s: good for %s, for agents that reach %s\n", out, expires, address)
	return nil
}
