package rule

import (
	"cmp"
	"regexp"
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
	case a.dynamic:
		return dynamicLeaf(c, a)
	case a.num != nil:
		return numberLeaf(c, a)
	case a.list != nil:
		test, low, err := textTest(c, false)
		if err != nil {
			return nil, err
		}
		list := a.list
		return func(s any) bool {
			for _, v := range list(s, low) {
				if test(v) {
					return true
				}
			}
			return false
		}, nil
	}
	test, low, err := textTest(c, a.ordered)
	if err != nil {
		return nil, err
	}
	get := a.raw
	if low {
		get = a.low
	}
	return func(s any) bool { v, ok := get(s); return ok && test(v) }, nil
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

// textTest compares text, lower-cased by the caller where low is true.
func textTest(c Compare, ordered bool) (test func(string) bool, low bool, err *SyntaxError) {
	vals := make([]string, len(c.Values))
	for i, v := range c.Values {
		vals[i] = strings.ToLower(v.Text)
		if v.Text == "" && (c.Op == Contains || c.Op == StartsWith || c.Op == EndsWith || c.Op == Matches) {
			return nil, false, syntax(v.Offset, "write what to look for; an empty field is = ''", "%s with an empty text holds always", c.Op)
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
			return func(s string) bool { _, ok := set[s]; return ok }, true, nil
		}
		return any(func(s, v string) bool { return s == v }), true, nil
	case Contains:
		return any(strings.Contains), true, nil
	case StartsWith:
		return any(strings.HasPrefix), true, nil
	case EndsWith:
		return any(strings.HasSuffix), true, nil
	case Matches:
		res := make([]*regexp.Regexp, len(c.Values))
		for i, v := range c.Values {
			re, err := regexp.Compile(v.Text)
			if err != nil {
				return nil, false, syntax(v.Offset, "the syntax is RE2: no look-around, no back-references", "bad regular expression: %s",
					strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			}
			res[i] = re
		}
		return func(s string) bool {
			for _, re := range res {
				if re.MatchString(s) {
					return true
				}
			}
			return false
		}, false, nil
	}
	if !ordered {
		return nil, false, syntax(c.Offset, "use = != contains startswith endswith matches or in", "%s is a text, and %s is for numbers", c.Field, c.Op)
	}
	op := c.Op
	return func(s string) bool { return holds(op, strings.Compare(s, first)) }, true, nil
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
		test, low, err := textTest(Compare{c.Field, c.Op, texts, c.Offset}, true)
		if err != nil {
			return nil, err
		}
		get := a.raw
		if low {
			get = a.low
		}
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
