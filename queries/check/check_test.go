package check

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"rules/a.json":  `[{"id":1,"name":"a","type":"process","severity":"high","conditions":["name = 'x'"]},` + "\n" + `{"id":2,"name":"b","type":"process","severity":"high","conditions":["nmae = 'x'"]}]`,
		"rules/b.yaml":  "id: 1\nname: same id\ntype: process\nseverity: low\nconditions: [\"pid = 1\"]\n",
		"packs/p.conf":  "{\"queries\": {\n\"good\": {\"query\": \"select 1\"},\n\"bad\": {\"query\": \"select nothing\"},\n\"mac\": {\"query\": \"select nothing\", \"platform\": \"darwin\"}}}",
		"osquery.conf":  `{"packs": {"p": "packs/p.conf"}, "decorators": {"load": ["select nothing"]}}`,
		"hunt/q.sql":    "-- interval: 60\nselect nothing\n",
		"notes.md":      "# notes",
		"broken.json":   "{",
		"other.yaml":    "a: b",
		"sigma.yml":     "title: x\nlogsource: {product: windows}\ndetection: {condition: x}\n",
		".git/x.json":   "{",
		"rules/bs.json": `{"id": 9, "conditions": ["path = 'C:\Users'"]}`,
	} {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	report := Run([]string{dir, filepath.Join(dir, "gone")}, func(sql string) error {
		if strings.Contains(sql, "nothing") {
			return errors.New("no such column: nothing")
		}
		return nil
	})
	want := []string{
		".git: warning: a hidden folder",
		"broken.json:1:2: ",
		"gone: cannot be read",
		"hunt/q.sql:1: query q: no such column",
		"notes.md: warning: left out",
		"other.yaml:1: neither a pack nor a rule",
		"packs/p.conf:3: query bad: no such column",
		"packs/p.conf:4: warning: query mac: no such column",
		"rules/a.json:2:70: rule 2: unknown field",
		"rules/b.yaml:1:1: rule 1: ",
		"rules/bs.json:1:37: a lone backslash",
		"sigma.yml:1: a Sigma rule",
		"decorators: decorator select nothing",
	}
	var got []string
	for _, p := range report.Problems {
		got = append(got, strings.TrimPrefix(filepath.ToSlash(p.Error()), filepath.ToSlash(dir)+"/"))
		if p.Next == "" {
			t.Errorf("no next step: %v", p)
		}
	}
	all := strings.Join(got, "\n")
	for _, w := range want {
		found := false
		for _, g := range got {
			found = found || strings.HasPrefix(g, w)
		}
		if !found {
			t.Errorf("nothing begins with %q", w)
		}
	}
	if len(got) != len(want) || t.Failed() {
		t.Errorf("%d problems, want %d:\n%s", len(got), len(want), all)
	}
	if report.Rules != 2 || report.Packs != 2 || report.Queries != 4 || !report.Failed() {
		t.Errorf("%+v", report)
	}
}

func TestOurContentIsClean(t *testing.T) {
	for _, p := range Check([]string{"../content/rules", "../content/packs"}, nil) {
		t.Error(p)
	}
}
