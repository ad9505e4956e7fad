package rule

import (
	"strconv"
	"strings"

	"github.com/expr-lang/expr/vm"

	"github.com/aiedr/edr/wire"
)

// When is a condition over the rows of a query. A column has the kind of the
// value at hand: a literal without quotes compares as a number, also with a
// text of digits, and NULL fulfils no comparison.
type When struct {
	program *vm.Program
}

// CompileWhen compiles a condition for rows of these columns.
func CompileWhen(condition string, columns []string) (*When, *SyntaxError) {
	e, err := Parse(condition)
	if err != nil {
		return nil, err
	}
	p, err := compileExpr(e, rowSource{columns})
	if err != nil {
		return nil, err
	}
	return &When{p}, nil
}

// CheckWhen looks for what is wrong with a condition whose columns are not
// known yet.
func CheckWhen(condition string) *SyntaxError {
	e, err := Parse(condition)
	if err != nil {
		return err
	}
	_, err = compileExpr(e, rowSource{})
	return err
}

// Match says whether the condition holds for a row of the columns that it was
// compiled for.
func (w *When) Match(row wire.Row) (bool, error) { return run(w.program, row) }

type rowSource struct{ columns []string } // nil: any

func (s rowSource) resolve(name string) (accessor, error) {
	i := -1
	for k, c := range s.columns {
		if strings.EqualFold(c, name) {
			i = k
			break
		}
	}
	if i < 0 && s.columns != nil {
		return accessor{}, newUnknown(name, "the query has no such column", s.columns)
	}
	value := func(subject any) any {
		row := subject.(wire.Row)
		if i < 0 || i >= len(row) {
			return nil
		}
		return row[i].Any()
	}
	raw := func(subject any) (string, bool) {
		switch v := value(subject).(type) {
		case nil:
			return "", false
		case string:
			return v, true
		case []byte:
			return string(v), true
		default:
			return wire.ValueOf(v).String(), true
		}
	}
	return accessor{
		name: name, dynamic: true,
		num: func(subject any) (int64, float64, bool, bool) {
			switch v := value(subject).(type) {
			case int64:
				return v, 0, true, true
			case float64:
				return 0, v, false, true
			case string:
				if n, err := strconv.ParseInt(v, 10, 64); err == nil {
					return n, 0, true, true
				}
				f, err := strconv.ParseFloat(v, 64)
				return 0, f, false, err == nil
			}
			return 0, 0, false, false
		},
		raw: raw,
		low: func(subject any) (string, bool) {
			s, ok := raw(subject)
			return strings.ToLower(s), ok
		},
	}, nil
}
