package rule

import (
	"regexp"
	resyntax "regexp/syntax"
	"strings"
)

// pattern is a regular expression with texts of which a match must have one,
// so that most events are passed over without running it.
type pattern struct {
	re *regexp.Regexp
	// needs are lower-case; empty where nothing is known.
	needs []string
}

// minLiteral is the least length of a text worth looking for, maxLiterals how
// many are still cheaper than the expression.
const (
	minLiteral  = 2
	maxLiterals = 24
)

func compilePattern(text string) (pattern, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return pattern{}, err
	}
	p := pattern{re: re}
	if tree, err := resyntax.Parse(text, resyntax.Perl); err == nil {
		p.needs = required(tree.Simplify())
	}
	return p, nil
}

// match looks at the text as it is and lower-cased. Beyond ASCII, case has
// more sides than two, and the expression alone decides.
func (p *pattern) match(raw, low string) bool {
	if len(p.needs) > 0 && ascii(low) {
		found := false
		for _, n := range p.needs {
			if strings.Contains(low, n) {
				found = true
				break
			}
		}
		if !found {
			return false
		}
	}
	return p.re.MatchString(raw)
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// required finds texts of which every match has at least one; nil if none is known.
func required(re *resyntax.Regexp) []string {
	switch re.Op {
	case resyntax.OpLiteral:
		s := strings.ToLower(string(re.Rune))
		if len(s) < minLiteral || !ascii(s) {
			return nil
		}
		return []string{s}
	case resyntax.OpCapture, resyntax.OpPlus:
		return required(re.Sub[0])
	case resyntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case resyntax.OpConcat:
		var best []string
		for _, sub := range re.Sub {
			if r := required(sub); better(r, best) {
				best = r
			}
		}
		return best
	case resyntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			r := required(sub)
			if r == nil || len(all)+len(r) > maxLiterals {
				return nil
			}
			all = append(all, r...)
		}
		return all
	}
	return nil
}

// better prefers the set whose shortest text is longest, then the smaller one.
func better(a, b []string) bool {
	if a == nil || b == nil {
		return a != nil
	}
	x, y := shortest(a), shortest(b)
	return x > y || (x == y && len(a) < len(b))
}

func shortest(s []string) int {
	n := len(s[0])
	for _, v := range s {
		n = min(n, len(v))
	}
	return n
}
