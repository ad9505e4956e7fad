package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// kind is a kind of thing that can be listed.
type kind struct {
	key string // of the list in the answer; its path too
	// next is the query of the page after these items; "" ends the list.
	next    func(have int, last json.RawMessage) string
	head    string
	columns func(raw json.RawMessage) ([]string, error)
}

func line[T any](f func(v T) []string) func(json.RawMessage) ([]string, error) {
	return func(raw json.RawMessage) ([]string, error) {
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		return f(v), nil
	}
}

func onePage(int, json.RawMessage) string { return "" }

// cursor says that the answer itself tells the next page.
const cursor = "cursor"

func day(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func kinds() map[string]kind {
	return map[string]kind{
		"hosts": {"hosts", func(have int, _ json.RawMessage) string { return "&offset=" + strconv.Itoa(have) },
			"ID\tHOSTNAME\tSTATUS\tOS\tAGENT\tALERTS\tLAST SEEN",
			line(func(h struct {
				ID, Hostname, Status, OS string
				Agent                    string     `json:"agent_version"`
				Alerts                   int        `json:"open_alerts"`
				Seen                     *time.Time `json:"last_seen"`
			}) []string {
				return []string{h.ID, h.Hostname, h.Status, h.OS, h.Agent, strconv.Itoa(h.Alerts), day(h.Seen)}
			})},
		"alerts": {"alerts", func(_ int, last json.RawMessage) string {
			var a struct{ ID string }
			if json.Unmarshal(last, &a) != nil || a.ID == "" {
				return ""
			}
			return "&before=" + a.ID
		}, "ID\tSEVERITY\tSTATUS\tHOST\tCOUNT\tLAST SEEN\tTITLE\tENTITY",
			line(func(a struct {
				ID, Severity, Status, Title, Entity string
				Host                                struct{ Hostname string }
				Count                               int64
				Seen                                *time.Time `json:"last_seen"`
			}) []string {
				return []string{a.ID, a.Severity, a.Status, a.Host.Hostname, strconv.FormatInt(a.Count, 10), day(a.Seen), a.Title, a.Entity}
			})},
		"queries": {"queries", onePage, "ID\tBY\tCREATED\tDONE\tROWS\tSQL",
			line(func(q struct {
				ID, By, SQL string
				Done        bool
				Rows        int64
				Created     *time.Time `json:"created_at"`
			}) []string {
				return []string{q.ID, q.By, day(q.Created), strconv.FormatBool(q.Done), strconv.FormatInt(q.Rows, 10), q.SQL}
			})},
		"rules": {"rules", onePage, "ID\tSEVERITY\tTYPE\tENABLED\tAPPROVED\tSOURCE\tACTIONS\tNAME",
			line(func(r struct {
				ID, Severity, Type, Source, Name string
				Enabled                          bool
				Approved                         *struct{ By string }
				Actions                          []string
			}) []string {
				by := "no"
				if r.Approved != nil {
					by = r.Approved.By
				}
				return []string{r.ID, r.Severity, r.Type, strconv.FormatBool(r.Enabled), by, r.Source, strings.Join(r.Actions, ","), r.Name}
			})},
		"groups": {"groups", onePage, "NAME\tKIND\tTRUSTED\tHOSTS\tPRIORITY\tRULES\tPACKS\tDESCRIPTION",
			line(func(g struct {
				Name, Kind, Description string
				Trusted                 bool
				Hosts                   int `json:"host_count"`
				Priority                int
				Rules, Packs            []string
			}) []string {
				return []string{g.Name, g.Kind, strconv.FormatBool(g.Trusted), strconv.Itoa(g.Hosts), strconv.Itoa(g.Priority),
					strconv.Itoa(len(g.Rules)), strconv.Itoa(len(g.Packs)), g.Description}
			})},
		"packs": {"packs", onePage, "NAME\tPLATFORM\tENABLED\tSOURCE\tGROUPS\tQUERIES\tERROR",
			line(func(p struct {
				Name, Platform, Source, Error string
				Enabled                       bool
				Targets                       []string
				Queries                       []struct{}
			}) []string {
				return []string{p.Name, p.Platform, strconv.FormatBool(p.Enabled), p.Source, strings.Join(p.Targets, ","), strconv.Itoa(len(p.Queries)), p.Error}
			})},
		"events": {"events", func(int, json.RawMessage) string { return cursor }, "ID\tTIME\tKIND\tHOST\tSEVERITY\tTITLE\tVALUES",
			line(func(v struct {
				ID, Kind, Severity, Title, Action string
				Time                              *time.Time
				Host                              struct{ Hostname string }
				Values                            json.RawMessage
			}) []string {
				if v.Action != "" {
					v.Kind += " " + v.Action
				}
				return []string{v.ID, day(v.Time), v.Kind, v.Host.Hostname, v.Severity, v.Title, string(v.Values)}
			})},
		"responses": {"responses", onePage, "ID\tHOST\tACTION\tARGS\tSTATE\tBY\tCREATED\tSEEN",
			line(func(r struct {
				ID, Host, Action, State, By, Seen, Error string
				Args                                     json.RawMessage
				Created                                  *time.Time `json:"created_at"`
			}) []string {
				seen := r.Seen
				if r.Error != "" {
					seen = r.Error
				}
				return []string{r.ID, r.Host, r.Action, string(r.Args), r.State, r.By, day(r.Created), seen}
			})},
	}
}

const pageSize = 1000

func (e *env) get(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("edrctl get", flag.ContinueOnError)
	fs.SetOutput(e.stderr)
	asJSON := fs.Bool("json", false, "one JSON object a line")
	limit := fs.Int("limit", 0, "list so many at most (default all)")
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return usagef("get: say what: hosts, groups, alerts, events, queries, rules, packs or responses")
	}
	k, ok := kinds()[rest[0]]
	if !ok {
		return usagef("get: there is no kind %q; there is hosts, groups, alerts, events, queries, rules, packs and responses", rest[0])
	}
	if *limit < 0 {
		return usagef("get: -limit is a positive number")
	}
	c, err := e.newClient()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 4, 2, ' ', 0)
	if !*asJSON {
		fmt.Fprintln(w, k.head)
	}
	show := func(raw json.RawMessage) error {
		if *asJSON {
			_, err := fmt.Fprintln(e.stdout, safeJSON(raw))
			return err
		}
		cells, err := k.columns(raw)
		if err != nil {
			return err
		}
		for i := range cells {
			cells[i] = safe(cells[i])
		}
		_, err = fmt.Fprintln(w, strings.Join(cells, "\t"))
		return err
	}
	if err := c.list(ctx, k, *limit, show); err != nil {
		return err
	}
	return w.Flush()
}

// list reads page after page.
func (c *client) list(ctx context.Context, k kind, limit int, show func(json.RawMessage) error) error {
	have, next := 0, ""
	for {
		n := pageSize
		if k.key == "queries" {
			n = 500
		}
		if limit > 0 {
			n = min(n, limit-have)
		}
		var answer map[string]json.RawMessage
		if err := c.do(ctx, "GET", fmt.Sprintf("/%s?limit=%d%s", k.key, n, next), nil, &answer); err != nil {
			return err
		}
		var items []json.RawMessage
		if err := json.Unmarshal(answer[k.key], &items); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		for _, raw := range items {
			if err := show(raw); err != nil {
				return err
			}
		}
		have += len(items)
		if k.next(have, nil) == cursor { // a page may be short, and another follow
			var to string
			if err := json.Unmarshal(answer["next"], &to); err != nil {
				return fmt.Errorf("read the answer: %w", err)
			}
			if to == "" || limit > 0 && have >= limit {
				return nil
			}
			next = "&before=" + url.QueryEscape(to)
			continue
		}
		if len(items) < n || (limit > 0 && have >= limit) {
			return nil
		}
		if next = k.next(have, items[len(items)-1]); next == "" {
			return nil
		}
	}
}
