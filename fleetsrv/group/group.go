// Package group says which hosts are in which group, and what is set for a
// host that is in several.
//
// A host names its own name, platform and version: whoever holds a host's key
// can have it say anything, and so join or leave a group that looks at them.
// Such a group may choose what to ask and how often. It never carries the
// approval of a rule's actions and is never what a person's grant reaches:
// these go by trusted groups alone, whose hosts a person named, or whose
// conditions look at labels, which only operators set.
package group

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aiedr/edr/fleetsrv/store"
)

// Name is what a group's name may be.
var Name = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// Label is what a host's label may be.
var Label = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._:/@=-]{0,99}$`)

// FieldLabel is the one field that operators set.
const FieldLabel = "label"

// Fields lists what conditions look at.
func Fields() []string {
	return []string{"hostname", "os", "platform", "arch", "kernel", "agent_version", FieldLabel}
}

// Ops lists how they compare. Case does not count, except in matches.
func Ops() []string {
	return []string{"is", "is_not", "contains", "startswith", "endswith", "matches"}
}

const (
	maxConditions = 50
	maxValue      = 500
)

// Trusted says whether what a host says of itself has no part in who is in
// the group.
func Trusted(g store.Group) bool {
	return g.Kind != store.GroupByRule || !slices.ContainsFunc(g.Conditions, func(c store.Condition) bool { return c.Field != FieldLabel })
}

// Matcher is a group's conditions, compiled.
type Matcher struct {
	any   bool
	conds []compiled
}

type compiled struct {
	store.Condition
	re *regexp.Regexp
}

// Compile checks conditions and makes them ready.
func Compile(conds []store.Condition, any bool) (*Matcher, error) {
	if len(conds) == 0 {
		return nil, fmt.Errorf("a group by rule needs a condition: give conditions [{field, op, value}]")
	}
	if len(conds) > maxConditions {
		return nil, fmt.Errorf("a group has at most %d conditions, not %d", maxConditions, len(conds))
	}
	m := &Matcher{any: any}
	for i, c := range conds {
		if !slices.Contains(Fields(), c.Field) {
			return nil, fmt.Errorf("condition %d: there is no field %q; the fields are %s", i+1, c.Field, strings.Join(Fields(), ", "))
		}
		if !slices.Contains(Ops(), c.Op) {
			return nil, fmt.Errorf("condition %d: there is no operator %q; the operators are %s", i+1, c.Op, strings.Join(Ops(), ", "))
		}
		if len(c.Value) > maxValue || !utf8.ValidString(c.Value) {
			return nil, fmt.Errorf("condition %d: the value is a text of up to %d bytes", i+1, maxValue)
		}
		if c.Value == "" && c.Op != "is" && c.Op != "is_not" {
			return nil, fmt.Errorf("condition %d: the value of %s is empty, which every host fulfils; give a text", i+1, c.Op)
		}
		out := compiled{Condition: c}
		if c.Op == "matches" {
			re, err := regexp.Compile(c.Value)
			if err != nil {
				return nil, fmt.Errorf("condition %d: %v; write a regular expression of RE2", i+1, err)
			}
			out.re = re
		}
		m.conds = append(m.conds, out)
	}
	return m, nil
}

// Match says whether a host belongs to the group.
func (m *Matcher) Match(h *store.Host) bool {
	for i := range m.conds {
		if m.conds[i].match(h) == m.any {
			return m.any
		}
	}
	return !m.any
}

// match looks at every value that the field has: is_not holds where none of
// them is the value, the others where one fulfils them.
func (c *compiled) match(h *store.Host) bool {
	for _, v := range values(h, c.Field) {
		if c.one(v) {
			return c.Op != "is_not"
		}
	}
	return c.Op == "is_not"
}

func (c *compiled) one(v string) bool {
	if c.re != nil {
		return c.re.MatchString(v)
	}
	low, want := strings.ToLower(v), strings.ToLower(c.Value)
	switch c.Op {
	case "contains":
		return strings.Contains(low, want)
	case "startswith":
		return strings.HasPrefix(low, want)
	case "endswith":
		return strings.HasSuffix(low, want)
	}
	return low == want // is, is_not
}

func values(h *store.Host, field string) []string {
	d := &h.Details
	switch field {
	case "hostname":
		return []string{d.Hostname}
	case "os":
		return []string{d.OS}
	case "platform":
		return []string{d.Platform}
	case "arch":
		return []string{d.Arch}
	case "kernel":
		return []string{d.Kernel}
	case "agent_version":
		return []string{d.AgentVersion}
	}
	if len(h.Labels) == 0 {
		return []string{""}
	}
	return h.Labels
}
