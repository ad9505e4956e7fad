package procsensor

import (
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"
)

func TestArgvJSON(t *testing.T) {
	for _, c := range []struct {
		argv []string
		want string
	}{
		{nil, `[]`},
		{[]string{""}, `[""]`},
		{[]string{"a", "", "b c"}, `["a","","b c"]`},
		{[]string{"\x00\n\t\"\\\x7f"}, `["\u0000\n\t\"\\\u007f"]`},
		{[]string{"é✓\xff\xc3"}, `["é✓\udcff\udcc3"]`},
		// The character that stands for a broken one is a character like others.
		{[]string{"\ufffd"}, "[\"\ufffd\"]"},
	} {
		if got := argvJSON(c.argv); got != c.want {
			t.Errorf("argvJSON(%q) = %s, want %s", c.argv, got, c.want)
		}
	}
}

func FuzzArgvJSON(f *testing.F) {
	f.Add("a\xffb", "")
	f.Fuzz(func(t *testing.T, a, b string) {
		s := argvJSON([]string{a, b})
		var got []string
		if err := json.Unmarshal([]byte(s), &got); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if utf8.ValidString(a) && utf8.ValidString(b) && !slices.Equal(got, []string{a, b}) {
			t.Errorf("%q %q came back as %q", a, b, got)
		}
	})
}
