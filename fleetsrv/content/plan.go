package content

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aiedr/edr/fleetsrv/group"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

// plan is the content and the groups at one moment, from which the
// configuration of every set of groups is made.
type plan struct {
	rules   []planned
	packs   []planned
	groups  map[string]store.Group
	matter  map[string]bool // groups that content or settings name
	classes map[string]int64
	made    map[string]*prepared // by the groups that matter
}

// planned is a rule or pack, whom it is given to, and its approvals.
type planned struct {
	doc       wire.Document
	targets   []string
	approvals []wire.Approval
}

func (m *Manager) makePlan(ctx context.Context) (*plan, error) {
	p := &plan{groups: map[string]store.Group{}, matter: map[string]bool{}, classes: map[string]int64{}, made: map[string]*prepared{}}
	groups, err := m.store.ListGroups(ctx, store.Everything())
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		p.groups[g.Name] = g
		if group.IsSet(g.Settings) {
			p.matter[g.Name] = true
		}
	}
	if err := m.planRules(ctx, p); err != nil {
		return nil, err
	}
	return p, m.planPacks(ctx, p)
}

func (p *plan) note(targets []string) {
	for _, g := range targets {
		p.matter[g] = true
	}
}

func (m *Manager) planRules(ctx context.Context, p *plan) error {
	rules, err := m.store.ListRules(ctx, store.Everything())
	if err != nil {
		return err
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
			return fmt.Errorf("write rule %s: %w", kept.ID, err)
		}
		x := planned{doc: wire.Document{Name: kept.ID, Text: text}, targets: kept.Targets}
		if kept.ApprovedBy != "" {
			x.approvals = []wire.Approval{{Rule: kept.ID, Version: kept.Version, By: kept.ApprovedBy, Time: kept.ApprovedAt}}
		}
		p.rules = append(p.rules, x)
		p.note(kept.Targets)
	}
	return nil
}

func (m *Manager) planPacks(ctx context.Context, p *plan) error {
	packs, err := m.store.ListPacks(ctx, store.Everything())
	if err != nil {
		return err
	}
	approvals, err := m.store.PackApprovals(ctx, store.Everything())
	if err != nil {
		return err
	}
	for _, kept := range packs {
		loaded, err := loadPack(kept)
		if err != nil {
			m.log.Error("a pack is not given to hosts", "pack", kept.Name, "err", err)
			continue
		}
		m.packClasses(ctx, loaded, p.classes) // its results may still come where it is disabled now
		if kept.Disabled {
			continue
		}
		x := planned{doc: wire.Document{Name: kept.Name, Text: kept.Text}, targets: kept.Targets}
		for _, q := range loaded.Queries {
			for _, a := range approvals {
				if a.Pack == kept.Name && a.Query == q.Name && a.Version == q.Hash() {
					x.approvals = append(x.approvals, wire.Approval{Rule: loaded.LogName(q), Version: a.Version, By: a.By, Time: a.At})
				}
			}
		}
		p.packs = append(p.packs, x)
		p.note(kept.Targets)
	}
	return nil
}

// given says whether a host of these groups gets what has these targets, and
// whether its approvals come with it: not where the host is in the target
// only by what it says of itself.
func (p *plan) given(targets, in []string) (yes, approved bool) {
	for _, t := range targets {
		if t == store.GroupAll {
			return true, true
		}
		if slices.Contains(in, t) {
			g, known := p.groups[t]
			yes, approved = true, approved || known && group.Trusted(g)
		}
	}
	return yes, approved
}

// configuration is that of a host in these groups, made once.
func (p *plan) configuration(ctx context.Context, s Store, groups []string) (*prepared, error) {
	in := []string{}
	settled := []store.Group{}
	for _, g := range groups {
		if p.matter[g] && g != store.GroupAll {
			in = append(in, g)
		}
	}
	slices.Sort(in)
	key := strings.Join(in, " ")
	if c := p.made[key]; c != nil {
		return c, nil
	}
	for _, name := range append([]string{store.GroupAll}, in...) {
		if g, ok := p.groups[name]; ok {
			settled = append(settled, g)
		}
	}
	cfg := wire.Configuration{Packs: []wire.Document{}, Rules: []wire.Document{}, Approvals: []wire.Approval{}, Classes: scheduled(),
		Settings: group.Effective(settled)}
	take := func(list []planned, into *[]wire.Document) {
		for _, x := range list {
			yes, approved := p.given(x.targets, in)
			if yes {
				*into = append(*into, x.doc)
			}
			if yes && approved {
				cfg.Approvals = append(cfg.Approvals, x.approvals...)
			}
		}
	}
	take(p.rules, &cfg.Rules)
	take(p.packs, &cfg.Packs)
	c, err := number(ctx, s, cfg, in)
	if err != nil {
		return nil, err
	}
	p.made[key] = c
	return c, nil
}

// TooLarge says that a configuration does not fit into a command.
type TooLarge struct {
	Bytes  int
	Groups []string // beside all
}

func (e *TooLarge) Error() string {
	where := "hosts"
	if len(e.Groups) > 0 {
		where = "hosts of the groups " + strings.Join(e.Groups, ", ")
	}
	return fmt.Sprintf("make the configuration of %s: it has %d bytes and a command takes %d: disable or remove rules or packs, or give them to fewer groups; until then hosts keep what they have",
		where, e.Bytes, seal.MaxCommand*9/10)
}

// number gives a configuration the serial of its content.
func number(ctx context.Context, s Store, cfg wire.Configuration, groups []string) (*prepared, error) {
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, fmt.Errorf("make the configuration: %w", err)
	}
	if len(text) > seal.MaxCommand*9/10 {
		return nil, &TooLarge{len(text), groups}
	}
	sum := sha256.Sum256(text)
	if cfg.Serial, err = s.ConfigSerial(ctx, store.Everything(), hex.EncodeToString(sum[:])); err != nil {
		return nil, err
	}
	args, err := json.Marshal(cfg)
	if err != nil {
		return nil, fmt.Errorf("make the configuration: %w", err)
	}
	return &prepared{cfg.Serial, args}, nil
}

// TooLarge says what the error is, for who cannot name its type.
func (e *TooLarge) TooLarge() bool { return true }
