package rule

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

// functions are what operators are called in expr, whose own words of the
// same name mind case.
var functions = map[Op]string{
	Equal: "eq", NotEqual: "ne", Greater: "gt", Less: "lt", GreaterOrEqual: "ge", LessOrEqual: "le",
	Contains: "has", StartsWith: "begins", EndsWith: "ends", Matches: "match", In: "any_of",
}

// vms keeps expr's machines between runs; each holds only its stack.
var vms = sync.Pool{New: func() any { return &vm.VM{} }}

// run evaluates a program over a subject. A failure would be a bug of ours,
// since leaves do not fail; the caller counts it.
func run(p *vm.Program, subject any) (bool, error) {
	m := vms.Get().(*vm.VM)
	out, err := m.Run(p, subject)
	vms.Put(m)
	if err != nil {
		return false, err
	}
	ok, _ := out.(bool)
	return ok, nil
}

// compileExpr compiles a parsed condition for a source of fields. The
// condition becomes a text of expr over a typed environment, such as
//
//	(has(command, ["base64"]) and not (eq(user, ["root"])))
//
// which expr checks and compiles; each call in it is then replaced by the
// comparison compiled for exactly that field and these values.
func compileExpr(e Expr, src source) (*vm.Program, *SyntaxError) {
	g := &generator{src: src, env: types.Map{}}
	text, serr := g.text(e)
	if serr != nil {
		return nil, serr
	}
	p := &leafPatcher{leaves: g.leaves}
	opts := []expr.Option{expr.Env(g.env), expr.AsBool(), expr.Patch(p), expr.DisableAllBuiltins(), expr.MaxNodes(0)}
	for _, name := range functions {
		opts = append(opts, expr.Function(name, unpatched,
			new(func(string, []any) bool), new(func(int, []any) bool), new(func([]string, []any) bool), new(func(any, []any) bool)))
	}
	prog, err := expr.Compile(text, opts...)
	if err == nil && p.next != len(p.leaves) {
		err = fmt.Errorf("%d of %d comparisons were compiled", p.next, len(p.leaves))
	}
	if err != nil {
		return nil, syntax(0, "report this as a bug of the product", "expr does not take the condition %s: %v", text, err)
	}
	return prog, nil
}

func unpatched(...any) (any, error) {
	return nil, errors.New("a comparison was not compiled: a bug of the product")
}

type generator struct {
	src    source
	env    types.Map
	leaves []func(any) bool
}

func (g *generator) text(e Expr) (string, *SyntaxError) {
	switch e := e.(type) {
	case And:
		return g.join(e.Terms, " and ")
	case Or:
		return g.join(e.Terms, " or ")
	case Not:
		t, err := g.text(e.Term)
		return "not (" + t + ")", err
	case Compare:
		return g.compare(e)
	}
	return "", syntax(0, "report this as a bug of the product", "unknown part %T", e)
}

func (g *generator) join(terms []Expr, word string) (string, *SyntaxError) {
	parts := make([]string, len(terms))
	for i, t := range terms {
		s, err := g.text(t)
		if err != nil {
			return "", err
		}
		parts[i] = s
	}
	return "(" + strings.Join(parts, word) + ")", nil
}

func (g *generator) compare(c Compare) (string, *SyntaxError) {
	a, err := g.src.resolve(c.Field)
	if err != nil {
		var u *unknownField
		if errors.As(err, &u) {
			return "", syntax(c.Offset, u.next(), "%s", u.Error())
		}
		return "", syntax(c.Offset, "correct the name", "%v", err)
	}
	f, serr := leaf(c, a)
	if serr != nil {
		return "", serr
	}
	g.leaves = append(g.leaves, f)
	name := a.name
	switch {
	case a.dynamic:
		name = "row[" + strconv.Quote(a.name) + "]"
		g.env["row"] = types.Map{types.Extra: types.Any}
	case strings.HasPrefix(a.name, "data."):
		name = "record[" + strconv.Quote(a.name[len("data."):]) + "]"
		g.env["record"] = types.Map{types.Extra: types.String}
	case a.list != nil:
		g.env[name] = types.Array(types.String)
	case a.num != nil:
		g.env[name] = types.Int
	default:
		g.env[name] = types.String
	}
	var vals []string
	for _, v := range c.Values {
		if v.Number && a.num != nil {
			vals = append(vals, v.Text)
		} else {
			vals = append(vals, strconv.Quote(v.Text))
		}
	}
	return functions[c.Op] + "(" + name + ", [" + strings.Join(vals, ", ") + "])", nil
}

// leafPatcher puts the compiled comparisons in the place of the calls that
// stand for them, in the order in which the text has them.
type leafPatcher struct {
	leaves []func(any) bool
	next   int
}

var leafType = reflect.TypeFor[func(any) bool]()

// Visit implements ast.Visitor.
func (p *leafPatcher) Visit(n *ast.Node) {
	call, ok := (*n).(*ast.CallNode)
	if !ok || p.next >= len(p.leaves) {
		return
	}
	if _, ok := call.Callee.(*ast.IdentifierNode); !ok {
		return
	}
	f := &ast.ConstantNode{Value: p.leaves[p.next]}
	f.SetType(leafType)
	p.next++
	ast.Patch(n, &ast.CallNode{Callee: f, Arguments: []ast.Node{&ast.IdentifierNode{Value: "$env"}}})
}
