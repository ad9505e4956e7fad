package document

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

type jsonParser struct {
	name         string
	text         []byte
	pos          int
	line, column int
	depth, nodes int
	keys         keys
}

func parseJSON(name string, text []byte) (*Node, *Problem) {
	p := &jsonParser{name: name, text: text, line: 1, column: 1}
	n, err := p.value()
	if err != nil {
		return nil, err
	}
	if err := p.space(); err != nil {
		return nil, err
	}
	if p.pos < len(p.text) {
		return nil, p.fail("something follows the end of the JSON value", "put several rules into one list: [ {…}, {…} ]")
	}
	return n, nil
}

func (p *jsonParser) fail(msg, next string) *Problem {
	return &Problem{File: p.name, Line: p.line, Column: p.column, Msg: msg, Next: next}
}

func (p *jsonParser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

// step moves one character on.
func (p *jsonParser) step() {
	if p.text[p.pos] == '\n' {
		p.line, p.column = p.line+1, 1
		p.pos++
		return
	}
	_, size := utf8.DecodeRune(p.text[p.pos:])
	p.pos += size
	p.column++
}

// space skips blanks, comments and continued lines.
func (p *jsonParser) space() *Problem {
	for p.pos < len(p.text) {
		rest := p.text[p.pos:]
		switch c := rest[0]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			p.step()
		case c == '#' || (c == '/' && len(rest) > 1 && rest[1] == '/'):
			for p.pos < len(p.text) && p.text[p.pos] != '\n' {
				p.step()
			}
		case c == '/' && len(rest) > 1 && rest[1] == '*':
			open := *p
			p.step()
			p.step()
			for {
				if p.pos+1 >= len(p.text) {
					return open.fail("the comment /* has no end", "close it with */")
				}
				if p.text[p.pos] == '*' && p.text[p.pos+1] == '/' {
					break
				}
				p.step()
			}
			p.step()
			p.step()
		case c == '\\' && continued(rest) > 0:
			for range continued(rest) {
				p.step()
			}
		default:
			return nil
		}
	}
	return nil
}

// continued is the length of a backslash with the end of line that follows it.
func continued(b []byte) int {
	switch {
	case len(b) > 1 && b[0] == '\\' && b[1] == '\n':
		return 2
	case len(b) > 2 && b[0] == '\\' && b[1] == '\r' && b[2] == '\n':
		return 3
	}
	return 0
}

func (p *jsonParser) value() (*Node, *Problem) {
	if err := p.space(); err != nil {
		return nil, err
	}
	if p.nodes++; p.nodes > maxNodes {
		return nil, p.fail("the file has too many values", "split it")
	}
	n := &Node{Line: p.line, Column: p.column}
	switch c := p.peek(); {
	case p.pos >= len(p.text):
		return nil, p.fail("the file ends where a value was expected", "check the closing brackets")
	case c == '{' || c == '[':
		if p.depth++; p.depth > maxDepth {
			return nil, p.fail("the file is nested too deeply", "flatten it")
		}
		defer func() { p.depth-- }()
		p.step()
		if c == '{' {
			return n, p.object(n)
		}
		return n, p.list(n)
	case c == '"':
		return n, p.string(n)
	default:
		return n, p.word(n)
	}
}

func (p *jsonParser) object(n *Node) *Problem {
	n.Kind = Map
	for {
		if err := p.space(); err != nil {
			return err
		}
		if p.peek() == '}' && len(n.Keys) == 0 {
			p.step()
			return nil
		}
		if p.peek() != '"' {
			if p.peek() == '}' {
				return p.fail("a comma stands before }", "remove the comma after the last entry")
			}
			return p.fail("a name in double quotes was expected", "write \"name\": value")
		}
		key := &Node{Line: p.line, Column: p.column}
		if err := p.string(key); err != nil {
			return err
		}
		if err := p.space(); err != nil {
			return err
		}
		if p.peek() != ':' {
			return p.fail(fmt.Sprintf("a colon was expected after %q", key.Text), "write \"name\": value")
		}
		p.step()
		v, err := p.value()
		if err != nil {
			return err
		}
		n.add(key, v, &p.keys)
		if more, err := p.more('}'); err != nil || !more {
			return err
		}
	}
}

func (p *jsonParser) list(n *Node) *Problem {
	n.Kind = List
	for {
		if err := p.space(); err != nil {
			return err
		}
		if p.peek() == ']' {
			if len(n.Items) > 0 {
				return p.fail("a comma stands before ]", "remove the comma after the last entry")
			}
			p.step()
			return nil
		}
		v, err := p.value()
		if err != nil {
			return err
		}
		n.Items = append(n.Items, v)
		if more, err := p.more(']'); err != nil || !more {
			return err
		}
	}
}

// more reads the comma or the closing bracket after an entry.
func (p *jsonParser) more(end byte) (bool, *Problem) {
	if err := p.space(); err != nil {
		return false, err
	}
	switch c := p.peek(); {
	case c == ',':
		p.step()
		return true, nil
	case c == end && p.pos < len(p.text):
		p.step()
		return false, nil
	case p.pos >= len(p.text):
		return false, p.fail(fmt.Sprintf("the file ends before the closing %c", end), "add it")
	}
	return false, p.fail(fmt.Sprintf("a comma or %c was expected", end), "separate the entries by commas")
}

func (p *jsonParser) word(n *Node) *Problem {
	start := p.pos
	at := *p
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n,:]}[{\"#/\\", p.text[p.pos]) < 0 {
		p.step()
	}
	n.Text = string(p.text[start:p.pos])
	switch n.Text {
	case "null":
		n.Kind = Null
	case "true", "false":
		n.Kind = Bool
	default:
		if _, err := strconv.ParseFloat(n.Text, 64); err != nil || strings.IndexByte("-0123456789", n.Text[0]) < 0 {
			if n.Text == "" {
				n.Text = string(rune(p.peek()))
			}
			return at.fail(fmt.Sprintf("%q is no JSON value", n.Text), "text stands in double quotes")
		}
		n.Kind = Number
	}
	return nil
}

func (p *jsonParser) string(n *Node) *Problem {
	n.Kind = String
	open := *p
	p.step()
	start := p.pos
	var b strings.Builder
	for {
		if p.pos >= len(p.text) {
			return open.fail("the text has no closing quote", "add the \"")
		}
		switch c := p.text[p.pos]; {
		case c == '"':
			n.raw, n.Text = string(p.text[start:p.pos]), b.String()
			p.step()
			return nil
		case c == '\\':
			if k := continued(p.text[p.pos:]); k > 0 {
				for range k {
					p.step()
				}
				continue
			}
			if err := p.escape(&b); err != nil {
				return err
			}
		case c < 0x20 && c != '\t':
			return p.fail("the text goes on over the end of the line", "close it with \" or end the line with a backslash")
		default:
			_, size := utf8.DecodeRune(p.text[p.pos:])
			b.Write(p.text[p.pos : p.pos+size])
			p.step()
		}
	}
}

func (p *jsonParser) escape(b *strings.Builder) *Problem {
	at := *p
	p.step()
	c := p.peek()
	const plain, meant = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if i := strings.IndexByte(plain, c); i >= 0 && p.pos < len(p.text) {
		b.WriteByte(meant[i])
		p.step()
		return nil
	}
	if c != 'u' {
		r, _ := utf8.DecodeRune(p.text[p.pos:])
		return at.fail(fmt.Sprintf(`a lone backslash before %q: \%c means nothing in JSON`, r, r),
			fmt.Sprintf(`write the backslash twice, \\%c, or keep the rule in YAML`, r))
	}
	p.step()
	v, ok := p.hex()
	if !ok {
		return at.fail(`\u needs four hexadecimal digits`, `write a backslash itself as \\`)
	}
	if utf16.IsSurrogate(v) {
		if p.pos+1 < len(p.text) && p.text[p.pos] == '\\' && p.text[p.pos+1] == 'u' {
			p.step()
			p.step()
			low, ok := p.hex()
			if r := utf16.DecodeRune(v, low); ok && r != utf8.RuneError {
				b.WriteRune(r)
				return nil
			}
		}
		return at.fail("half of a surrogate pair", "write the character itself")
	}
	b.WriteRune(v)
	return nil
}

func (p *jsonParser) hex() (rune, bool) {
	if p.pos+4 > len(p.text) {
		return 0, false
	}
	v, err := strconv.ParseUint(string(p.text[p.pos:p.pos+4]), 16, 32)
	if err != nil {
		return 0, false
	}
	p.pos, p.column = p.pos+4, p.column+4
	return rune(v), true
}
