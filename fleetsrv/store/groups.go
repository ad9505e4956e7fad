package store

import (
	"context"
	"time"

	"github.com/aiedr/edr/wire"
)

// The kinds of group.
const (
	GroupManual  = "manual" // its hosts were named by a person
	GroupByRule  = "rule"   // its hosts are those that its conditions hold for
	GroupBuiltIn = "all"    // GroupAll itself, which keeps settings only
)

// Condition is one condition over what the server knows of a host; package
// group says which fields and operators there are.
type Condition struct {
	Field string `json:"field"`
	Op    string `json:"op"`
	Value string `json:"value"`
}

// Group is a named set of hosts, and what is set for them.
type Group struct {
	Name        string
	Kind        string
	Description string
	MatchAny    bool // one condition is enough
	Conditions  []Condition
	// Priority says whose setting a host in several groups gets: the highest.
	Priority  int
	Settings  wire.Settings
	CreatedAt time.Time
	UpdatedAt time.Time
	HostCount int // not of removed hosts
}

// Groups keeps groups and who is in them. A group outside the scope is not
// there; GroupAll is kept only where something is set for it.
type Groups interface {
	// AddGroup answers ErrExists where the name is taken.
	AddGroup(ctx context.Context, sc Scope, g Group) error
	UpdateGroup(ctx context.Context, sc Scope, g Group) error
	Group(ctx context.Context, sc Scope, name string) (Group, error)
	ListGroups(ctx context.Context, sc Scope) ([]Group, error)
	// DeleteGroup removes the group and everybody's membership in it;
	// ErrConflict while a rule, a pack or a person's grant names it.
	DeleteGroup(ctx context.Context, sc Scope, name string) error
	// Members lists the ids of a group's hosts, not those of removed hosts.
	Members(ctx context.Context, sc Scope, name string) ([]string, error)
	// SetMembers makes the group's hosts exactly these; ErrNotFound, and
	// nothing is changed, where one of them is not there.
	SetMembers(ctx context.Context, sc Scope, name string, hosts []string) error
	// ChangeMembers adds and removes hosts, all or nothing.
	ChangeMembers(ctx context.Context, sc Scope, name string, add, remove []string) error
	// ChangeGroups puts one host into groups and takes it out of others.
	ChangeGroups(ctx context.Context, sc Scope, host string, add, remove []string) error
	// HostGroups are the groups of every host that is not removed.
	HostGroups(ctx context.Context, sc Scope) (map[string][]string, error)
	// GroupsOf are the groups of one host.
	GroupsOf(ctx context.Context, sc Scope, host string) ([]string, error)
	// SetLabels replaces a host's labels.
	SetLabels(ctx context.Context, sc Scope, host string, labels []string) error
}
