// Package content keeps the fleet's rules and packs: it seeds the store with
// the embedded ones and those of the server's folder, shows them, and makes
// the configuration that hosts get.
package content

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

// Classes computes the data classes that a statement reads.
type Classes interface {
	Check(ctx context.Context, sql string) ([]string, error)
}

// Manager keeps the content of one server.
type Manager struct {
	store  store.Content
	sql    Classes
	log    *slog.Logger
	notify func() // tells the hosts that there is a new configuration

	making sync.Mutex // one configuration is made at a time

	mu      sync.Mutex // held for moments only: the command queues read under their own lock
	serial  uint64
	args    json.RawMessage
	classes map[string]int64 // of scheduled queries, by their name in results
}

// New makes a Manager. Seed and Changed fill it.
func New(s store.Content, sql Classes, log *slog.Logger) *Manager {
	return &Manager{store: s, sql: sql, log: log, notify: func() {}, classes: map[string]int64{}}
}

// OnChange sets whom to tell of a new configuration.
func (m *Manager) OnChange(f func()) { m.notify = f }

// scheduled are the data classes that scheduled SQL may read: not what reads
// secrets or the content of files.
func scheduled() []string {
	return []string{string(tables.Inventory), string(tables.Personal), string(tables.Network)}
}

// Configured answers the present configuration as the arguments of a command.
func (m *Manager) Configured() (uint64, json.RawMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.serial, m.args
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

const (
	settingSerial = "config_serial"
	settingHash   = "config_hash"
)

// Changed makes the configuration anew. Its serial rises only if it differs
// from the last one, also over restarts.
func (m *Manager) Changed(ctx context.Context) error {
	m.making.Lock()
	defer m.making.Unlock()
	cfg, classes, err := m.build(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		return fmt.Errorf("make the configuration: %w", err)
	}
	sum := sha256.Sum256(text)
	hash := hex.EncodeToString(sum[:])
	old, err := m.store.Setting(ctx, store.Everything(), settingSerial)
	if err != nil {
		return err
	}
	serial, _ := strconv.ParseUint(old, 10, 64) // empty before the first
	kept, err := m.store.Setting(ctx, store.Everything(), settingHash)
	if err != nil {
		return err
	}
	if kept != hash || serial == 0 {
		serial++
		if err := m.store.SetSetting(ctx, store.Everything(), settingSerial, strconv.FormatUint(serial, 10)); err != nil {
			return err
		}
		if err := m.store.SetSetting(ctx, store.Everything(), settingHash, hash); err != nil {
			return err
		}
	}
	cfg.Serial = serial
	args, err := json.Marshal(cfg)
	if err != nil {
		return fmt.Errorf("make the configuration: %w", err)
	}
	if len(args) > seal.MaxCommand*9/10 {
		return fmt.Errorf("make the configuration: it has %d bytes and a command takes %d: disable or remove rules or packs", len(args), seal.MaxCommand)
	}
	m.mu.Lock()
	m.serial, m.args, m.classes = serial, args, classes
	m.mu.Unlock()
	m.notify()
	return nil
}

func (m *Manager) build(ctx context.Context) (wire.Configuration, map[string]int64, error) {
	cfg := wire.Configuration{Packs: []wire.Document{}, Rules: []wire.Document{}, Approvals: []wire.Approval{}, Classes: scheduled()}
	rules, err := m.store.ListRules(ctx, store.Everything())
	if err != nil {
		return cfg, nil, err
	}
	for _, kept := range rules {
		if !kept.Enabled {
			continue
		}
		r, err := load(kept)
		if err != nil {
			m.log.Error("a rule is not given to hosts", "rule", kept.ID, "err", err)
			continue
		}
		r.Enabled = true
		text, err := json.Marshal(r)
		if err != nil {
			return cfg, nil, fmt.Errorf("write rule %s: %w", kept.ID, err)
		}
		cfg.Rules = append(cfg.Rules, wire.Document{Name: kept.ID, Text: text})
		if kept.ApprovedBy != "" {
			cfg.Approvals = append(cfg.Approvals, wire.Approval{Rule: kept.ID, Version: kept.Version, By: kept.ApprovedBy, Time: kept.ApprovedAt})
		}
	}
	packs, err := m.store.ListPacks(ctx, store.Everything())
	if err != nil {
		return cfg, nil, err
	}
	classes := map[string]int64{}
	for _, kept := range packs {
		p, err := loadPack(kept)
		if err != nil {
			m.log.Error("a pack is not given to hosts", "pack", kept.Name, "err", err)
			continue
		}
		cfg.Packs = append(cfg.Packs, wire.Document{Name: kept.Name, Text: kept.Text})
		m.packClasses(ctx, p, classes)
	}
	return cfg, classes, nil
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
	c, problems := pack.Load(kept.Name, kept.Text, nil)
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
