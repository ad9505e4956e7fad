package rule

import (
	"regexp"
	resyntax "regexp/syntax"
	"slices"
	"strings"
)

// pattern is a regular expression with texts that a match must have, so that
// most events are passed over without running it.
type pattern struct {
	re *regexp.Regexp
	// needs are lower-case: of each group, a match has at least one text.
	needs [][]string
}

// maxLiterals is how many texts of a group, and maxGroups how many groups,
// are still cheaper than the expression.
const (
	maxLiterals = 24
	maxGroups   = 4
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

// match looks at the text as it is and lower-cased. Beyond ASCII, where plain
// is false, case has more sides than two, and the expression alone decides.
func (p *pattern) match(raw, low string, plain bool) bool {
	if plain {
		for _, group := range p.needs {
			if !containsAny(low, group) {
				return false
			}
		}
	}
	return p.re.MatchString(raw)
}

func containsAny(s string, texts []string) bool {
	for _, t := range texts {
		if strings.Contains(s, t) {
			return true
		}
	}
	return false
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// required finds groups of texts: every match has one of each group.
func required(re *resyntax.Regexp) [][]string {
	switch re.Op {
	case resyntax.OpLiteral:
		s := strings.ToLower(string(re.Rune))
		if !ascii(s) || (len(s) == 1 && !strings.ContainsAny(s, "|/\\:;`$<>&=+")) {
			return nil
		}
		return [][]string{{s}}
	case resyntax.OpCapture, resyntax.OpPlus:
		return required(re.Sub[0])
	case resyntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case resyntax.OpConcat:
		var all [][]string
		for _, sub := range re.Sub {
			for _, group := range required(sub) {
				if !slices.ContainsFunc(all, func(g []string) bool { return slices.Equal(g, group) }) {
					all = append(all, group)
				}
			}
		}
		slices.SortStableFunc(all, func(a, b []string) int { return worth(b) - worth(a) })
		return all[:min(len(all), maxGroups)]
	case resyntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			r := required(sub)
			if len(r) == 0 {
				return nil
			}
			best := slices.MaxFunc(r, func(a, b []string) int { return worth(a) - worth(b) })
			if all = append(all, best...); len(all) > maxLiterals {
				return nil
			}
		}
		return [][]string{all}
	}
	return nil
}

// worth prefers the group whose shortest text is longest, then the smaller one.
func worth(group []string) int {
	n := len(group[0])
	for _, v := range group {
		n = min(n, len(v))
	}
	return n*100 - len(group)
}
