// Package auth says who a person is and what they may do: roles, rights and
// data classes, passwords, sessions, API tokens, and the slowing of guesses.
package auth

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/tables"
)

// Right allows a kind of act. Reading hosts, alerts and results within one's
// groups and data classes needs none.
type Right string

// The rights.
const (
	Respond Right = "respond" // act on hosts, approve rules' actions
	Query   Right = "query"   // ask live queries
	Triage  Right = "alerts"  // change the status of alerts
	Rules   Right = "rules"   // edit and switch rules and packs
	Hosts   Right = "hosts"   // enrol, admit and remove hosts
	Users   Right = "users"   // manage people
	Audit   Right = "audit"   // read the audit log
	// Settings is to read and change the server's settings.
	Settings Right = "settings"
)

// Role is a named set of rights.
type Role string

// The roles.
const (
	Admin     Role = "admin"
	Responder Role = "responder"
	Analyst   Role = "analyst"
	Viewer    Role = "viewer"
)

// Roles lists the roles from most to least.
func Roles() []Role { return []Role{Admin, Responder, Analyst, Viewer} }

// Rights are those of a role.
func (r Role) Rights() []Right {
	switch r {
	case Admin:
		return []Right{Respond, Query, Triage, Rules, Hosts, Users, Audit, Settings}
	case Responder:
		return []Right{Respond, Query, Triage, Rules}
	case Analyst:
		return []Right{Query, Triage, Rules}
	}
	return []Right{}
}

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	if r := Role(s); slices.Contains(Roles(), r) {
		return r, nil
	}
	return "", fmt.Errorf("there is no role %q; the roles are admin, responder, analyst and viewer", s)
}

// Classes lists the data classes, in the order of their bits.
func Classes() []string {
	return []string{string(tables.Inventory), string(tables.Personal), string(tables.Secret), string(tables.Content), string(tables.Network)}
}

// DefaultClasses are those that a new user of a role may read.
func (r Role) DefaultClasses() []string {
	switch r {
	case Admin:
		return Classes()
	case Responder:
		return []string{string(tables.Inventory), string(tables.Personal), string(tables.Network)}
	}
	return []string{string(tables.Inventory), string(tables.Network)}
}

// CheckClasses refuses names that are no data class.
func CheckClasses(classes []string) error {
	for _, c := range classes {
		if !slices.Contains(Classes(), c) {
			return fmt.Errorf("there is no data class %q; the classes are %s", c, strings.Join(Classes(), ", "))
		}
	}
	return nil
}

// Mask is classes as bits, for the store; a class that is not known sets a
// bit that nobody has.
func Mask(classes []string) int64 {
	var m int64
	for _, c := range classes {
		if i := slices.Index(Classes(), c); i >= 0 {
			m |= 1 << i
		} else {
			m |= 1 << 62
		}
	}
	return m
}

// Names are the classes of bits, as Mask makes them.
func Names(mask int64) []string {
	out := []string{}
	for i, c := range Classes() {
		if mask&(1<<i) != 0 {
			out = append(out, c)
		}
	}
	return out
}

// Principal is who makes a request.
type Principal struct {
	Name    string
	Role    Role
	Classes []string
	Scope   store.Scope
	// CSRF is the value that a browser's request must repeat; empty for a script.
	CSRF string
	// Session is the hash of the session, nil for a script.
	Session    []byte
	MustChange bool
}

// PrincipalOf is a user as a principal.
func PrincipalOf(u store.User) *Principal {
	return &Principal{
		Name: u.Name, Role: Role(u.Role), Classes: u.Classes, MustChange: u.MustChange,
		Scope: store.Scope{Tenant: store.DefaultTenant, Groups: u.Groups},
	}
}

// Can says whether the principal has a right.
func (p *Principal) Can(r Right) bool { return slices.Contains(p.Role.Rights(), r) }

// MayRead says whether the principal may read all of the classes.
func (p *Principal) MayRead(classes []string) bool {
	return Mask(classes)&^Mask(p.Classes) == 0
}
