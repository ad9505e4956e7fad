// Package rule is the product's own rules: conditions over one event. A
// condition is read by our own tokenizer and parser, compiled once to expr,
// and matched without locks, errors or allocation.
package rule

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/expr-lang/expr/vm"

	"github.com/aiedr/edr/queries/document"
	"github.com/aiedr/edr/wire"
)

// Problem is something wrong in a file of rules.
type Problem = document.Problem

// Rule is one compiled rule.
type Rule struct {
	ID          string
	Name        string
	Title       string // of its hits; the name where it has none
	Description string
	Type        Type
	Severity    wire.Severity
	Enabled     bool
	Conditions  []string
	MatchAll    bool // all conditions are needed, not one of them
	Actions     []string
	// Attack lists ATT&CK technique ids, such as T1059.001.
	Attack         []string
	References     []string
	FalsePositives []string
	Platforms      []string // linux, windows, darwin; empty: all
	// Version is the SHA-256 of the canonical text: everything above but Enabled.
	Version string

	File         string
	Line, Column int

	program *vm.Program
}

// ActionNames lists the actions that a rule or pack query may ask for.
func ActionNames() []string {
	return []string{"alert", "log", "terminate_process", "suspend_process", "quarantine_file",
		"block_connection", "isolate_host", "collect_file"}
}

// Ref names this version of the rule.
func (r *Rule) Ref() wire.RuleRef {
	return wire.RuleRef{ID: r.ID, Name: r.Name, Version: r.Version}
}

// Runs says whether the rule is meant for an operating system as Go names it.
func (r *Rule) Runs(goos string) bool {
	return len(r.Platforms) == 0 || slices.Contains(r.Platforms, goos)
}

// MarshalJSON writes the rule in the first rule format; reading it again
// gives the same version.
func (r *Rule) MarshalJSON() ([]byte, error) {
	match := "any"
	if r.MatchAll {
		match = "all"
	}
	return json.Marshal(struct {
		ID             string        `json:"id"`
		Name           string        `json:"name"`
		Title          string        `json:"title,omitempty"`
		Description    string        `json:"description"`
		Type           Type          `json:"type"`
		Severity       wire.Severity `json:"severity"`
		Enabled        bool          `json:"enabled"`
		Match          string        `json:"match"`
		Conditions     []string      `json:"conditions"`
		Actions        []string      `json:"actions"`
		Attack         []string      `json:"attack,omitempty"`
		References     []string      `json:"references,omitempty"`
		FalsePositives []string      `json:"falsepositives,omitempty"`
		Platforms      []string      `json:"platforms,omitempty"`
	}{r.ID, r.Name, r.Title, r.Description, r.Type, r.Severity, r.Enabled, match,
		r.Conditions, r.Actions, r.Attack, r.References, r.FalsePositives, r.Platforms})
}

// version hashes everything that a person approves: all but the switch.
func (r *Rule) version() string {
	c := *r
	c.Enabled = true
	text, _ := c.MarshalJSON() // texts and lists of texts always encode
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// compile compiles all conditions into one program.
func (r *Rule) compile(texts []*document.Node) []Problem {
	var problems []Problem
	var terms []Expr
	for i, text := range r.Conditions {
		e, err := Parse(text)
		if err == nil {
			_, err = compileExpr(e, eventSource{r.Type}) // alone, so that the place is this condition's
		}
		if err != nil {
			line, column := texts[i].Place(err.Offset)
			problems = append(problems, Problem{File: r.File, Line: line, Column: column,
				Msg: "rule " + r.ID + ": " + err.Msg, Next: err.Next})
			continue
		}
		terms = append(terms, e)
	}
	if len(problems) > 0 {
		return problems
	}
	var whole Expr = Or{terms}
	if r.MatchAll {
		whole = And{terms}
	}
	prog, err := compileExpr(whole, eventSource{r.Type})
	if err != nil {
		return []Problem{{File: r.File, Line: r.Line, Msg: "rule " + r.ID + ": " + err.Msg, Next: err.Next}}
	}
	r.program = prog
	return nil
}

func trimAll(s []string) []string {
	for i := range s {
		s[i] = strings.TrimSpace(s[i])
	}
	return s
}

// Mentions says whether a condition looks at a field.
func (r *Rule) Mentions(name string) bool {
	for _, text := range r.Conditions {
		e, err := Parse(text)
		if err != nil {
			continue // a rule with such a condition was not loaded
		}
		if mentions(e, name) {
			return true
		}
	}
	return false
}

func mentions(e Expr, name string) bool {
	any := func(terms []Expr) bool {
		return slices.ContainsFunc(terms, func(t Expr) bool { return mentions(t, name) })
	}
	switch e := e.(type) {
	case And:
		return any(e.Terms)
	case Or:
		return any(e.Terms)
	case Not:
		return mentions(e.Term, name)
	case Compare:
		return strings.EqualFold(e.Field, name)
	}
	return false
}
