package group

import (
	"context"
	"slices"
	"sync"

	"github.com/aiedr/edr/fleetsrv/store"
)

// Store is what is needed of the store.
type Store interface {
	store.Groups
	Host(ctx context.Context, sc store.Scope, id string) (store.Host, error)
	ListHosts(ctx context.Context, sc store.Scope, f store.HostFilter) (store.HostList, error)
}

// Members keeps who is in the groups that go by conditions.
type Members struct {
	store Store
	// mu: one membership is computed at a time, so that a host that changes
	// while a group does is in it or not by its last state.
	mu sync.Mutex
}

// NewMembers makes Members.
func NewMembers(s Store) *Members { return &Members{store: s} }

const pageSize = 1000

// Matching lists the hosts that conditions hold for.
func (m *Members) Matching(ctx context.Context, sc store.Scope, match *Matcher) ([]store.Host, error) {
	var out []store.Host
	for offset := 0; ; offset += pageSize {
		l, err := m.store.ListHosts(ctx, sc, store.HostFilter{Limit: pageSize, Offset: offset})
		if err != nil {
			return nil, err
		}
		for i := range l.Hosts {
			if match.Match(&l.Hosts[i]) {
				out = append(out, l.Hosts[i])
			}
		}
		if len(l.Hosts) < pageSize {
			return out, nil
		}
	}
}

// Refresh computes the members of one group by rule anew.
func (m *Members) Refresh(ctx context.Context, g store.Group) error {
	match, err := Compile(g.Conditions, g.MatchAny)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	hosts, err := m.Matching(ctx, store.Everything(), match)
	if err != nil {
		return err
	}
	ids := make([]string, len(hosts))
	for i := range hosts {
		ids[i] = hosts[i].ID
	}
	return m.store.SetMembers(ctx, store.Everything(), g.Name, ids)
}

// Host puts one host, which is new or has changed, into the groups whose
// conditions hold for it and takes it out of the others. It says whether its
// groups have changed.
func (m *Members) Host(ctx context.Context, id string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	groups, err := m.store.ListGroups(ctx, store.Everything())
	if err != nil {
		return false, err
	}
	h, err := m.store.Host(ctx, store.Everything(), id)
	if err != nil {
		return false, err
	}
	var add, remove []string
	for _, g := range groups {
		if g.Kind != store.GroupByRule {
			continue
		}
		match, err := Compile(g.Conditions, g.MatchAny)
		if err != nil {
			return false, err
		}
		switch in := slices.Contains(h.Groups, g.Name); {
		case match.Match(&h) && !in:
			add = append(add, g.Name)
		case !match.Match(&h) && in:
			remove = append(remove, g.Name)
		}
	}
	if len(add)+len(remove) == 0 {
		return false, nil
	}
	return true, m.store.ChangeGroups(ctx, store.Everything(), id, add, remove)
}
