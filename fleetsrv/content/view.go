package content

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/aiedr/edr/fleetsrv/api"
	"github.com/aiedr/edr/fleetsrv/auth"
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
			Targets: some(kept.Targets), Editable: kept.Source == store.Console,
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
		v.NeedsApproval = acts(r.Actions)
		out = append(out, v)
	}
	return out, nil
}

// acts says whether any of the actions needs an approval to take effect.
func acts(actions []string) bool {
	return slices.ContainsFunc(actions, func(a string) bool { return a != "alert" && a != "log" })
}

// Packs implements api.Content.
func (m *Manager) Packs(ctx context.Context, sc store.Scope) ([]api.Pack, error) {
	packs, err := m.store.ListPacks(ctx, sc)
	if err != nil {
		return nil, err
	}
	approvals, err := m.store.PackApprovals(ctx, sc)
	if err != nil {
		return nil, err
	}
	var out []api.Pack
	for _, kept := range packs {
		out = append(out, m.viewPack(kept, approvals))
	}
	return out, nil
}

func (m *Manager) viewPack(kept store.Pack, approvals []store.PackApproval) api.Pack {
	sum := sha256.Sum256(kept.Text)
	v := api.Pack{Name: kept.Name, Source: kept.Source, Enabled: !kept.Disabled, Targets: some(kept.Targets), Editable: kept.Source == store.Console,
		Version: hex.EncodeToString(sum[:]), Discovery: []string{}, Queries: []api.PackQuery{}}
	p, err := loadPack(kept)
	if err != nil {
		v.Error = err.Error()
		return v
	}
	v.Platform, v.Discovery = p.Platform, some(p.Discovery)
	for _, q := range p.Queries {
		x := api.PackQuery{Name: q.Name, SQL: q.SQL, Interval: int64(q.Interval.Seconds()), Snapshot: q.Snapshot, Description: q.Description,
			Severity: string(q.Severity), Title: q.Title, Attack: some(q.Attack), Actions: some(q.Actions), When: q.When, Platform: q.Platform,
			Version: q.Hash(), NeedsApproval: acts(q.Actions), Classes: auth.Names(m.QueryClasses(p.LogName(q)))}
		for _, a := range approvals {
			if a.Pack == kept.Name && a.Query == q.Name && a.Version == x.Version {
				x.Approved = &api.Approval{By: a.By, Time: a.At}
			}
		}
		v.Queries = append(v.Queries, x)
	}
	slices.SortFunc(v.Queries, func(a, b api.PackQuery) int { return strings.Compare(a.Name, b.Name) })
	return v
}
