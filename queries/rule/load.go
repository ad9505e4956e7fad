package rule

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aiedr/edr/queries/document"
	"github.com/aiedr/edr/wire"
)

var technique = regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)

// Load reads a file of rules, JSON or YAML: one object or a list of them.
// What is wrong with one rule does not stop the others.
func Load(name string, text []byte) ([]*Rule, []Problem) {
	roots, p := document.Parse(name, text)
	if p != nil {
		return nil, []Problem{*p}
	}
	var rules []*Rule
	var problems []Problem
	seen := map[string]int{}
	for _, root := range roots {
		items := []*document.Node{root}
		if list := root.Get("rules"); list != nil && len(root.Keys) == 1 {
			root = list
		}
		if root.Kind == document.List {
			items = root.Items
		}
		for _, n := range items {
			r, ps := read(name, n)
			problems = append(problems, ps...)
			if r == nil {
				continue
			}
			if line, twice := seen[r.ID]; twice {
				problems = append(problems, Problem{File: name, Line: n.Line, Column: n.Column,
					Msg: fmt.Sprintf("rule %s: line %d has a rule of the same id", r.ID, line), Next: "give each rule an id of its own"})
				continue
			}
			seen[r.ID] = n.Line
			rules = append(rules, r)
		}
	}
	return rules, problems
}

// IsRule says whether an object looks like a rule of this format.
func IsRule(n *document.Node) bool {
	if n.Kind == document.List && len(n.Items) > 0 {
		n = n.Items[0]
	}
	return n.Get("conditions") != nil || n.Get("rules") != nil
}

// read reads one rule; with any problem there is none.
func read(file string, n *document.Node) (*Rule, []Problem) {
	if n.Kind != document.Map {
		return nil, []Problem{{File: file, Line: n.Line, Column: n.Column,
			Msg: "a rule must be an object and this is " + n.Kind.String(), Next: "write { \"id\": …, \"conditions\": […] }"}}
	}
	d := document.NewReader(file, n)
	r := &Rule{
		ID: strings.TrimSpace(d.Text("id")), Name: d.Text("name"), Title: d.Text("title"), Description: d.Text("description"),
		Type: Type(strings.ToLower(d.Text("type"))), Severity: wire.Severity(strings.ToLower(d.Text("severity"))),
		Enabled: d.Bool("enabled", true), Actions: trimAll(d.Texts("actions")), Attack: trimAll(d.Texts("attack")),
		References: d.Texts("references"), FalsePositives: d.Texts("falsepositives"), Platforms: d.Texts("platforms"),
		File: file, Line: n.Line, Column: n.Column,
	}
	if p := d.Texts("platform"); len(r.Platforms) == 0 {
		r.Platforms = p
	}
	label := "rule " + r.ID + ": "
	if r.ID == "" {
		label = ""
		d.Fail(n, "the rule has no id", "give it a number or a text of its own, such as \"id\": 1001")
	}
	if r.Name == "" {
		d.Fail(n, label+"the rule has no name", "add \"name\": …")
	}
	if r.Title == "" {
		r.Title = r.Name
	}
	if !slices.Contains(Types(), r.Type) {
		d.Fail(at(n, "type"), fmt.Sprintf("%sunknown type %q", label, r.Type), "the types are "+join(Types()))
	}
	if r.Severity == "" {
		r.Severity = wire.Medium
	}
	if r.Severity == "info" {
		r.Severity = wire.Informational
	}
	if !slices.Contains(wire.Severities(), r.Severity) {
		d.Fail(at(n, "severity"), fmt.Sprintf("%sunknown severity %q", label, r.Severity), "the severities are "+join(wire.Severities()))
	}
	switch m := strings.ToLower(d.Text("match")); m {
	case "", "any":
	case "all":
		r.MatchAll = true
	default:
		d.Fail(at(n, "match"), fmt.Sprintf("%sunknown match %q", label, m), "write all or any")
	}
	if len(r.Actions) == 0 {
		r.Actions = []string{"alert"}
	}
	d.Problems = append(d.Problems, CheckActions(file, label, at(n, "actions"), r.Actions)...)
	d.Problems = append(d.Problems, CheckAttack(file, label, at(n, "attack"), r.Attack)...)
	for i, p := range r.Platforms {
		p = strings.ToLower(p)
		if p == "macos" {
			p = "darwin"
		}
		r.Platforms[i] = p
		if p != "linux" && p != "windows" && p != "darwin" {
			d.Fail(at(n, "platforms"), fmt.Sprintf("%sunknown platform %q", label, p), "the platforms are linux windows darwin")
		}
	}
	texts := d.Nodes("conditions")
	if len(texts) == 0 {
		d.Fail(at(n, "conditions"), label+"the rule has no condition", "add \"conditions\": [\"name = 'xmrig'\"]")
	}
	for _, t := range texts {
		r.Conditions = append(r.Conditions, t.Text)
	}
	for _, k := range d.Unknown() {
		next := "the fields are id name title description type severity enabled conditions match actions attack references falsepositives platforms"
		if near := document.Nearest(k.Text, strings.Fields(next)[3:]); near != "" {
			next = "did you mean " + near + "? " + next
		}
		d.Fail(k, fmt.Sprintf("%sunknown entry %q", label, k.Text), next)
	}
	if slices.Contains(Types(), r.Type) && len(texts) > 0 {
		d.Problems = append(d.Problems, r.compile(texts)...)
	}
	if len(d.Problems) > 0 {
		return nil, d.Problems
	}
	r.Version = r.version()
	return r, nil
}

// CheckActions names the actions that do not exist.
func CheckActions(file, label string, n *document.Node, actions []string) []Problem {
	var out []Problem
	for _, a := range actions {
		if slices.Contains(ActionNames(), a) {
			continue
		}
		next := "the actions are " + join(ActionNames())
		if near := document.Nearest(a, ActionNames()); near != "" {
			next = "did you mean " + near + "? " + next
		}
		out = append(out, Problem{File: file, Line: n.Line, Column: n.Column, Msg: fmt.Sprintf("%sunknown action %q", label, a), Next: next})
	}
	return out
}

// CheckAttack names what is no ATT&CK technique id.
func CheckAttack(file, label string, n *document.Node, ids []string) []Problem {
	var out []Problem
	for _, id := range ids {
		if !technique.MatchString(id) {
			out = append(out, Problem{File: file, Line: n.Line, Column: n.Column,
				Msg: fmt.Sprintf("%s%q is no ATT&CK technique", label, id), Next: "write ids such as T1059 or T1059.001"})
		}
	}
	return out
}

// at is the value of a key, or the object itself, for the place of a problem.
func at(n *document.Node, key string) *document.Node {
	if v := n.Get(key); v != nil {
		return v
	}
	return n
}

func join[T ~string](s []T) string {
	var b strings.Builder
	for i, v := range s {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(v))
	}
	return b.String()
}
