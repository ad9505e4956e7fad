package content

import (
	"context"
	"slices"
	"strings"

	"github.com/aiedr/edr/fleetsrv/api"
	"github.com/aiedr/edr/fleetsrv/store"
)

var _ api.Content = (*Manager)(nil)

func some(v []string) []string {
	if v == nil {
		return []string{}
	}
	return v
}

// Rules implements api.Content.
func (m *Manager) Rules(ctx context.Context, sc store.Scope) ([]api.Rule, error) {
	rules, err := m.store.ListRules(ctx, sc)
	if err != nil {
		return nil, err
	}
	var out []api.Rule
	for _, kept := range rules {
		v := api.Rule{ID: kept.ID, Name: kept.ID, Enabled: kept.Enabled, Version: kept.Version, Source: kept.Source,
			Conditions: []string{}, Actions: []string{}, Attack: []string{}, Match: "any"}
		if kept.ApprovedBy != "" {
			v.Approved = &api.Approval{By: kept.ApprovedBy, Time: kept.ApprovedAt}
		}
		r, err := load(kept)
		if err != nil {
			v.Error = err.Error()
			out = append(out, v)
			continue
		}
		v.Name, v.Description, v.Type, v.Severity = r.Name, r.Description, string(r.Type), string(r.Severity)
		v.Conditions, v.Actions, v.Attack, v.Platform = some(r.Conditions), some(r.Actions), some(r.Attack), r.Platforms
		if r.MatchAll {
			v.Match = "all"
		}
		out = append(out, v)
	}
	return out, nil
}

// Packs implements api.Content.
func (m *Manager) Packs(ctx context.Context, sc store.Scope) ([]api.Pack, error) {
	packs, err := m.store.ListPacks(ctx, sc)
	if err != nil {
		return nil, err
	}
	var out []api.Pack
	for _, kept := range packs {
		v := api.Pack{Name: kept.Name, Source: kept.Source, Queries: []api.PackQuery{}}
		p, err := loadPack(kept)
		if err != nil {
			v.Error = err.Error()
			out = append(out, v)
			continue
		}
		v.Platform = p.Platform
		for _, q := range p.Queries {
			v.Queries = append(v.Queries, api.PackQuery{Name: q.Name, SQL: q.SQL, Interval: int64(q.Interval.Seconds()),
				Snapshot: q.Snapshot, Description: q.Description, Severity: string(q.Severity)})
		}
		slices.SortFunc(v.Queries, func(a, b api.PackQuery) int { return strings.Compare(a.Name, b.Name) })
		out = append(out, v)
	}
	return out, nil
}
