package document

import (
	"fmt"
	"strconv"
	"strings"
)

// Reader takes the fields of one object, and notes what is wrong and which
// fields nobody asked for.
type Reader struct {
	File     string
	Node     *Node
	Problems []Problem

	asked map[string]bool
}

// NewReader reads the object n of a file.
func NewReader(file string, n *Node) *Reader {
	r := &Reader{File: file, Node: n, asked: map[string]bool{}}
	for _, k := range n.Twice {
		r.Fail(k, fmt.Sprintf("%q is there twice", k.Text), "keep one of the two")
	}
	return r
}

// Fail notes a problem at a node.
func (r *Reader) Fail(n *Node, msg, next string) {
	p := Problem{File: r.File, Msg: msg, Next: next}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	r.Problems = append(r.Problems, p)
}

// Get is the value of a field, nil if absent or null.
func (r *Reader) Get(key string) *Node {
	r.asked[key] = true
	n := r.Node.Get(key)
	if n == nil || n.Kind == Null {
		return nil
	}
	return n
}

// Warn notes something at a node that does not stop the content.
func (r *Reader) Warn(n *Node, msg, next string) {
	r.Fail(n, msg, next)
	r.Problems[len(r.Problems)-1].Warning = true
}

// Failed says whether any problem but warnings was noted.
func (r *Reader) Failed() bool { return Failed(r.Problems) }

// Failed says whether any of the problems is more than a warning.
func Failed(problems []Problem) bool {
	for _, p := range problems {
		if !p.Warning {
			return true
		}
	}
	return false
}

func (r *Reader) mismatch(key string, n *Node, want string) {
	r.Fail(n, fmt.Sprintf("%q must be %s and is %s", key, want, n.Kind), "correct the value")
}

// Text is a text; a number or boolean is taken as written.
func (r *Reader) Text(key string) string {
	n := r.Get(key)
	if n == nil {
		return ""
	}
	if n.Kind == List || n.Kind == Map {
		r.mismatch(key, n, "a text")
		return ""
	}
	return n.Text
}

// Texts is a list of texts; a single one is a list of one.
func (r *Reader) Texts(key string) []string {
	var out []string
	for _, n := range r.Nodes(key) {
		out = append(out, n.Text)
	}
	return out
}

// Nodes is as Texts, with places.
func (r *Reader) Nodes(key string) []*Node {
	n := r.Get(key)
	if n == nil {
		return nil
	}
	items := []*Node{n}
	if n.Kind == List {
		items = n.Items
	}
	for _, i := range items {
		if i.Kind != String && i.Kind != Number {
			r.mismatch(key, i, "a text or a list of texts")
			return nil
		}
	}
	return items
}

// Bool is true or false, also as the texts "true" and "false" or as 1 and 0.
func (r *Reader) Bool(key string, absent bool) bool {
	n := r.Get(key)
	if n == nil {
		return absent
	}
	if n.Kind == Bool || n.Kind == String || n.Kind == Number {
		if b, err := strconv.ParseBool(strings.ToLower(n.Text)); err == nil {
			return b
		}
	}
	r.mismatch(key, n, "true or false")
	return absent
}

// Int is a whole number, also as a text, as osquery takes it.
func (r *Reader) Int(key string, absent int64) int64 {
	n := r.Get(key)
	if n == nil {
		return absent
	}
	if n.Kind == Number || n.Kind == String {
		if v, err := strconv.ParseInt(strings.TrimSpace(n.Text), 10, 64); err == nil {
			return v
		}
	}
	r.Fail(n, fmt.Sprintf("%q must be a whole number and is %q", key, n.Text), "write digits only")
	return absent
}

// Unknown are the keys that nobody asked for.
func (r *Reader) Unknown() []*Node {
	var out []*Node
	for _, k := range r.Node.Keys {
		if !r.asked[k.Text] {
			out = append(out, k)
		}
	}
	return out
}

// Nearest is the candidate most like a misspelt name, or "" if none is near.
func Nearest(name string, candidates []string) string {
	best, dist := "", 1+len(name)/3
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d <= dist && (best == "" || d < dist) {
			best, dist = c, d
		}
	}
	return best
}

// distance is how many letters must be added, dropped, changed or swapped.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var d [66][66]int
	for i := 0; i <= len(a); i++ {
		d[i][0] = i
	}
	for j := 0; j <= len(b); j++ {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
