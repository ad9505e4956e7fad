package rule

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// leaf compiles one comparison to a function of the subject that neither
// allocates nor fails.
func leaf(c Compare, a accessor) (func(subject any) bool, *SyntaxError) {
	if c.Op == NotEqual {
		eq, err := leaf(Compare{c.Field, Equal, c.Values, c.Offset}, a)
		if err != nil {
			return nil, err
		}
		if a.dynamic { // NULL fulfils no comparison
			return func(s any) bool { _, ok := a.raw(s); return ok && !eq(s) }, nil
		}
		if a.num != nil { // an unknown number differs from nothing
			num := a.num
			return func(s any) bool { _, _, _, ok := num(s); return ok && !eq(s) }, nil
		}
		return func(s any) bool { return !eq(s) }, nil
	}
	switch {
	case c.Op == Matches:
		return matchLeaf(c, a)
	case a.dynamic:
		return dynamicLeaf(c, a)
	case a.num != nil:
		return numberLeaf(c, a)
	case a.list != nil:
		test, err := textTest(c, false)
		if err != nil {
			return nil, err
		}
		list := a.list
		return func(s any) bool {
			for _, v := range list(s, true) {
				if test(v) {
					return true
				}
			}
			return false
		}, nil
	}
	test, err := textTest(c, a.ordered)
	if err != nil {
		return nil, err
	}
	get := a.low
	return func(s any) bool { v, ok := get(s); return ok && test(v) }, nil
}

// matchLeaf runs regular expressions over the text as it is.
func matchLeaf(c Compare, a accessor) (func(any) bool, *SyntaxError) {
	if a.num != nil && !a.dynamic {
		return nil, syntax(c.Offset, "use = != > < >= <= or in", "%s is a number, and matches is for text", c.Field)
	}
	patterns := make([]pattern, len(c.Values))
	for i, v := range c.Values {
		if v.Text == "" {
			return nil, syntax(v.Offset, "write what to look for; an empty field is = ''", "matches with an empty text holds always")
		}
		p, err := compilePattern(v.Text)
		if err != nil {
			return nil, syntax(v.Offset, "the syntax is RE2: no look-around, no back-references", "bad regular expression: %s",
				strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		patterns[i] = p
	}
	test := func(raw, low string, plain bool) bool {
		for i := range patterns {
			if patterns[i].match(raw, low, plain) {
				return true
			}
		}
		return false
	}
	if list := a.list; list != nil {
		return func(s any) bool {
			raw, low := list(s, false), list(s, true)
			for i := range raw {
				if test(raw[i], low[i], ascii(raw[i])) {
					return true
				}
			}
			return false
		}, nil
	}
	raw, low, wide := a.raw, a.low, a.wide
	return func(s any) bool {
		r, ok := raw(s)
		if !ok {
			return false
		}
		l, _ := low(s)
		plain := wide == nil && ascii(r) || wide != nil && !wide(s)
		return test(r, l, plain)
	}, nil
}

// numberLeaf compares a field that holds a number.
func numberLeaf(c Compare, a accessor) (func(any) bool, *SyntaxError) {
	if c.Op != Equal && c.Op != In && !c.Op.order() {
		return nil, syntax(c.Offset, "use = != > < >= <= or in", "%s is a number, and %s is for text", c.Field, c.Op)
	}
	vals := slices.Clone(c.Values)
	for i, v := range vals {
		if v.Number {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(v.Text), 10, 64)
		if err != nil {
			return nil, syntax(v.Offset, "write a number without quotes", "bad number '%s': %s is a number", v.Text, c.Field)
		}
		vals[i].Number, vals[i].Int, vals[i].Float, vals[i].Integer = true, n, float64(n), true
	}
	num := a.num
	if len(vals) == 1 {
		v, op := vals[0], c.Op
		return func(s any) bool {
			i, f, exact, ok := num(s)
			return ok && holds(op, compareNumber(i, f, exact, v))
		}, nil
	}
	return func(s any) bool {
		i, f, exact, ok := num(s)
		if !ok {
			return false
		}
		for k := range vals {
			if compareNumber(i, f, exact, vals[k]) == 0 {
				return true
			}
		}
		return false
	}, nil
}

// compareNumber compares a number, exact as int or else as float, with a literal.
func compareNumber(i int64, f float64, exact bool, v Literal) int {
	if exact && v.Integer {
		return cmp.Compare(i, v.Int)
	}
	if exact {
		f = float64(i)
	}
	return cmp.Compare(f, v.Float)
}

func holds(op Op, order int) bool {
	switch op {
	case Greater:
		return order > 0
	case Less:
		return order < 0
	case GreaterOrEqual:
		return order >= 0
	case LessOrEqual:
		return order <= 0
	}
	return order == 0
}

// textTest compares text that the caller lower-cased.
func textTest(c Compare, ordered bool) (func(string) bool, *SyntaxError) {
	vals := make([]string, len(c.Values))
	for i, v := range c.Values {
		vals[i] = strings.ToLower(v.Text)
		if v.Text == "" && (c.Op == Contains || c.Op == StartsWith || c.Op == EndsWith) {
			return nil, syntax(v.Offset, "write what to look for; an empty field is = ''", "%s with an empty text holds always", c.Op)
		}
	}
	first := vals[0]
	any := func(f func(s, v string) bool) func(string) bool {
		if len(vals) == 1 {
			return func(s string) bool { return f(s, first) }
		}
		return func(s string) bool {
			for _, v := range vals {
				if f(s, v) {
					return true
				}
			}
			return false
		}
	}
	switch c.Op {
	case Equal, In:
		if len(vals) > 8 {
			set := make(map[string]struct{}, len(vals))
			for _, v := range vals {
				set[v] = struct{}{}
			}
			return func(s string) bool { _, ok := set[s]; return ok }, nil
		}
		return any(func(s, v string) bool { return s == v }), nil
	case Contains:
		return any(strings.Contains), nil
	case StartsWith:
		return any(strings.HasPrefix), nil
	case EndsWith:
		return any(strings.HasSuffix), nil
	}
	if !ordered {
		return nil, syntax(c.Offset, "use = != contains startswith endswith matches or in", "%s is a text, and %s is for numbers", c.Field, c.Op)
	}
	op := c.Op
	return func(s string) bool { return holds(op, strings.Compare(s, first)) }, nil
}

// dynamicLeaf compares a value whose kind is only known when it is there: a
// column of a row. A literal without quotes compares as a number.
func dynamicLeaf(c Compare, a accessor) (func(any) bool, *SyntaxError) {
	var numbers, texts []Literal
	for _, v := range c.Values {
		if v.Number && (c.Op == Equal || c.Op == In || c.Op.order()) {
			numbers = append(numbers, v)
		} else {
			texts = append(texts, v)
		}
	}
	var n, t func(any) bool
	var err *SyntaxError
	if len(numbers) > 0 {
		if n, err = numberLeaf(Compare{c.Field, c.Op, numbers, c.Offset}, a); err != nil {
			return nil, err
		}
	}
	if len(texts) > 0 {
		test, err := textTest(Compare{c.Field, c.Op, texts, c.Offset}, true)
		if err != nil {
			return nil, err
		}
		get := a.low
		t = func(s any) bool { v, ok := get(s); return ok && test(v) }
	}
	switch {
	case n == nil:
		return t, nil
	case t == nil:
		return n, nil
	}
	return func(s any) bool { return n(s) || t(s) }, nil
}
