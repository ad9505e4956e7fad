package rule

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Op is an operator of the condition language.
type Op string

// The operators.
const (
	Equal          Op = "="
	NotEqual       Op = "!="
	Greater        Op = ">"
	Less           Op = "<"
	GreaterOrEqual Op = ">="
	LessOrEqual    Op = "<="
	Contains       Op = "contains"
	StartsWith     Op = "startswith"
	EndsWith       Op = "endswith"
	Matches        Op = "matches"
	In             Op = "in"
)

const operatorNames = "= != > < >= <= contains startswith endswith matches in, and not before a word"

func wordOp(s string) (Op, bool) {
	switch op := Op(strings.ToLower(s)); op {
	case Contains, StartsWith, EndsWith, Matches, In:
		return op, true
	}
	return "", false
}

func (o Op) order() bool {
	return o == Greater || o == Less || o == GreaterOrEqual || o == LessOrEqual
}

// Expr is a parsed condition: And, Or, Not or Compare.
type Expr interface{ expr() }

// And holds when all its terms hold.
type And struct{ Terms []Expr }

// Or holds when one of its terms holds.
type Or struct{ Terms []Expr }

// Not holds when its term does not.
type Not struct{ Term Expr }

// Compare is one field, an operator and the values; with several values, any
// of them will do.
type Compare struct {
	Field  string // as written
	Op     Op
	Values []Literal
	Offset int // of the field in the condition
}

// Literal is a value in a condition.
type Literal struct {
	Text    string
	Number  bool
	Int     int64
	Float   float64
	Integer bool // Int is exact
	Offset  int
}

func (And) expr()     {}
func (Or) expr()      {}
func (Not) expr()     {}
func (Compare) expr() {}

// maxNesting bounds parentheses and nots; maxTokens the length of a condition.
const (
	maxNesting = 100
	maxTokens  = 20000
)

type parser struct {
	tokens []token
	pos    int
	depth  int
}

// Parse reads a condition without knowing which fields there are.
func Parse(condition string) (Expr, *SyntaxError) {
	tokens, err := lex(condition)
	if err != nil {
		return nil, err
	}
	if len(tokens) > maxTokens {
		return nil, syntax(0, "split it into several conditions", "the condition is too long")
	}
	p := &parser{tokens: tokens}
	if p.peek().kind == tokenEnd {
		return nil, syntax(0, "write one, such as name = 'xmrig'", "the condition is empty")
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tokenEnd {
		next := "join comparisons with and or or"
		if t.kind == tokenClose {
			next = "remove it or open a bracket before it"
		}
		return nil, syntax(t.offset, next, "unexpected %s", t)
	}
	return e, nil
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) take() token {
	t := p.tokens[p.pos]
	if t.kind != tokenEnd {
		p.pos++
	}
	return t
}

func (p *parser) word(s string) bool {
	if t := p.peek(); t.kind == tokenWord && strings.EqualFold(t.text, s) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) or() (Expr, *SyntaxError) {
	return p.join("or", p.and, func(t []Expr) Expr { return Or{t} })
}

func (p *parser) and() (Expr, *SyntaxError) {
	return p.join("and", p.unary, func(t []Expr) Expr { return And{t} })
}

func (p *parser) join(word string, term func() (Expr, *SyntaxError), make func([]Expr) Expr) (Expr, *SyntaxError) {
	e, err := term()
	if err != nil {
		return nil, err
	}
	terms := []Expr{e}
	for p.word(word) {
		if e, err = term(); err != nil {
			return nil, err
		}
		terms = append(terms, e)
	}
	if len(terms) == 1 {
		return terms[0], nil
	}
	return make(terms), nil
}

func (p *parser) unary() (Expr, *SyntaxError) {
	if p.depth++; p.depth > maxNesting {
		return nil, syntax(p.peek().offset, "use fewer brackets", "the condition is nested too deeply")
	}
	defer func() { p.depth-- }()
	if p.word("not") {
		e, err := p.unary()
		if err != nil {
			return nil, err
		}
		return Not{e}, nil
	}
	if t := p.peek(); t.kind == tokenOpen {
		p.take()
		e, err := p.or()
		if err != nil {
			return nil, err
		}
		if end := p.take(); !closes(t, end) {
			return nil, syntax(end.offset, "close the bracket", "%s stands where the bracket opened at character %d should close", end, t.offset+1)
		}
		return e, nil
	}
	return p.compare()
}

func closes(open, end token) bool {
	return end.kind == tokenClose && (open.text == "(") == (end.text == ")")
}

func (p *parser) compare() (Expr, *SyntaxError) {
	f := p.take()
	if f.kind != tokenWord {
		return nil, syntax(f.offset, "write field operator value, such as name = 'xmrig'", "a field was expected and %s is there", f)
	}
	if _, ok := wordOp(f.text); ok || strings.EqualFold(f.text, "and") || strings.EqualFold(f.text, "or") {
		return nil, syntax(f.offset, "write field operator value, such as name = 'xmrig'", "a field was expected and the word %s is there", f)
	}
	negate := p.word("not")
	t := p.take()
	var op Op
	switch {
	case t.kind == tokenOp && !negate:
		op = Op(t.text)
	case t.kind == tokenWord:
		o, ok := wordOp(t.text)
		if !ok {
			return nil, syntax(t.offset, "the operators are "+operatorNames, "unknown operator %s", t)
		}
		op = o
	case t.kind == tokenEnd:
		return nil, syntax(t.offset, "the operators are "+operatorNames, "an operator is missing after %s", f)
	default:
		return nil, syntax(t.offset, "the operators are "+operatorNames, "an operator was expected after %s and %s is there", f, t)
	}
	vals, err := p.values(op)
	if err != nil {
		return nil, err
	}
	var e Expr = Compare{Field: f.text, Op: op, Values: vals, Offset: f.offset}
	if negate {
		e = Not{e}
	}
	return e, nil
}

func (p *parser) values(op Op) ([]Literal, *SyntaxError) {
	open := p.peek()
	if open.kind != tokenOpen {
		v, err := p.literal()
		if err != nil {
			return nil, err
		}
		return []Literal{v}, nil
	}
	if op.order() || op == Equal || op == NotEqual {
		return nil, syntax(open.offset, "use in or not in with a list", "%s takes one value", op)
	}
	p.take()
	var vals []Literal
	for {
		v, err := p.literal()
		if err != nil {
			return nil, err
		}
		vals = append(vals, v)
		t := p.take()
		switch {
		case t.kind == tokenComma:
			if p.peek().kind == tokenClose {
				return nil, syntax(t.offset, "remove it", "a comma stands at the end of the list")
			}
		case closes(open, t):
			return vals, nil
		default:
			return nil, syntax(t.offset, "separate the values by commas and close the list", "a comma or the end of the list was expected and %s is there", t)
		}
	}
}

func (p *parser) literal() (Literal, *SyntaxError) {
	t := p.take()
	switch t.kind {
	case tokenText:
		return Literal{Text: t.text, Offset: t.offset}, nil
	case tokenNumber:
		v := Literal{Text: t.text, Number: true, Offset: t.offset}
		if i, err := strconv.ParseInt(t.text, 10, 64); err == nil {
			v.Int, v.Float, v.Integer = i, float64(i), true
			return v, nil
		}
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil || math.IsInf(f, 0) || strings.ContainsAny(t.text, "xX_pP") {
			return v, syntax(t.offset, "write it in decimal digits, or in quotes if it is a text", "bad number %q", t.text)
		}
		v.Float = f
		return v, nil
	case tokenWord:
		return Literal{}, syntax(t.offset, fmt.Sprintf("write '%s' if it is a text; two fields cannot be compared", t.text), "a value was expected and the bare word %s is there", t)
	case tokenEnd:
		return Literal{}, syntax(t.offset, "add a number or a text in single quotes", "the value is missing")
	}
	return Literal{}, syntax(t.offset, "write a number or a text in single quotes", "a value was expected and %s is there", t)
}
