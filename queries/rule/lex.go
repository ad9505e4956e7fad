package rule

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// SyntaxError is something wrong in a condition.
type SyntaxError struct {
	Offset int // byte of the condition, from 0
	Msg    string
	Next   string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("at character %d: %s (%s)", e.Offset+1, e.Msg, e.Next)
}

func syntax(offset int, next, format string, args ...any) *SyntaxError {
	return &SyntaxError{Offset: offset, Msg: fmt.Sprintf(format, args...), Next: next}
}

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenNumber
	tokenText
	tokenOp // = != > < >= <=
	tokenOpen
	tokenClose
	tokenComma
)

type token struct {
	kind   tokenKind
	text   string // a text without its quotes; brackets as written
	offset int
}

func (t token) String() string {
	switch t.kind {
	case tokenEnd:
		return "the end"
	case tokenText:
		return "'" + t.text + "'"
	}
	return strconv.Quote(t.text)
}

func wordStart(c byte) bool {
	return c == '_' || (c|0x20 >= 'a' && c|0x20 <= 'z')
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// lex cuts a condition into tokens. In quoted text a backslash is a
// backslash; the quote itself is written twice.
func lex(s string) ([]token, *SyntaxError) {
	var out []token
	for i := 0; i < len(s); {
		start := i
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case wordStart(c):
			for i < len(s) && (wordStart(s[i]) || digit(s[i]) || s[i] == '.') {
				i++
			}
			out = append(out, token{tokenWord, s[start:i], start})
		case digit(c) || (c == '-' && i+1 < len(s) && digit(s[i+1])):
			for i++; i < len(s) && (digit(s[i]) || s[i] == '.' || wordStart(s[i])); {
				i++
			}
			out = append(out, token{tokenNumber, s[start:i], start})
		case c == '\'' || c == '"':
			text, n, err := quoted(s[i:], start)
			if err != nil {
				return nil, err
			}
			i += n
			out = append(out, token{tokenText, text, start})
		case c == '(' || c == '[':
			i++
			out = append(out, token{tokenOpen, s[start:i], start})
		case c == ')' || c == ']':
			i++
			out = append(out, token{tokenClose, s[start:i], start})
		case c == ',':
			i++
			out = append(out, token{tokenComma, ",", start})
		case strings.IndexByte("=!<>&|~", c) >= 0:
			for i < len(s) && strings.IndexByte("=!<>&|~", s[i]) >= 0 {
				i++
			}
			op := s[start:i]
			switch op {
			case "=", "!=", ">", "<", ">=", "<=":
			case "==":
				op = "="
			default:
				next := map[string]string{"&&": "write and", "||": "write or", "!": "write not", "<>": "write !=", "=~": "write matches", "~": "write matches"}[op]
				if next == "" {
					next = "the operators are " + operatorNames
				}
				return nil, syntax(start, next, "unknown operator %q", op)
			}
			out = append(out, token{tokenOp, op, start})
		default:
			r, _ := utf8.DecodeRuneInString(s[i:])
			next := "text stands in single quotes"
			if r == '“' || r == '”' || r == '‘' || r == '’' {
				next = "use the plain quote '"
			}
			return nil, syntax(start, next, "unexpected character %q", r)
		}
	}
	return append(out, token{tokenEnd, "", len(s)}), nil
}

func quoted(s string, offset int) (text string, size int, err *SyntaxError) {
	q := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == q && i+1 < len(s) && s[i+1] == q:
			b.WriteByte(q)
			i++
		case c == q:
			return b.String(), i + 1, nil
		case c < 0x20 || c == 0x7f:
			return "", 0, syntax(offset+i, `in JSON write a backslash twice: \\b, \\f, \\n, \\r and \\t, not \b, \f, \n, \r and \t`,
				"a control character (%q) stands in the text, mostly a backslash that JSON took for its own", c)
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, syntax(offset, fmt.Sprintf("close it with %c; a %c inside the text is written twice", q, q), "the text has no closing quote")
}
