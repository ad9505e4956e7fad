package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"time"
)

type queryHost struct {
	ID        string   `json:"id"`
	Hostname  string   `json:"hostname"`
	State     string   `json:"state"`
	Rows      int64    `json:"rows"`
	Error     string   `json:"error"`
	Warnings  []string `json:"warnings"`
	Truncated bool     `json:"truncated"`
}

type query struct {
	ID      string      `json:"id"`
	Done    bool        `json:"done"`
	Stopped bool        `json:"stopped"`
	Rows    int64       `json:"rows"`
	Hosts   []queryHost `json:"hosts"`
}

func (e *env) query(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("edrctl query", flag.ContinueOnError)
	fs.SetOutput(e.stderr)
	hosts := fs.String("hosts", "", "hosts to ask, ids or names, separated by commas")
	group := fs.String("group", "", "group to ask, see edrctl get groups; all hosts are asked without -hosts and -group")
	asJSON := fs.Bool("json", false, "one JSON object a row")
	deadline := fs.Duration("deadline", time.Minute, "how long hosts may take")
	maxRows := fs.Int("max-rows", 0, "rows of one host at most (default 10000)")
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	switch {
	case len(rest) != 1:
		return usagef("query: give one statement in quotes, not %d arguments", len(rest))
	case *hosts != "" && *group != "":
		return usagef("query: give -hosts or -group, not both")
	case *deadline < time.Second:
		return usagef("query: -deadline is a second or more")
	case *maxRows < 0:
		return usagef("query: -max-rows is a positive number")
	}
	c, err := e.newClient()
	if err != nil {
		return err
	}
	body := map[string]any{"sql": rest[0], "deadline_s": deadline.Seconds()}
	if *maxRows > 0 {
		body["max_rows"] = *maxRows
	}
	switch {
	case *group != "" && *group != "all":
		body["groups"] = []string{*group}
	case *hosts == "":
		body["all"] = true
	default:
		var ids []string
		for name := range strings.SplitSeq(*hosts, ",") {
			id, err := c.hostID(ctx, strings.TrimSpace(name))
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		body["hosts"] = ids
	}
	var q query
	if err := c.do(ctx, "POST", "/queries", body, &q); err != nil {
		return err
	}
	return e.follow(ctx, c, q.ID, &rowPrinter{out: e.stdout, json: *asJSON})
}

// hostID finds a host by id or by name; a name that several hosts have is an error.
func (c *client) hostID(ctx context.Context, name string) (string, error) {
	if name == "" {
		return "", usagef("a host's name is empty")
	}
	var list struct {
		Hosts []struct{ ID, Hostname string }
		Total int
	}
	if err := c.do(ctx, "GET", "/hosts?limit=1000&q="+url.QueryEscape(name), nil, &list); err != nil {
		return "", err
	}
	var ids []string
	for _, h := range list.Hosts {
		if h.ID == name {
			return h.ID, nil
		}
		if strings.EqualFold(h.Hostname, name) {
			ids = append(ids, h.ID)
		}
	}
	switch len(ids) {
	case 1:
		return ids[0], nil
	case 0:
		return "", fmt.Errorf("there is no host %q; see edrctl get hosts", name)
	}
	return "", fmt.Errorf("several hosts are called %q: give one of the ids %s", name, strings.Join(ids, ", "))
}

// follow prints rows until the query has ended. Interrupted, it stops the
// query first, so that no host works on for nobody.
func (e *env) follow(ctx context.Context, c *client, id string, p *rowPrinter) error {
	var end query
	last, broken := "", 0
	for {
		done, err := c.events(ctx, "/queries/"+url.PathEscape(id)+"/stream", last, func(ev event) (bool, error) {
			broken = 0
			switch ev.name {
			case "rows":
				var rows struct{ Rows []row }
				if err := json.Unmarshal([]byte(ev.data), &rows); err != nil {
					return false, fmt.Errorf("read rows: %w", err)
				}
				last = ev.id
				return false, p.print(rows.Rows)
			case "done":
				return true, json.Unmarshal([]byte(ev.data), &end)
			}
			return false, nil
		})
		var refused *apiError
		switch {
		case done && err == nil:
			return e.outcome(end)
		case ctx.Err() != nil:
			return e.stop(c, id)
		case errors.As(err, &refused):
			return err
		}
		if broken++; broken > 5 {
			return fmt.Errorf("follow query %s: %w; its rows are kept: see the console", id, err)
		}
		select {
		case <-time.After(time.Duration(broken) * time.Second):
		case <-ctx.Done():
			return e.stop(c, id)
		}
	}
}

func (e *env) stop(c *client, id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var q query
	if err := c.do(ctx, "POST", "/queries/"+url.PathEscape(id)+"/stop", map[string]any{}, &q); err != nil {
		fmt.Fprintf(e.stderr, "edrctl: query %s could not be stopped: %s; it ends at its deadline\n", id, safe(err.Error()))
		return errInterrupted
	}
	fmt.Fprintf(e.stderr, "edrctl: query %s was stopped\n", id)
	return errInterrupted
}

// outcome tells the hosts by outcome and fails where one failed, or where
// nobody answered: "nothing found" must not stand for "could not look".
func (e *env) outcome(q query) error {
	count := map[string]int{}
	for _, h := range q.Hosts {
		count[h.State]++
		name := safe(h.Hostname)
		switch h.State {
		case "error":
			fmt.Fprintf(e.stderr, "%s: error: %s\n", name, safe(h.Error))
		case "expired":
			fmt.Fprintf(e.stderr, "%s: no whole answer before the deadline (%d rows came)\n", name, h.Rows)
		case "offline":
			fmt.Fprintf(e.stderr, "%s: offline\n", name)
		}
		if h.Truncated {
			fmt.Fprintf(e.stderr, "%s: cut off at %d rows; see -max-rows\n", name, h.Rows)
		}
		for _, w := range h.Warnings {
			fmt.Fprintf(e.stderr, "%s: warning: %s\n", name, safe(w))
		}
	}
	var parts []string
	for _, s := range []struct{ state, text string }{{"rows", "with rows"}, {"none", "without rows"}, {"error", "with errors"}, {"expired", "expired"}, {"offline", "offline"}} {
		if count[s.state] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[s.state], s.text))
		}
	}
	if q.Stopped {
		parts = append(parts, "stopped by an operator")
	}
	fmt.Fprintf(e.stderr, "%d rows; %d hosts: %s\n", q.Rows, len(q.Hosts), strings.Join(parts, ", "))
	if count["error"]+count["expired"] > 0 || count["rows"]+count["none"] == 0 || q.Stopped {
		return errSaid
	}
	return nil
}
