package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/command"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// grace is how long after a query's deadline its last answers may come in.
const grace = 3 * time.Second

// Bounds of a live query.
const (
	DefaultDeadline = 60 * time.Second
	MaxDeadline     = time.Hour
	DefaultMaxRows  = 10000
	MaxMaxRows      = 1000000
)

// Store is what live queries keep.
type Store interface {
	store.Queries
	HostIDs(ctx context.Context, sc store.Scope) ([]string, error)
}

// Queries runs live queries.
type Queries struct {
	store    Store
	dispatch *command.Dispatcher
	now      func() time.Time
	log      *slog.Logger

	mu   sync.Mutex
	open map[string]*campaign
}

// campaign is a query that has not ended, and who watches it.
type campaign struct {
	q        store.Query
	state    map[string]string // by host
	waiting  int               // hosts that are pending or sent
	watchers map[*Watcher]bool
}

// NewQueries makes Queries.
func NewQueries(s Store, d *command.Dispatcher, now func() time.Time, log *slog.Logger) *Queries {
	return &Queries{store: s, dispatch: d, now: now, log: log, open: map[string]*campaign{}}
}

// Ask is what an operator asks.
type Ask struct {
	SQL      string
	Hosts    []string // ids; nil with All
	All      bool
	Deadline time.Duration
	MaxRows  int
	Classes  []string // that the statement reads
}

// ErrNoHosts is answered where a query names no host.
var ErrNoHosts = errors.New("no host is asked: choose hosts, or all when some are enrolled")

// Start keeps a query and hands it to the hosts. Who is offline is said at
// once, and asked all the same if it comes back while the query is open.
func (l *Queries) Start(ctx context.Context, p *auth.Principal, a Ask) (store.Query, error) {
	hosts := slices.Clone(a.Hosts)
	if a.All {
		ids, err := l.store.HostIDs(ctx, p.Scope)
		if err != nil {
			return store.Query{}, err
		}
		hosts = ids
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	if len(hosts) == 0 {
		return store.Query{}, ErrNoHosts
	}
	now := l.now()
	q := store.Query{ID: auth.ID("q"), SQL: a.SQL, By: p.Name, CreatedAt: now, DeadlineAt: now.Add(a.Deadline),
		MaxRows: a.MaxRows, Classes: a.Classes, ByClasses: p.Classes}
	c := &campaign{q: q, state: map[string]string{}, watchers: map[*Watcher]bool{}}
	asked := make([]store.QueryHost, len(hosts))
	for i, h := range hosts {
		asked[i] = store.QueryHost{Host: h, State: store.QueryOffline}
		if l.dispatch.Online(h) {
			asked[i].State = store.QueryPending
			c.waiting++
		}
		c.state[h] = asked[i].State
	}
	if err := l.store.AddQuery(ctx, p.Scope, q, asked); err != nil {
		return store.Query{}, err
	}
	nobody := c.waiting == 0
	l.mu.Lock()
	l.open[q.ID] = c
	l.mu.Unlock()
	if nobody {
		l.end(ctx, q.ID, false)
		return l.store.Query(ctx, p.Scope, q.ID)
	}
	for _, h := range hosts {
		l.send(c, h)
	}
	return l.store.Query(ctx, p.Scope, q.ID)
}

// send queues the query for one host.
func (l *Queries) send(c *campaign, host string) {
	q := c.q
	err := l.dispatch.Enqueue(host, command.Item{
		Type: wire.CommandQuery, Ref: q.ID, Expires: q.DeadlineAt,
		Args: func(now time.Time) (json.RawMessage, error) {
			return json.Marshal(wire.LiveQuery{ID: q.ID, SQL: q.SQL, Deadline: max(q.DeadlineAt.Sub(now), time.Second), MaxRows: q.MaxRows, Classes: q.ByClasses})
		},
		Handed: func() { l.move(q.ID, host, store.QuerySent, store.QueryPending, store.QueryOffline) },
	})
	if err != nil {
		l.log.Warn("a live query was not queued", "query", q.ID, "host", host, "err", err)
	}
}

func isWaiting(state string) bool { return state == store.QueryPending || state == store.QuerySent }

// move changes where the query stands on a host, in the store and for those who watch.
func (l *Queries) move(id, host, to string, from ...string) {
	ctx := context.Background()
	moved, err := l.store.MoveQueryHosts(ctx, store.Everything(), id, []string{host}, to, from...)
	if err != nil {
		l.log.Error("where a live query stands was not kept", "query", id, "host", host, "err", err)
		return
	}
	if len(moved) == 0 {
		return
	}
	l.note(id, store.QueryHost{Host: host, State: to}, true)
}

// note takes a host's new state into the open query and tells the watchers.
// It reports whether nobody is waited for any more. A state that was moved to
// "sent" does not undo an answer that came meanwhile.
func (l *Queries) note(id string, qh store.QueryHost, onlyMove bool) (finished bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.open[id]
	if c == nil {
		return false
	}
	was, ok := c.state[qh.Host]
	if !ok || (onlyMove && was != store.QueryPending && was != store.QueryOffline) {
		return false
	}
	c.state[qh.Host] = qh.State
	if isWaiting(was) && !isWaiting(qh.State) {
		c.waiting--
	}
	if !isWaiting(was) && isWaiting(qh.State) {
		c.waiting++
	}
	for w := range c.watchers {
		w.tell(qh, onlyMove)
	}
	return c.waiting == 0
}

// Answer takes a part of a host's answer. A part that came before, that was
// not asked for or comes too late changes nothing.
func (l *Queries) Answer(ctx context.Context, host string, a wire.Answer) error {
	part := store.Answer{Query: a.Query, Part: a.Part, Columns: a.Columns, Done: a.Done, Error: a.Error, Warnings: a.Warnings,
		Truncated: a.Truncated, Total: a.Total, WallNS: a.WallNS, CPUNS: a.CPUNS}
	for _, r := range a.Rows {
		if len(r) != len(a.Columns) {
			return fmt.Errorf("take an answer of host %s: a row has %d values for %d columns", host, len(r), len(a.Columns))
		}
		b, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("take an answer of host %s: %w", host, err)
		}
		part.Rows = append(part.Rows, b)
	}
	_, qh, fresh, err := l.store.AddAnswer(ctx, store.Everything(), host, part)
	if err != nil || !fresh {
		return err
	}
	if l.note(a.Query, qh, false) {
		l.end(context.WithoutCancel(ctx), a.Query, false)
	}
	return nil
}

// Stop ends a query and tells the hosts that still work on it.
func (l *Queries) Stop(ctx context.Context, sc store.Scope, id string) error {
	q, err := l.store.Query(ctx, sc, id)
	if err != nil {
		return err
	}
	if q.Done {
		return nil
	}
	l.end(ctx, id, true)
	return nil
}

// end ends a query, by itself, at its deadline or by an operator.
func (l *Queries) end(ctx context.Context, id string, stopped bool) {
	l.mu.Lock()
	c := l.open[id]
	delete(l.open, id)
	l.mu.Unlock()
	if c == nil {
		return
	}
	for host, state := range c.state {
		if state != store.QueryPending && state != store.QuerySent && state != store.QueryOffline {
			continue
		}
		if !l.dispatch.Withdraw(host, id) && state == store.QuerySent {
			l.cancel(id, host)
		}
	}
	// First the end, then the hosts: a host handed the query at this moment
	// cannot become "sent" after it.
	if err := l.store.EndQuery(ctx, store.Everything(), id, stopped); err != nil {
		l.log.Error("the end of a live query was not kept", "query", id, "err", err)
	}
	if _, err := l.store.MoveQueryHosts(ctx, store.Everything(), id, nil, store.QueryExpired, store.QueryPending, store.QuerySent); err != nil {
		l.log.Error("the end of a live query was not kept", "query", id, "err", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range c.watchers {
		w.finish()
	}
}

func (l *Queries) cancel(id, host string) {
	args, err := json.Marshal(wire.Cancel{ID: id})
	if err == nil {
		err = l.dispatch.Enqueue(host, command.Item{Type: wire.CommandCancel, Ref: "cancel " + id, Expires: l.now().Add(5 * time.Minute),
			Args: func(time.Time) (json.RawMessage, error) { return args, nil }})
	}
	if err != nil {
		l.log.Warn("a live query was not cancelled", "query", id, "host", host, "err", err)
	}
}

// Resume takes up the queries that were open when the server stopped: those
// past their deadline end, the others go to the hosts that had not got them.
func (l *Queries) Resume(ctx context.Context) error {
	open, err := l.store.OpenQueries(ctx, store.Everything())
	if err != nil {
		return err
	}
	for _, o := range open {
		q, err := l.store.Query(ctx, store.Everything(), o.ID)
		if err != nil {
			return err
		}
		c := &campaign{q: q, state: map[string]string{}, watchers: map[*Watcher]bool{}}
		for _, h := range q.Hosts {
			c.state[h.Host] = h.State
			if isWaiting(h.State) {
				c.waiting++
			}
		}
		l.mu.Lock()
		l.open[q.ID] = c
		l.mu.Unlock()
		for _, h := range q.Hosts {
			if h.State == store.QueryPending || h.State == store.QueryOffline {
				l.send(c, h.Host)
			}
		}
	}
	return nil
}

// Expire ends the queries whose deadline is over.
func (l *Queries) Expire(ctx context.Context) {
	now := l.now()
	var over []string
	l.mu.Lock()
	for id, c := range l.open {
		if now.After(c.q.DeadlineAt.Add(grace)) {
			over = append(over, id)
		}
	}
	l.mu.Unlock()
	for _, id := range over {
		l.end(ctx, id, false)
	}
}

// Open counts the queries that have not ended.
func (l *Queries) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}
