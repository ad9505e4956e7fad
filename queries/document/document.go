// Package document reads detection content, JSON or YAML, to a tree whose
// every node knows its line and column, so that each problem in a pack or a
// rule can be told with its place.
package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Problem is something wrong in a file of detection content.
type Problem struct {
	File   string // as the caller named it
	Line   int    // from 1; 0 where the problem has no line
	Column int    // from 1, in characters; 0 where it has none
	Msg    string // what is wrong
	Next   string // what to do about it
	// Warning says that the content is used all the same.
	Warning bool
}

// Error is FILE:LINE:COLUMN: what is wrong (what to do), with "warning:" before
// what does not stop the content.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&b, ":%d", p.Column)
		}
	}
	b.WriteString(": ")
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Msg)
	if p.Next != "" {
		b.WriteString(" (" + p.Next + ")")
	}
	return b.String()
}

// Bounds of what is read. Content is small; what is larger is a mistake or an attack.
const (
	MaxBytes = 16 << 20
	maxDepth = 64
	maxNodes = 1 << 20
)

// Kind says what a node is.
type Kind uint8

// The kinds of node.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Map
)

func (k Kind) String() string {
	return [...]string{"null", "true or false", "a number", "a text", "a list", "an object"}[k]
}

// Node is one value of a document.
type Node struct {
	Kind         Kind
	Line, Column int
	// Text is a text's value, or a number, true or false as written.
	Text string
	// Items are a list's, or an object's values in the order of Keys.
	Items []*Node
	// Keys are an object's, as String nodes.
	Keys []*Node
	// Twice are keys that the object has already; their values are left out.
	Twice []*Node

	raw   string // a JSON text as written, without its quotes
	quote int    // characters between the node's column and its text
	block bool   // a YAML text over several lines
}

// keys are the keys that objects have, so that a large one is read in linear time.
type keys map[*Node]map[string]bool

func (n *Node) add(key, value *Node, seen *keys) {
	if *seen == nil {
		*seen = keys{}
	}
	if (*seen)[n] == nil {
		(*seen)[n] = map[string]bool{}
	}
	if (*seen)[n][key.Text] {
		n.Twice = append(n.Twice, key)
		return
	}
	(*seen)[n][key.Text] = true
	n.Keys, n.Items = append(n.Keys, key), append(n.Items, value)
}

// Get finds an object's value by key; nil if there is none.
func (n *Node) Get(key string) *Node {
	if n == nil || n.Kind != Map {
		return nil
	}
	for i, k := range n.Keys {
		if k.Text == key {
			return n.Items[i]
		}
	}
	return nil
}

// Place is the line and column of a byte of the node's text.
func (n *Node) Place(offset int) (line, column int) {
	if n.block {
		return n.Line, 0
	}
	if n.raw == "" {
		return n.Line, n.Column + n.quote + utf8.RuneCountInString(n.Text[:min(offset, len(n.Text))])
	}
	// A JSON text: an escape is longer as written than what it stands for.
	line, column = n.Line, n.Column+1
	for i, out := 0, 0; i < len(n.raw) && out < offset; {
		size := 1
		if n.raw[i] != '\\' {
			_, size = utf8.DecodeRuneInString(n.raw[i:])
			out += size
			column++
		} else {
			if i+1 < len(n.raw) && (n.raw[i+1] == '\n' || n.raw[i+1] == '\r') {
				size = 2
				if strings.HasPrefix(n.raw[i+1:], "\r\n") {
					size = 3
				}
				line, column = line+1, 1
				i += size
				continue
			}
			size = 2
			r := 1
			if i+5 < len(n.raw) && n.raw[i+1] == 'u' {
				size = 6
				if v, err := strconv.ParseUint(n.raw[i+2:i+6], 16, 32); err == nil {
					r = max(1, utf8.RuneLen(rune(v)))
				}
			}
			out += r
			column += size
		}
		i += size
	}
	return line, column
}

// IsYAML says whether a file's name or, where the name does not tell, its
// text is YAML rather than JSON.
func IsYAML(name string, text []byte) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yaml", ".yml":
		return true
	case ".json", ".conf":
		return false
	}
	p := &jsonParser{text: text, line: 1, column: 1}
	if p.space() != nil {
		return false
	}
	return p.pos >= len(text) || (text[p.pos] != '{' && text[p.pos] != '[')
}

// Parse reads a file: JSON as osquery tolerates it (comments of //, # and
// /* */, lines continued by a backslash), or YAML. A JSON file is one root, a
// YAML file one for each of its documents.
func Parse(name string, text []byte) ([]*Node, *Problem) {
	if len(text) > MaxBytes {
		return nil, &Problem{File: name, Msg: fmt.Sprintf("the file has %d bytes, more than the %d that are read", len(text), MaxBytes), Next: "split it"}
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if i := invalidUTF8(text); i >= 0 {
		line, column := position(text, i)
		return nil, &Problem{File: name, Line: line, Column: column, Msg: "the text is not UTF-8", Next: "save the file as UTF-8"}
	}
	if IsYAML(name, text) {
		return parseYAML(name, text)
	}
	n, p := parseJSON(name, text)
	if p != nil {
		return nil, p
	}
	return []*Node{n}, nil
}

func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

func position(text []byte, offset int) (line, column int) {
	before := text[:offset]
	line = bytes.Count(before, []byte("\n")) + 1
	return line, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}

// JSON writes the node as plain JSON, for the wire.
func (n *Node) JSON() json.RawMessage {
	var b bytes.Buffer
	n.write(&b)
	return b.Bytes()
}

func (n *Node) write(b *bytes.Buffer) {
	text := func(s string) {
		q, _ := json.Marshal(s) // a text always encodes
		b.Write(q)
	}
	switch n.Kind {
	case Null:
		b.WriteString("null")
	case Bool:
		b.WriteString(n.Text)
	case Number:
		if json.Valid([]byte(n.Text)) {
			b.WriteString(n.Text)
		} else { // YAML's 0x10, .5 and the like
			text(n.Text)
		}
	case String:
		text(n.Text)
	case List:
		b.WriteByte('[')
		for i, item := range n.Items {
			if i > 0 {
				b.WriteByte(',')
			}
			item.write(b)
		}
		b.WriteByte(']')
	case Map:
		b.WriteByte('{')
		for i, item := range n.Items {
			if i > 0 {
				b.WriteByte(',')
			}
			text(n.Keys[i].Text)
			b.WriteByte(':')
			item.write(b)
		}
		b.WriteByte('}')
	}
}
