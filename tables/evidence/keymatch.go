package evidence

import (
	"strings"

	"github.com/aiedr/edr/tables"
)

// keyMatch says which keys of a hive a query asks for, in osquery's sense: in
// a LIKE pattern % and _ stay within one name, except for %% at the end, which
// is everything below. A pattern whose first name begins with % could mean any
// depth; it is left to SQLite, and the whole hive is read. Names of the registry
// do not mind case and SQL's = does: a row found by = is spelt as asked.
type keyMatch struct {
	key, path []keyPattern // alternatives; nil: not constrained
}

type keyPattern struct {
	all   bool     // anything
	asked string   // as written, for =
	exact string   // the same in lower case
	names []string // lower case, for LIKE, without the %% at the end
	deep  bool     // everything below names
}

func newKeyMatch(q *tables.Query) *keyMatch {
	return &keyMatch{key: keyPatterns(q, "key"), path: keyPatterns(q, "path")}
}

func keyPatterns(q *tables.Query, column string) []keyPattern {
	if exact, ok := q.Strings(column); ok {
		out := []keyPattern{}
		for _, s := range exact {
			out = append(out, keyPattern{asked: s, exact: strings.ToLower(s)})
		}
		return out
	}
	likes, ok := q.Likes(column)
	if !ok {
		return nil
	}
	out := []keyPattern{}
	for _, s := range likes {
		s = strings.ToLower(s)
		if strings.HasPrefix(s, "%") {
			return nil
		}
		var p keyPattern
		if s, p.deep = strings.CutSuffix(s, "%%"); p.deep {
			// 'KEY\%%' is what is below KEY; 'KEY\Ab%%' what is in names that begin so.
			s += "%"
		}
		p.names = strings.Split(s, `\`)
		out = append(out, p)
	}
	return out
}

// row says whether the row of a name in a key is asked for.
func (m *keyMatch) row(key, name string) bool {
	return some(m.key, func(p keyPattern) bool { return p.matches(strings.ToLower(key)) }) &&
		some(m.path, func(p keyPattern) bool { return p.matchesPath(strings.ToLower(key), strings.ToLower(name)) })
}

// inside says whether a key may have rows that are asked for.
func (m *keyMatch) inside(key string) bool {
	low := strings.ToLower(key)
	return some(m.key, func(p keyPattern) bool { return p.matches(low) }) &&
		some(m.path, func(p keyPattern) bool { return p.leadsTo(low) })
}

// below says whether keys below one may have rows that are asked for, or be
// such rows.
func (m *keyMatch) below(key string) bool {
	low := strings.ToLower(key)
	return some(m.key, func(p keyPattern) bool { return p.leadsTo(low) || p.matches(low) }) &&
		some(m.path, func(p keyPattern) bool { return p.leadsTo(low) })
}

// spell gives a row's key and path as the query wrote them.
func (m *keyMatch) spell(row *RegistryValue) {
	for _, p := range m.key {
		if p.names == nil && p.exact == strings.ToLower(row.Key) {
			row.Key, row.Path = p.asked, p.asked+`\`+row.Name
		}
	}
	for _, p := range m.path {
		if p.names == nil && p.exact == strings.ToLower(row.Path) {
			row.Path = p.asked
		}
	}
}

func some(list []keyPattern, holds func(keyPattern) bool) bool {
	if list == nil {
		return true
	}
	for _, p := range list {
		if holds(p) {
			return true
		}
	}
	return false
}

// matches says whether a key is the pattern's.
func (p keyPattern) matches(key string) bool {
	if p.names == nil {
		return key == p.exact
	}
	names := strings.Split(key, `\`)
	if len(names) < len(p.names) || len(names) > len(p.names) && !p.deep {
		return false
	}
	return p.begins(names[:len(p.names)])
}

// matchesPath says whether a name in a key makes the pattern's path. The name
// of a value may have backslashes of its own.
func (p keyPattern) matchesPath(key, name string) bool {
	if p.names == nil {
		return key+`\`+name == p.exact
	}
	names := append(strings.Split(key, `\`), name)
	if p.deep && len(names) >= len(p.names) {
		return p.begins(names[:len(p.names)])
	}
	if len(names) == len(p.names) {
		return p.begins(names)
	}
	// The pattern's last names are together the name of a value.
	if n := len(names) - 1; n < len(p.names) && strings.Contains(name, `\`) {
		return p.begins(names[:n]) && like(strings.Join(p.names[n:], `\`), name)
	}
	return false
}

// leadsTo says whether something below a key may be the pattern's.
func (p keyPattern) leadsTo(key string) bool {
	if p.names == nil {
		return strings.HasPrefix(p.exact, key+`\`)
	}
	names := strings.Split(key, `\`)
	if len(names) >= len(p.names) {
		return p.deep && p.begins(names[:len(p.names)])
	}
	return p.begins(names)
}

// begins says whether names are those that the pattern begins with.
func (p keyPattern) begins(names []string) bool {
	for i, n := range names {
		if !like(p.names[i], n) {
			return false
		}
	}
	return true
}

// like is SQL's LIKE within one name; both are in lower case.
func like(pattern, s string) bool {
	// The last % seen is tried for longer and longer texts.
	p, i, star, mark := 0, 0, -1, 0
	pat, text := []rune(pattern), []rune(s)
	for i < len(text) {
		switch {
		case p < len(pat) && pat[p] == '%':
			star, mark = p, i
			p++
		case p < len(pat) && (pat[p] == '_' || pat[p] == text[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pat) && pat[p] == '%' {
		p++
	}
	return p == len(pat)
}
