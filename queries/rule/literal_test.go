package rule

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestRequired(t *testing.T) {
	for text, want := range map[string]string{
		`(?i)\bPowerShell(\.exe)?\b.*\s-enc`: "[[powershell] [-enc]]",
		`(?i)(curl|wget)\s.*\|\s*sh`:         "[[curl wget] [sh] [|]]",
		`foo|bar|b`:                          "[]",
		`(foo)?bar+x{2,3}`:                   "[[ba]]",
		`[a-z]+`:                             "[]",
		`(?:abc){2}`:                         "[[abc]]",
		`é{1}`:                               "[]",
	} {
		p, err := compilePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(p.needs); got != want {
			t.Errorf("%s needs %q, want %q", text, p.needs, want)
		}
	}
}

// FuzzPattern holds the short cut to the expression: they never differ.
func FuzzPattern(f *testing.F) {
	f.Add(`(?i)\b(powershell|pwsh)(\.exe)?\b.*-e`, "POWERSHELL.exe -enc")
	f.Add(`a+bc?|(de)*fgh`, "xxfgh")
	f.Add(`(?i)straße|kſ`, "KS STRASSE ks")
	f.Add(`(?i)kk`, "\u212a\u212a")
	f.Fuzz(func(t *testing.T, text, s string) {
		re, err := regexp.Compile(text)
		if err != nil || len(text) > 100 {
			return
		}
		p, err := compilePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.match(s, strings.ToLower(s), ascii(s)); got != re.MatchString(s) {
			t.Fatalf("%q on %q: %v with the short cut (needs %q)", text, s, got, p.needs)
		}
	})
}
