package winreg

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Bounds of what one pattern may find: osquery's depth, and as many keys as a
// whole machine's software hive has.
const (
	maxDepth = 32
	maxKeys  = 500_000
)

// Glob finds the keys that a LIKE pattern names, by osquery's rules: % stands
// for anything within one part of the path, and from a part with %% on the
// pattern reaches into all keys below. Top keys are named in full. Keys that
// cannot be listed go to warn; the error is that of the context.
func Glob(ctx context.Context, t Tree, pattern string, warn func(error)) ([]string, error) {
	g := &glob{ctx: ctx, tree: t, warn: warn, pattern: pattern}
	parts := strings.Split(strings.TrimRight(pattern, `\`), `\`)
	head := parts[0]
	if full, ok := shortNames[strings.ToUpper(head)]; ok {
		head = full
	}
	for _, hive := range append(Hives(), CurrentUser) {
		if !likePart(head, hive) || hive == CurrentUser && strings.ContainsAny(head, "%") {
			continue
		}
		if strings.Contains(head, "%%") {
			g.add(hive)
			g.below(hive, 0)
			continue
		}
		g.part(hive, parts[1:])
	}
	return g.found, ctx.Err()
}

type glob struct {
	ctx     context.Context
	tree    Tree
	warn    func(error)
	pattern string
	found   []string
	full    bool
}

func (g *glob) add(path string) {
	if len(g.found) >= maxKeys {
		if !g.full {
			g.full = true
			g.warn(fmt.Errorf("more than %d registry keys match %q: the rest is left out; name a longer path", maxKeys, g.pattern))
		}
		return
	}
	g.found = append(g.found, path)
}

func (g *glob) stop() bool { return g.full || g.ctx.Err() != nil }

// part follows the rest of a pattern below a key that matched so far.
func (g *glob) part(path string, rest []string) {
	if g.stop() {
		return
	}
	if len(rest) == 0 {
		g.add(path)
		return
	}
	p := rest[0]
	if !strings.ContainsAny(p, "%_") {
		g.part(Join(path, p), rest[1:])
		return
	}
	before, _, deep := strings.Cut(p, "%%")
	for _, s := range g.list(path) {
		switch {
		case deep && likePart(before+"%", s.Name):
			below := Join(path, s.Name)
			g.add(below)
			g.below(below, 1)
		case !deep && likePart(p, s.Name):
			g.part(Join(path, s.Name), rest[1:])
		}
	}
}

// below adds every key below one. SQLite holds them to the pattern afterwards.
func (g *glob) below(path string, depth int) {
	if depth == maxDepth {
		g.warn(fmt.Errorf("registry keys more than %d deep below %s are left out", maxDepth, path))
		return
	}
	for _, s := range g.list(path) {
		if g.stop() {
			return
		}
		g.add(Join(path, s.Name))
		g.below(Join(path, s.Name), depth+1)
	}
}

func (g *glob) list(path string) []Subkey {
	if g.stop() {
		return nil
	}
	subkeys, err := g.tree.Subkeys(path)
	if err != nil && !errors.Is(err, ErrNoKey) {
		g.warn(err)
	}
	return subkeys
}

// likePart compares a text with a LIKE pattern as SQLite does, except that
// case does not matter beyond ASCII either: registry keys ignore it.
func likePart(pattern, text string) bool {
	p, s := []rune(strings.ToUpper(pattern)), []rune(strings.ToUpper(text))
	star, at := -1, 0 // the last % and where in the text it was met
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(p) && p[i] == '%':
			star, at = i, j
			i++
		case i < len(p) && (p[i] == '_' || p[i] == s[j]):
			i++
			j++
		case star >= 0:
			at++
			i, j = star+1, at
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '%' {
		i++
	}
	return i == len(p)
}
