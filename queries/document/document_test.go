package document

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestJSONAsOsqueryToleratesIt(t *testing.T) {
	text := `// heading
{
  # a comment
  "a": "select 1 \
    from t", /* in
  between */ "b": [1, true, null, "x\u00e9\ud83d\ude00\\s"]
}`
	roots, p := Parse("x.conf", []byte(text))
	if p != nil {
		t.Fatal(p)
	}
	if got := roots[0].Get("a").Text; got != "select 1     from t" {
		t.Errorf("continued text = %q", got)
	}
	b := roots[0].Get("b")
	if b.Line != 6 || b.Items[3].Text != "xé😀\\s" {
		t.Errorf("b is at line %d with %q", b.Line, b.Items[3].Text)
	}
	if !json.Valid(roots[0].JSON()) {
		t.Errorf("not JSON: %s", roots[0].JSON())
	}
}

func TestBadJSONSaysWhere(t *testing.T) {
	for _, c := range []struct {
		text, want string
		line, col  int
	}{
		{"{\n \"c\": \"path = 'C:\\Users'\"}", "lone backslash", 2, 18},
		{"{\"a\": 1,}", "comma", 1, 9},
		{"{\"a\": 1", "ends before", 1, 8},
		{"{\"a\": tru}", "no JSON value", 1, 7},
		{"[1] [2]", "follows", 1, 5},
		{"{\"a\": \"x\ny\"}", "over the end of the line", 1, 9},
		{"/* open", "no end", 1, 1},
		{"{\"a\": }", "no JSON value", 1, 7},
		{"\xff{}", "UTF-8", 1, 1},
		{strings.Repeat("[", 100), "nested", 1, 65},
	} {
		_, p := Parse("x.json", []byte(c.text))
		if p == nil {
			t.Errorf("%q: no problem", c.text)
			continue
		}
		if !strings.Contains(p.Msg, c.want) || p.Line != c.line || p.Column != c.col || p.Next == "" {
			t.Errorf("%q: %v, want %q at %d:%d", c.text, p, c.want, c.line, c.col)
		}
	}
}

func TestYAML(t *testing.T) {
	roots, p := Parse("x.yaml", []byte("a: 'C:\\x'\nb: [1, yes, ~]\n---\nc: |\n  x\n"))
	if p != nil || len(roots) != 2 {
		t.Fatal(len(roots), p)
	}
	if roots[0].Get("a").Text != `C:\x` || roots[1].Get("c").Line != 4 {
		t.Error("wrong value or place")
	}
	for _, bad := range []string{"a: *x", "a: [", "", "[a]: 1", "a: &x 1\nb: *x"} {
		if _, p := Parse("x.yml", []byte(bad)); p == nil {
			t.Errorf("%q: no problem", bad)
		}
	}
}

func TestPlaceInsideText(t *testing.T) {
	roots, p := Parse("x.json", []byte("{\n  \"c\": \"a \\\\ b\\u00e9c\"}"))
	if p != nil {
		t.Fatal(p)
	}
	n := roots[0].Get("c")
	i := strings.Index(n.Text, "c")
	if l, c := n.Place(i); l != 2 || c != 21 {
		t.Errorf("c is said to be at %d:%d", l, c)
	}
}

func TestNearest(t *testing.T) {
	if got := Nearest("comand", []string{"command", "name"}); got != "command" {
		t.Errorf("got %q", got)
	}
	if got := Nearest("zzz", []string{"command", "name"}); got != "" {
		t.Errorf("got %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,"\u00e9"]}`, "a: b\n", "# x\n{}", "[\\\n1]", "\"\\ud800\"", "a: !!binary x"} {
		f.Add("x.json", []byte(s))
		f.Add("x.yaml", []byte(s))
		f.Add("x", []byte(s))
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		roots, p := Parse(name, b)
		if p != nil {
			return
		}
		for _, n := range roots {
			if !json.Valid(n.JSON()) {
				t.Fatalf("%q became %s", b, n.JSON())
			}
			n.Place(len(n.Text))
		}
	})
}

func TestKeyTwice(t *testing.T) {
	for name, text := range map[string]string{"x.json": `{"a": 1, "a": 2}`, "x.yaml": "a: 1\na: 2"} {
		roots, p := Parse(name, []byte(text))
		if p != nil {
			t.Fatal(p)
		}
		r := NewReader(name, roots[0])
		if len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Msg, "twice") || r.Int("a", 0) != 1 {
			t.Errorf("%s: %v", name, r.Problems)
		}
	}
}
