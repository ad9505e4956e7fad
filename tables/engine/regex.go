package engine

import (
	"fmt"
	"regexp"
	"sync"
)

// patternCache keeps compiled patterns: a statement uses few, for many rows.
type patternCache struct {
	mu   sync.Mutex
	have map[string]*regexp.Regexp
}

const (
	maxPatterns   = 256
	maxPatternLen = 4096
)

func (p *patternCache) get(s string) (*regexp.Regexp, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if re, ok := p.have[s]; ok {
		return re, nil
	}
	if len(s) > maxPatternLen {
		return nil, fmt.Errorf("the pattern has %d bytes: at most %d are allowed", len(s), maxPatternLen)
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, fmt.Errorf("the pattern is no RE2 expression (which has neither lookaround nor backreferences): %w", err)
	}
	if len(p.have) >= maxPatterns {
		clear(p.have)
	}
	p.have[s] = re
	return re, nil
}

// match is regex_match(text, pattern, group): the group of the first match, group 0
// the whole; NULL if there is none.
func (p *patternCache) match(a []any) (any, error) {
	re, err := p.get(text(a[1]))
	if err != nil {
		return nil, err
	}
	s := text(a[0])
	m := re.FindStringSubmatchIndex(s)
	if m == nil {
		return nil, nil
	}
	i, ok := index(a[2], len(m)/2)
	if !ok {
		return nil, nil
	}
	if m[2*i] < 0 {
		return "", nil // a group that took no part, as osquery
	}
	return s[m[2*i]:m[2*i+1]], nil
}

// split is regex_split(text, pattern, index): a part between matches; empty parts count.
func (p *patternCache) split(a []any) (any, error) {
	if text(a[1]) == "" {
		return nil, fmt.Errorf("the pattern to split at is empty")
	}
	re, err := p.get(text(a[1]))
	if err != nil {
		return nil, err
	}
	s := text(a[0])
	parts := re.Split(s, -1)
	if len(parts) > 1 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1] // as C++ token iterators have it
	}
	i, ok := index(a[2], len(parts))
	if !ok {
		return nil, nil
	}
	return parts[i], nil
}
