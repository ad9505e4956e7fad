// Package content keeps the fleet's rules and packs: it seeds the store with
// the embedded ones and those of the server's folder, shows them, and makes
// the configuration that hosts get.
package content

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/tables"
)

// Classes computes the data classes that a statement reads.
type Classes interface {
	Check(ctx context.Context, sql string) ([]string, error)
}

// Store is what is needed of the store.
type Store interface {
	store.Content
	store.ContentEdits
	store.Groups
	ConfigSerial(ctx context.Context, sc store.Scope, hash string) (uint64, error)
}

// Manager keeps the content of one server.
type Manager struct {
	store  Store
	sql    Classes
	log    *slog.Logger
	notify func() // tells the hosts that there is a new configuration
	tell   func(host string)

	making sync.Mutex // one configuration is made at a time
	plan   *plan      // of the last Changed; under making

	mu      sync.Mutex // held for moments only: the command queues read under their own lock
	hosts   map[string]*prepared
	others  *prepared        // of hosts that are in no group but all
	classes map[string]int64 // of scheduled queries, by their name in results
}

// prepared is what the hosts of the same groups get.
type prepared struct {
	serial uint64
	args   json.RawMessage
}

// New makes a Manager. Seed and Changed fill it.
func New(s Store, sql Classes, log *slog.Logger) *Manager {
	return &Manager{store: s, sql: sql, log: log, notify: func() {}, tell: func(string) {}, classes: map[string]int64{}, hosts: map[string]*prepared{}}
}

// OnChange sets whom to tell of new configurations, and of one host's.
func (m *Manager) OnChange(all func(), one func(host string)) { m.notify, m.tell = all, one }

// scheduled are the data classes that scheduled SQL may read: not what reads
// secrets or the content of files.
func scheduled() []string {
	return []string{string(tables.Inventory), string(tables.Personal), string(tables.Network)}
}

// Configured answers a host's present configuration as the arguments of a command.
func (m *Manager) Configured(host string) (uint64, json.RawMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.hosts[host]
	if c == nil {
		c = m.others
	}
	if c == nil {
		return 0, nil
	}
	return c.serial, c.args
}

// QueryClasses are the data classes of a scheduled query's results, as bits.
// A name that is not known may be of a pack that was here before: it counts
// as all that scheduled SQL may read.
func (m *Manager) QueryClasses(name string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.classes[name]; ok {
		return c
	}
	return auth.Mask(scheduled())
}

// Changed makes every host's configuration anew, after content, groups or who
// is in them have changed. A host whose configuration is as it was gets nothing.
func (m *Manager) Changed(ctx context.Context) error {
	m.making.Lock()
	defer m.making.Unlock()
	p, err := m.makePlan(ctx)
	if err != nil {
		return err
	}
	groups, err := m.store.HostGroups(ctx, store.Everything())
	if err != nil {
		return err
	}
	others, err := p.configuration(ctx, m.store, nil)
	if err != nil {
		return err
	}
	hosts := make(map[string]*prepared, len(groups))
	for host, in := range groups {
		if hosts[host], err = p.configuration(ctx, m.store, in); err != nil {
			return err
		}
	}
	m.plan = p
	m.mu.Lock()
	m.hosts, m.others, m.classes = hosts, others, p.classes
	m.mu.Unlock()
	m.notify()
	return nil
}

// HostChanged makes one host's configuration anew, after its groups have changed.
func (m *Manager) HostChanged(ctx context.Context, host string) error {
	m.making.Lock()
	defer m.making.Unlock()
	if m.plan == nil {
		return nil
	}
	groups, err := m.store.GroupsOf(ctx, store.Everything(), host)
	if err != nil {
		return err
	}
	c, err := m.plan.configuration(ctx, m.store, groups)
	if err != nil {
		return err
	}
	m.mu.Lock()
	was := m.hosts[host]
	if was == nil {
		was = m.others
	}
	m.hosts[host] = c
	m.mu.Unlock()
	if was == nil || was.serial != c.serial {
		m.tell(host)
	}
	return nil
}

// packClasses computes what each query of a pack reads. One that the server
// cannot prepare may read an agent's own tables; the agent holds it to the
// same classes.
func (m *Manager) packClasses(ctx context.Context, p *pack.Pack, into map[string]int64) {
	for _, q := range p.Queries {
		read, err := m.sql.Check(ctx, q.SQL)
		if err != nil {
			m.log.Warn("a pack's query does not prepare here", "pack", p.Name, "query", q.Name, "err", err)
			continue
		}
		into[p.LogName(q)] = auth.Mask(read)
		if auth.Mask(read)&^auth.Mask(scheduled()) != 0 {
			m.log.Warn("a pack's query reads data that scheduled queries may not read; hosts will refuse it", "pack", p.Name, "query", q.Name, "classes", read)
		}
	}
}

// load compiles a kept rule.
func load(kept store.Rule) (*rule.Rule, error) {
	rules, problems := rule.Load(kept.ID, kept.Text)
	if len(problems) > 0 {
		return nil, problems[0]
	}
	if len(rules) != 1 {
		return nil, fmt.Errorf("read rule %s: it holds %d rules, not one", kept.ID, len(rules))
	}
	return rules[0], nil
}

func loadPack(kept store.Pack) (*pack.Pack, error) {
	c, problems := pack.Load(kept.Name+".json", kept.Text, nil)
	for _, p := range problems {
		if !p.Warning {
			return nil, p
		}
	}
	if c == nil || len(c.Packs) != 1 {
		return nil, errors.New("read pack " + kept.Name + ": it holds no pack, or several")
	}
	return c.Packs[0], nil
}
