package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// yamlLine finds the line in the library's message; its errors have no field for it.
var yamlLine = regexp.MustCompile(`line (\d+): `)

func parseYAML(name string, text []byte) (roots []*Node, problem *Problem) {
	defer func() { // the library's own panics, should one get out
		if p := recover(); p != nil {
			roots, problem = nil, &Problem{File: name, Msg: fmt.Sprintf("the YAML cannot be read: %v", p), Next: "write it as JSON"}
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(text))
	c := &yamlReader{name: name}
	for {
		var y yaml.Node
		err := dec.Decode(&y)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			p := &Problem{File: name, Msg: "the YAML cannot be read: " + strings.TrimPrefix(err.Error(), "yaml: "), Next: "check indentation and quotes"}
			if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
				p.Line, _ = strconv.Atoi(m[1])
				p.Msg = strings.Replace(p.Msg, m[0], "", 1)
			}
			return nil, p
		}
		n, p := c.node(&y, 0)
		if p != nil {
			return nil, p
		}
		if n.Kind != Null {
			roots = append(roots, n)
		}
	}
	if len(roots) == 0 {
		return nil, &Problem{File: name, Line: 1, Msg: "the file is empty", Next: "remove it or fill it"}
	}
	return roots, nil
}

type yamlReader struct {
	name  string
	nodes int
	keys  keys
}

func (c *yamlReader) node(y *yaml.Node, depth int) (*Node, *Problem) {
	fail := func(msg, next string) (*Node, *Problem) {
		return nil, &Problem{File: c.name, Line: y.Line, Column: y.Column, Msg: msg, Next: next}
	}
	if c.nodes++; c.nodes > maxNodes {
		return fail("the file has too many values", "split it")
	}
	if depth > maxDepth {
		return fail("the file is nested too deeply", "flatten it")
	}
	n := &Node{Line: y.Line, Column: y.Column}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 0 {
			return n, nil
		}
		return c.node(y.Content[0], depth)
	case yaml.AliasNode:
		return fail("YAML aliases (*name) are not read here", "write the value out")
	case yaml.ScalarNode:
		n.Text = y.Value
		n.block = y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0
		if y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			n.quote = 1
		}
		switch y.Tag {
		case "!!null":
			n.Kind = Null
		case "!!bool":
			n.Kind, n.Text = Bool, strings.ToLower(y.Value)
			if n.Text != "true" && n.Text != "false" {
				n.Text = strconv.FormatBool(n.Text == "yes" || n.Text == "on" || n.Text == "y")
			}
		case "!!int", "!!float":
			n.Kind = Number
		default:
			n.Kind = String
		}
		return n, nil
	case yaml.SequenceNode:
		n.Kind = List
		for _, item := range y.Content {
			v, p := c.node(item, depth+1)
			if p != nil {
				return nil, p
			}
			n.Items = append(n.Items, v)
		}
		return n, nil
	case yaml.MappingNode:
		n.Kind = Map
		for i := 0; i+1 < len(y.Content); i += 2 {
			k, p := c.node(y.Content[i], depth+1)
			if p != nil {
				return nil, p
			}
			if k.Kind == List || k.Kind == Map || y.Content[i].Tag == "!!merge" {
				return nil, &Problem{File: c.name, Line: k.Line, Column: k.Column, Msg: "this key is no plain text", Next: "write name: value"}
			}
			v, p := c.node(y.Content[i+1], depth+1)
			if p != nil {
				return nil, p
			}
			n.add(k, v, &c.keys)
		}
		return n, nil
	}
	return n, nil
}
