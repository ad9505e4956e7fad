package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"time"
)

type response struct {
	ID        string          `json:"id"`
	Action    string          `json:"action"`
	Args      json.RawMessage `json:"args"`
	State     string          `json:"state"`
	Plan      string          `json:"plan"`
	Seen      string          `json:"seen"`
	Error     string          `json:"error"`
	Undo      *act            `json:"undo"`
	ExpiresAt *time.Time      `json:"expires_at"`
}

// ended says whether nothing more comes.
func (r *response) ended() bool { return r.State != "pending" && r.State != "sent" }

func (e *env) respond(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("edrctl respond", flag.ContinueOnError)
	fs.SetOutput(e.stderr)
	host := fs.String("host", "", "host, an id or a name")
	reason := fs.String("reason", "", "why, for the audit log and the host's own")
	dryRun := fs.Bool("dry-run", false, "ask only what would be done")
	wait := fs.Duration("wait", time.Minute, "how long to wait for the outcome; 0 does not")
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	if *host == "" || len(rest) == 0 {
		return usagef("respond: give -host HOST and an action, such as terminate_process pid=123 start_time_ns=456")
	}
	params := map[string]string{}
	for _, a := range rest[1:] {
		k, v, ok := strings.Cut(a, "=")
		if !ok || k == "" {
			return usagef("respond: %q is not of the form name=value", a)
		}
		if _, twice := params[k]; twice {
			return usagef("respond: %s is given twice", k)
		}
		params[k] = v
	}
	c, err := e.newClient()
	if err != nil {
		return err
	}
	id, err := c.hostID(ctx, *host)
	if err != nil {
		return err
	}
	var r response
	err = c.do(ctx, "POST", "/responses", map[string]any{"host": id, "action": rest[0], "args": params, "reason": *reason, "dry_run": *dryRun}, &r)
	if err != nil {
		return err
	}
	return e.await(ctx, c, r, *host, *wait)
}

// await prints what came of a response, or that nothing has yet.
func (e *env) await(ctx context.Context, c *client, r response, host string, wait time.Duration) error {
	end := time.Now().Add(wait)
	for !r.ended() && time.Now().Before(end) {
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			fmt.Fprintf(e.stderr, "edrctl: response %s is %s and goes on\n", r.ID, r.State)
			return errInterrupted
		}
		if err := c.do(ctx, "GET", "/responses/"+url.PathEscape(r.ID), nil, &r); err != nil {
			return err
		}
	}
	text := r.Seen
	if r.State == "planned" {
		text = r.Plan
	}
	if r.Error != "" {
		text = r.Error
	}
	fmt.Fprintf(e.stdout, "%s %s: %s\n", r.ID, r.State, safe(text))
	e.hint(&r, host)
	switch r.State {
	case "done", "planned":
		return nil
	case "pending", "sent":
		if r.ExpiresAt != nil {
			fmt.Fprintf(e.stderr, "edrctl: it waits for the host until %s; see edrctl get responses\n", r.ExpiresAt.Local().Format(time.RFC3339))
		}
		if wait == 0 {
			return nil
		}
	}
	return errSaid
}
