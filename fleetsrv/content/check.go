package content

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aiedr/edr/fleetsrv/api"
	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/queries/document"
	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/tables/engine"
)

// ruleID and packName are what may stand in a path and a log.
var (
	ruleID   = regexp.MustCompile(`^[^\pC/]{1,128}$`)
	packName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
)

const (
	maxRules = 1000
	maxPacks = 200
)

func problems(in []document.Problem) []api.Problem {
	out := []api.Problem{}
	for _, p := range in {
		out = append(out, api.Problem{Line: p.Line, Column: p.Column, Message: p.Msg, Next: p.Next, Warning: p.Warning})
	}
	return out
}

func failed(ps []api.Problem) bool {
	return slices.ContainsFunc(ps, func(p api.Problem) bool { return !p.Warning })
}

// ParseRules implements api.Content.
func (m *Manager) ParseRules(text string) ([]store.Rule, []api.CheckedRule, []api.Problem) {
	loaded, found := rule.Load("rules", []byte(text))
	ps := problems(found)
	if len(loaded) == 0 && !failed(ps) {
		ps = append(ps, api.Problem{Line: 1, Message: "the text holds no rule", Next: "write one object, or a list of them"})
	}
	if len(loaded) > maxRules {
		ps = append(ps, api.Problem{Message: fmt.Sprintf("%d rules are more than the %d that are taken at once", len(loaded), maxRules), Next: "split the text"})
	}
	var rules []store.Rule
	checked := []api.CheckedRule{}
	for _, r := range loaded {
		if !ruleID.MatchString(r.ID) {
			ps = append(ps, api.Problem{Line: r.Line, Column: r.Column, Message: fmt.Sprintf("the id %q will not do", r.ID),
				Next: "use up to 128 characters without a slash or a control character"})
			continue
		}
		canonical, err := json.Marshal(r)
		if err != nil {
			ps = append(ps, api.Problem{Line: r.Line, Column: r.Column, Message: "rule " + r.ID + ": " + err.Error(), Next: "correct the text"})
			continue
		}
		kept := store.Rule{ID: r.ID, Source: store.Console, Text: canonical, Version: r.Version, Enabled: r.Enabled}
		if len(loaded) == 1 {
			kept.Written = text
		}
		rules = append(rules, kept)
		checked = append(checked, api.CheckedRule{ID: r.ID, Name: r.Name, Type: string(r.Type), Severity: string(r.Severity), Version: r.Version})
	}
	return rules, checked, ps
}

// ParsePacks implements api.Content.
func (m *Manager) ParsePacks(ctx context.Context, name, text string) ([]store.Pack, []api.CheckedPack, []api.Problem) {
	file := name + ".json"
	if document.IsYAML("", []byte(text)) {
		file = name + ".yaml"
	}
	cfg, found := pack.Load(file, []byte(text), nil)
	ps := problems(found)
	if cfg == nil {
		cfg = &pack.Config{}
	}
	if !cfg.Decorators.Empty() {
		ps = append(ps, api.Problem{Warning: true, Message: "decorators of a configuration are not taken into a pack", Next: "set them on the agents"})
	}
	if len(cfg.Packs) == 0 && !failed(ps) {
		ps = append(ps, api.Problem{Line: 1, Message: "the text holds no pack", Next: "write { \"queries\": { … } }"})
	}
	if len(cfg.Packs) > maxPacks {
		ps = append(ps, api.Problem{Message: fmt.Sprintf("%d packs are more than the %d that are taken at once", len(cfg.Packs), maxPacks), Next: "split the text"})
		cfg.Packs = nil
	}
	roots, _ := document.Parse(file, []byte(text))
	var packs []store.Pack
	checked := []api.CheckedPack{}
	for _, p := range cfg.Packs {
		ps = append(ps, m.checkSQL(ctx, p, roots)...)
		if p.Name == "" { // a configuration's own schedule
			p.Name = name
		}
		if !packName.MatchString(p.Name) {
			ps = append(ps, api.Problem{Line: p.Line, Message: fmt.Sprintf("the pack's name %q will not do", p.Name),
				Next: "give a name of up to 128 letters, digits and . _ -, beginning with a letter or digit"})
			continue
		}
		if slices.ContainsFunc(packs, func(other store.Pack) bool { return other.Name == p.Name }) {
			ps = append(ps, api.Problem{Line: p.Line, Message: fmt.Sprintf("two packs have the name %s", p.Name), Next: "rename one of them"})
			continue
		}
		canonical, err := json.Marshal(p)
		if err != nil {
			ps = append(ps, api.Problem{Line: p.Line, Message: "pack " + p.Name + ": " + err.Error(), Next: "correct the text"})
			continue
		}
		kept := store.Pack{Name: p.Name, Source: store.Console, Text: canonical}
		if len(cfg.Packs) == 1 {
			kept.Written = text
		}
		packs = append(packs, kept)
		checked = append(checked, api.CheckedPack{Name: p.Name, Queries: len(p.Queries)})
	}
	return packs, checked, ps
}

// checkSQL prepares the statements of a pack. One that is not for Linux may
// read tables that are declared elsewhere, and one for hosts of another
// version too: that is only worth knowing.
func (m *Manager) checkSQL(ctx context.Context, p *pack.Pack, roots []*document.Node) []api.Problem {
	var out []api.Problem
	for _, d := range p.Discovery {
		if _, err := m.sql.Check(ctx, d); err != nil {
			out = append(out, api.Problem{Line: p.Line, Message: "pack " + p.Name + ": discovery: " + err.Error(), Next: "correct the SQL"})
		}
	}
	for _, q := range p.Queries {
		read, err := m.sql.Check(ctx, q.SQL)
		if err != nil {
			x := api.Problem{Line: q.Line, Column: q.Column, Message: "query " + q.Name + ": " + err.Error(), Next: "correct the SQL"}
			var at *engine.SQLError
			if n := statement(roots, p.Name, q.Name); n != nil && errors.As(err, &at) && at.Offset >= 0 {
				lead := len(n.Text) - len(strings.TrimLeft(n.Text, " \t\r\n"))
				x.Line, x.Column = n.Place(at.Offset + lead)
			}
			out = append(out, x)
			continue
		}
		if over := auth.Mask(read) &^ auth.Mask(scheduled()); over != 0 {
			out = append(out, api.Problem{Line: q.Line, Column: q.Column, Message: fmt.Sprintf("query %s reads data of the classes %s, and scheduled queries may read %s",
				q.Name, strings.Join(read, ", "), strings.Join(scheduled(), ", ")), Next: "leave that table or column out, or ask it as a live query"})
		}
	}
	return out
}

// statement finds the text of a query's SQL in a document.
func statement(roots []*document.Node, packName, query string) *document.Node {
	for _, r := range roots {
		for _, list := range []*document.Node{r.Get("queries"), r.Get("schedule"), r.Get("packs").Get(packName).Get("queries")} {
			if n := list.Get(query).Get("query"); n != nil {
				return n
			}
		}
	}
	return nil
}

// CheckSQL implements api.Content.
func (m *Manager) CheckSQL(ctx context.Context, sql string) ([]string, []api.Problem) {
	classes, err := m.sql.Check(ctx, sql)
	if err == nil {
		return classes, []api.Problem{}
	}
	p := api.Problem{Message: err.Error(), Next: "correct the SQL"}
	var at *engine.SQLError
	if errors.As(err, &at) {
		p.Message = at.Message
		if at.Offset >= 0 && at.Offset <= len(sql) {
			before := sql[:at.Offset]
			p.Line = strings.Count(before, "\n") + 1
			p.Column = len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
		}
	}
	return []string{}, []api.Problem{p}
}
