package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/aiedr/edr/queries/hunt"
	"github.com/aiedr/edr/queries/rule"
)

// What docs/rules.md shows must work as it stands.
func TestRulesExamples(t *testing.T) {
	text, err := rulesMarkdown()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```json\n")
	sample, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("no example of a rule")
	}
	rules, problems := rule.Load("example.json", []byte(sample))
	if len(problems) > 0 || len(rules) != 1 {
		t.Fatalf("the example of a rule: %v", problems)
	}
	line := regexp.MustCompile("`(\\{\"type\".*?\\})`").FindStringSubmatch(string(text))
	if line == nil {
		t.Fatal("no example of a line of evidence")
	}
	rules, problems = rule.Load("r.yaml", []byte("id: 1\nname: x\ntype: process\nmatch: all\nconditions: [\"command contains 'nc -e' and parent_name = 'apache2'\", \"time = '05:06'\"]\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var hits []hunt.Match
	h := hunt.New(rules, func(m hunt.Match) { hits = append(hits, m) })
	if err := h.JSON("f", "1", []byte(line[1])); err != nil || len(hits) != 1 {
		t.Errorf("the example of a line: %v, %d matches", err, len(hits))
	}
	// Every operator of the table parses, and every one that parses is in it.
	for _, op := range []rule.Op{rule.Equal, rule.NotEqual, rule.Greater, rule.Less, rule.GreaterOrEqual, rule.LessOrEqual,
		rule.Contains, rule.StartsWith, rule.EndsWith, rule.Matches, rule.In} {
		if !regexp.MustCompile("[` ]" + regexp.QuoteMeta(string(op)) + "[` ]").Match(text) {
			t.Errorf("the operator %s is not in the page", op)
		}
	}
}
