package content

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aiedr/edr/fleetsrv/store"
	embedded "github.com/aiedr/edr/queries/content"
	"github.com/aiedr/edr/queries/document"
	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/queries/rule"
)

// Seed takes the embedded content into the store, and that of a folder of
// rules and packs if it is there; folder "" has none. What is wrong with one
// file is logged with its place, and the rest goes on. A local rule or pack
// takes the place of an embedded one of the same id or name.
func (m *Manager) Seed(ctx context.Context, folder string) error {
	rules, err := embedded.LoadRules()
	if err != nil {
		return err
	}
	packs, err := embedded.LoadPacks()
	if err != nil {
		return err
	}
	localRules, localPacks, err := m.readFolder(folder)
	if err != nil {
		return err
	}
	own, err := m.made(ctx)
	if err != nil {
		return err
	}
	localRules = slices.DeleteFunc(localRules, func(r *rule.Rule) bool { return m.taken(own, "r"+r.ID, "rule "+r.ID) })
	localPacks = slices.DeleteFunc(localPacks, func(p *pack.Pack) bool { return m.taken(own, "p"+p.Name, "pack "+p.Name) })
	for _, r := range localRules {
		own["r"+r.ID] = true
	}
	for _, p := range localPacks {
		own["p"+p.Name] = true
	}
	var builtinRules []*rule.Rule
	for _, r := range rules {
		if !own["r"+r.ID] {
			builtinRules = append(builtinRules, r)
		}
	}
	var builtinPacks []*pack.Pack
	for _, p := range packs.Packs {
		if !own["p"+p.Name] {
			builtinPacks = append(builtinPacks, p)
		}
	}
	if err := m.put(ctx, store.Builtin, builtinRules, builtinPacks); err != nil {
		return err
	}
	if err := m.put(ctx, store.Local, localRules, localPacks); err != nil {
		return err
	}
	return m.Changed(ctx)
}

// made are the rules and packs that people made in the console: nothing of
// another source takes their place.
func (m *Manager) made(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	rules, err := m.store.ListRules(ctx, store.Everything())
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		if r.Source == store.Console {
			out["r"+r.ID] = true
		}
	}
	packs, err := m.store.ListPacks(ctx, store.Everything())
	if err != nil {
		return nil, err
	}
	for _, p := range packs {
		if p.Source == store.Console {
			out["p"+p.Name] = true
		}
	}
	return out, nil
}

func (m *Manager) taken(made map[string]bool, key, what string) bool {
	if made[key] {
		m.log.Warn("local content: there is one of this name that was made in the console; the folder's is left out: rename one of them", "what", what)
	}
	return made[key]
}

func (m *Manager) put(ctx context.Context, source string, rules []*rule.Rule, packs []*pack.Pack) error {
	sc := store.Everything()
	ruleIDs, packNames := []string{}, []string{}
	for _, r := range rules {
		text, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("write rule %s: %w", r.ID, err)
		}
		changed, err := m.store.PutRule(ctx, sc, store.Rule{ID: r.ID, Source: source, Text: text, Version: r.Version, Enabled: r.Enabled})
		if err != nil {
			return err
		}
		if changed {
			m.log.Debug("a rule is new or has changed", "rule", r.ID, "source", source, "version", r.Version)
		}
		ruleIDs = append(ruleIDs, r.ID)
	}
	for _, p := range packs {
		text, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("write pack %s: %w", p.Name, err)
		}
		if _, err := m.store.PutPack(ctx, sc, store.Pack{Name: p.Name, Source: source, Text: text}); err != nil {
			return err
		}
		packNames = append(packNames, p.Name)
	}
	return m.store.RetainContent(ctx, sc, source, ruleIDs, packNames)
}

// readFolder reads the rules and packs of a folder and those below it.
func (m *Manager) readFolder(folder string) ([]*rule.Rule, []*pack.Pack, error) {
	if folder == "" {
		return nil, nil, nil
	}
	if _, err := os.Stat(folder); os.IsNotExist(err) {
		return nil, nil, nil
	}
	var rules []*rule.Rule
	all := &pack.Config{}
	say := func(problems []document.Problem) {
		for _, p := range problems {
			m.log.Warn("local content: " + p.Error())
		}
	}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		ext := strings.ToLower(filepath.Ext(path))
		if d.IsDir() || (ext != ".json" && ext != ".yaml" && ext != ".yml" && ext != ".conf") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			m.log.Warn("local content: a file could not be read", "file", path, "err", err)
			return nil
		}
		if roots, p := document.Parse(path, text); p == nil && len(roots) > 0 && rule.IsRule(roots[0]) {
			rs, problems := rule.Load(path, text)
			say(problems)
			rules = append(rules, m.unique(rules, rs)...)
			return nil
		}
		c, problems := pack.LoadPath(path)
		say(problems)
		if c != nil {
			say(all.Add(c))
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read local content in %s: %w", folder, err)
	}
	return rules, all.Packs, nil
}

// unique leaves out rules whose id another file has taken.
func (m *Manager) unique(have, more []*rule.Rule) []*rule.Rule {
	var out []*rule.Rule
	for _, r := range more {
		twice := false
		for _, h := range have {
			twice = twice || h.ID == r.ID
		}
		if twice {
			m.log.Warn("local content: two files have a rule of one id; the later one is left out", "rule", r.ID, "file", r.File, "line", r.Line)
			continue
		}
		out = append(out, r)
	}
	return out
}
