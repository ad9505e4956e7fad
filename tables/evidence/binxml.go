package evidence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Binary XML is what the records of an EVTX file are written in: elements
// whose fixed part is a template, kept once in a chunk of 64 KiB, and whose
// values are typed. All offsets are from the start of the chunk.

// element is an expanded element with its values as Windows prints them.
type element struct {
	name  string
	attrs []attribute
	text  string
	kids  []*element
}

type attribute struct{ name, value string }

func (e *element) attr(name string) string {
	for _, a := range e.attrs {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

func (e *element) kid(name string) *element {
	if e != nil {
		for _, k := range e.kids {
			if k.name == name {
				return k
			}
		}
	}
	return nil
}

// node is an element as written: in a template with places for values.
type node struct {
	name  string
	needs int // the value without which the element is left out; -1 for none
	attrs []nodeAttr
	parts []part
}

type nodeAttr struct {
	name  string
	parts []part
}

// part is a piece of content: a text, a place for a value, an element, or a
// template that was filled in where it stood.
type part struct {
	text     string
	value    int // -1 for none
	optional bool
	child    *node
	done     *element
}

// value is one typed value of a template's instance.
type value struct {
	kind byte
	data []byte
	at   int // in the chunk
}

// Bounds of one record. A chunk can say in few bytes that something is to be
// repeated without end; a record that Windows wrote stays far below these.
const (
	maxXMLDepth  = 32
	maxXMLParts  = 20_000
	maxXMLText   = 4 << 20
	maxXMLValues = 4096
	maxXMLName   = 256 // characters
	// Templates of a chunk do not overlap where Windows wrote them, and then
	// have no more parts together than this.
	maxTemplateParts = 32_000
)

var errTooMuch = errors.New("the record expands to more than any record that Windows writes")

// chunkXML reads the binary XML of one chunk.
type chunkXML struct {
	buf       []byte
	names     map[int]string
	templates map[int]*node
	parts     int // what the record may still use
	text      int
	kept      int // parts of the templates that are kept
}

func newChunkXML(buf []byte) *chunkXML {
	return &chunkXML{buf: buf, names: map[int]string{}, templates: map[int]*node{}}
}

// record reads the fragment of a record that lies in buf[from:to].
func (x *chunkXML) record(from, to int) (*element, error) {
	x.parts, x.text = maxXMLParts, maxXMLText
	return x.fragment(&cursor{b: x.buf, pos: from, end: to}, 0)
}

func (x *chunkXML) spend(text int) error {
	x.parts--
	x.text -= text
	if x.parts < 0 || x.text < 0 {
		return errTooMuch
	}
	return nil
}

// The tokens; 0x40 is a flag on some that says that more follows.
const (
	tokenEnd        = 0x00
	tokenOpen       = 0x01
	tokenCloseStart = 0x02
	tokenCloseEmpty = 0x03
	tokenClose      = 0x04
	tokenText       = 0x05
	tokenAttribute  = 0x06
	tokenCDATA      = 0x07
	tokenCharRef    = 0x08
	tokenEntity     = 0x09
	tokenPITarget   = 0x0a
	tokenPIData     = 0x0b
	tokenTemplate   = 0x0c
	tokenValue      = 0x0d
	tokenOptional   = 0x0e
	tokenFragment   = 0x0f
	tokenMore       = 0x40
)

// fragment reads one element with the header before it.
func (x *chunkXML) fragment(c *cursor, depth int) (*element, error) {
	if depth > maxXMLDepth {
		return nil, errTooMuch
	}
	tok := c.u8()
	if tok == tokenFragment {
		c.skip(3)
		tok = c.u8()
	}
	switch tok &^ tokenMore {
	case tokenTemplate:
		return x.instance(c, depth+1)
	case tokenOpen:
		n, err := x.node(c, tok, false, depth+1)
		if err != nil {
			return nil, err
		}
		return x.one(n, nil, depth+1)
	}
	if c.bad {
		return nil, errCut
	}
	return nil, fmt.Errorf("token 0x%02x at 0x%x where an element begins", tok, c.pos-1)
}

// node reads an element after its opening token.
func (x *chunkXML) node(c *cursor, tok byte, template bool, depth int) (*node, error) {
	if depth > maxXMLDepth {
		return nil, errTooMuch
	}
	n := &node{needs: -1}
	if template {
		if id := c.u16(); id != 0xffff {
			n.needs = int(id)
		}
	}
	c.skip(4) // the element's length: its tokens tell where it ends
	var err error
	if n.name, err = x.name(c); err != nil {
		return nil, err
	}
	var next byte
	if tok&tokenMore != 0 {
		c.skip(4) // length of the attributes
		next = c.u8()
		for next&^tokenMore == tokenAttribute {
			var a nodeAttr
			if a.name, err = x.name(c); err != nil {
				return nil, err
			}
			if a.parts, next, err = x.content(c, template, depth); err != nil {
				return nil, err
			}
			n.attrs = append(n.attrs, a)
		}
	} else {
		next = c.u8()
	}
	switch {
	case c.bad:
		return nil, errCut
	case next == tokenCloseEmpty:
		return n, nil
	case next != tokenCloseStart:
		return nil, fmt.Errorf("token 0x%02x at 0x%x in the start of <%s>", next, c.pos-1, n.name)
	}
	if n.parts, next, err = x.content(c, template, depth); err != nil {
		return nil, err
	}
	if next != tokenClose {
		return nil, fmt.Errorf("token 0x%02x at 0x%x in <%s>", next, c.pos-1, n.name)
	}
	return n, nil
}

// content reads parts up to the first token that is none, and gives that token.
func (x *chunkXML) content(c *cursor, template bool, depth int) ([]part, byte, error) {
	var parts []part
	for {
		if err := x.spend(0); err != nil {
			return nil, 0, err
		}
		tok := c.u8()
		if c.bad {
			return nil, 0, errCut
		}
		p := part{value: -1}
		switch tok &^ tokenMore {
		case tokenText:
			c.skip(1) // always a string
			p.text = c.utf16(int(c.u16()))
		case tokenCDATA:
			p.text = c.utf16(int(c.u16()))
		case tokenCharRef:
			p.text = string(rune(c.u16()))
		case tokenEntity:
			name, err := x.name(c)
			if err != nil {
				return nil, 0, err
			}
			p.text = entity(name)
		case tokenPITarget:
			if _, err := x.name(c); err != nil {
				return nil, 0, err
			}
			continue
		case tokenPIData:
			c.skip(2 * int(c.u16()))
			continue
		case tokenValue, tokenOptional:
			p.value = int(c.u16())
			p.optional = tok&^tokenMore == tokenOptional
			c.skip(1) // the type that the value itself has too
		case tokenOpen:
			n, err := x.node(c, tok, template, depth+1)
			if err != nil {
				return nil, 0, err
			}
			p.child = n
		case tokenTemplate:
			e, err := x.instance(c, depth+1)
			if err != nil {
				return nil, 0, err
			}
			p.done = e
		default:
			return parts, tok, nil
		}
		if c.bad {
			return nil, 0, errCut
		}
		parts = append(parts, p)
	}
}

func entity(name string) string {
	switch name {
	case "amp":
		return "&"
	case "lt":
		return "<"
	case "gt":
		return ">"
	case "quot":
		return `"`
	case "apos":
		return "'"
	}
	return "&" + name + ";"
}

// name reads the offset of a name and the name itself, which follows where it
// is used for the first time.
func (x *chunkXML) name(c *cursor) (string, error) {
	at := int(c.u32())
	if c.bad {
		return "", errCut
	}
	if s, ok := x.names[at]; ok && at != c.pos {
		return s, nil
	}
	n := &cursor{b: x.buf, pos: at, end: len(x.buf)}
	inline := at == c.pos
	if inline {
		n = c
	}
	n.skip(6) // the next name of the hash chain, and the hash
	chars := int(n.u16())
	if chars > maxXMLName {
		return "", fmt.Errorf("a name of %d characters, at 0x%x", chars, at)
	}
	s := n.utf16(chars)
	n.skip(2)
	if n.bad {
		return "", fmt.Errorf("a name is outside the chunk, at 0x%x", at)
	}
	x.names[at] = s
	return s, nil
}

// instance reads a template's instance after its token: which template, then
// the values. The definition follows where it is used for the first time.
func (x *chunkXML) instance(c *cursor, depth int) (*element, error) {
	if depth > maxXMLDepth {
		return nil, errTooMuch
	}
	c.skip(5) // a version and the template's short name
	at := int(c.u32())
	if c.bad {
		return nil, errCut
	}
	t, err := x.template(at, depth)
	if err != nil {
		return nil, fmt.Errorf("template at 0x%x: %w", at, err)
	}
	if at == c.pos {
		c.skip(20)
		c.skip(int(c.u32()))
	}
	vals, err := values(c)
	if err != nil {
		return nil, err
	}
	return x.one(t, vals, depth)
}

const templateHeader = 24

func (x *chunkXML) template(at, depth int) (*node, error) {
	if t, ok := x.templates[at]; ok {
		if t == nil {
			return nil, errors.New("its definition cannot be read")
		}
		return t, nil
	}
	x.templates[at] = nil // also ends a template that is part of itself
	c := &cursor{b: x.buf, pos: at, end: len(x.buf)}
	c.skip(20)
	size := int(c.u32())
	if c.bad || size > len(x.buf)-c.pos {
		return nil, errors.New("it is outside the chunk")
	}
	c.end = c.pos + size
	tok := c.u8()
	if tok == tokenFragment {
		c.skip(3)
		tok = c.u8()
	}
	if tok&^tokenMore != tokenOpen {
		return nil, fmt.Errorf("token 0x%02x where its element begins", tok)
	}
	before := x.parts
	n, err := x.node(c, tok, true, depth+1)
	if err != nil {
		return nil, err
	}
	if x.kept += before - x.parts; x.kept > maxTemplateParts {
		return nil, errTooMuch
	}
	x.templates[at] = n
	return n, nil
}

func values(c *cursor) ([]value, error) {
	n := int(c.u32())
	if c.bad || n > maxXMLValues || n*4 > c.end-c.pos {
		return nil, fmt.Errorf("%d values are announced, more than there is room for", n)
	}
	vals := make([]value, n)
	sizes := c.pos
	c.skip(4 * n)
	for i := range vals {
		d := c.b[sizes+4*i:]
		vals[i].kind, vals[i].at = d[2], c.pos
		vals[i].data = c.bytes(int(binary.LittleEndian.Uint16(d)))
	}
	if c.bad {
		return nil, errors.New("the values are longer than the record")
	}
	return vals, nil
}

// one expands a node that must give exactly one element.
func (x *chunkXML) one(n *node, vals []value, depth int) (*element, error) {
	out, err := x.expand(nil, n, vals, depth)
	if err != nil {
		return nil, err
	}
	if len(out) != 1 {
		return nil, fmt.Errorf("<%s> expands to %d elements", n.name, len(out))
	}
	return out[0], nil
}

// expand appends what a node is with its values: nothing where the value that
// it needs is not there, and one element for each item of a list.
func (x *chunkXML) expand(out []*element, n *node, vals []value, depth int) ([]*element, error) {
	if depth > maxXMLDepth {
		return nil, errTooMuch
	}
	if n.needs >= 0 && (n.needs >= len(vals) || vals[n.needs].kind == kindNull) {
		return out, nil
	}
	if err := x.spend(0); err != nil {
		return nil, err
	}
	e := &element{name: n.name}
	for _, a := range n.attrs {
		text, there, err := x.attribute(a.parts, vals)
		if err != nil {
			return nil, err
		}
		if there {
			e.attrs = append(e.attrs, attribute{a.name, text})
		}
	}
	if len(n.parts) == 1 && n.parts[0].value >= 0 && n.parts[0].value < len(vals) {
		if v := vals[n.parts[0].value]; v.kind&kindList != 0 {
			items := v.items()
			for _, item := range items {
				s := item.String()
				if err := x.spend(len(s)); err != nil {
					return nil, err
				}
				out = append(out, &element{name: n.name, attrs: e.attrs, text: s})
			}
			if len(items) > 0 {
				return out, nil
			}
		}
	}
	var text strings.Builder
	for _, p := range n.parts {
		s := p.text
		switch {
		case p.done != nil:
			e.kids = append(e.kids, p.done)
		case p.child != nil:
			var err error
			if e.kids, err = x.expand(e.kids, p.child, vals, depth+1); err != nil {
				return nil, err
			}
		case p.value >= 0 && p.value < len(vals):
			v := vals[p.value]
			if v.kind == kindXML {
				kid, err := x.nested(v, depth)
				if err != nil {
					return nil, err
				}
				if kid != nil {
					e.kids = append(e.kids, kid)
				}
				continue
			}
			s = v.String()
		}
		if err := x.spend(len(s)); err != nil {
			return nil, err
		}
		text.WriteString(s)
	}
	e.text = text.String()
	return append(out, e), nil
}

// nested reads a value that is binary XML itself, such as the EventData of an
// event whose template has only the System part.
func (x *chunkXML) nested(v value, depth int) (*element, error) {
	if len(v.data) == 0 {
		return nil, nil
	}
	return x.fragment(&cursor{b: x.buf, pos: v.at, end: v.at + len(v.data)}, depth+1)
}

func (x *chunkXML) attribute(parts []part, vals []value) (text string, there bool, err error) {
	for _, p := range parts {
		s := p.text
		if p.value >= 0 {
			if p.value >= len(vals) || p.optional && vals[p.value].kind == kindNull {
				continue
			}
			s = vals[p.value].String()
		}
		if err := x.spend(len(s)); err != nil {
			return "", false, err
		}
		text, there = text+s, true
	}
	return text, there, nil
}

var errCut = errors.New("it ends in the middle")

// cursor reads little-endian values; past the end it gives zeros and says so.
type cursor struct {
	b        []byte
	pos, end int
	bad      bool
}

func (c *cursor) bytes(n int) []byte {
	if c.bad || n < 0 || c.pos < 0 || c.end > len(c.b) || n > c.end-c.pos {
		c.bad = true
		return nil
	}
	b := c.b[c.pos : c.pos+n]
	c.pos += n
	return b
}

func (c *cursor) skip(n int) { c.bytes(n) }

func (c *cursor) u8() byte {
	if b := c.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) utf16(chars int) string { return fromUTF16(c.bytes(2 * chars)) }

// fromUTF16 reads little-endian UTF-16, without the zeros at its end.
func fromUTF16(b []byte) string {
	for len(b) >= 2 && b[len(b)-1] == 0 && b[len(b)-2] == 0 && len(b)%2 == 0 {
		b = b[:len(b)-2]
	}
	plain := true
	for i := 0; i+1 < len(b); i += 2 {
		if b[i+1] != 0 || b[i] >= 0x80 {
			plain = false
			break
		}
	}
	if plain {
		out := make([]byte, len(b)/2)
		for i := range out {
			out[i] = b[2*i]
		}
		return string(out)
	}
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}
