package filesensor

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestTreeAgainstModel compares the tree with a plain map of paths.
func TestTreeAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for round := range 20 {
		s := newSnapshot(1 << 20)
		s.addTop("/w")
		s.addTop("/v/top")
		model := map[string]seen{}
		path := func() string {
			p := []string{"/w", "/v/top"}[r.IntN(2)]
			for range 1 + r.IntN(4) {
				p += fmt.Sprint("/", r.IntN(3))
			}
			return p
		}
		for step := range 400 {
			p := path()
			switch r.IntN(8) {
			case 0:
				s.remove(p)
				delete(model, p)
			case 1:
				s.removeTree(p)
				maps.DeleteFunc(model, func(q string, _ seen) bool { return below(q, p) })
			case 2, 3:
				to := path()
				if below(to, p) || below(p, to) {
					continue
				}
				// The kernel moves onto nothing, or onto what is empty.
				s.removeTree(to)
				maps.DeleteFunc(model, func(q string, _ seen) bool { return below(q, to) })
				s.moveTree(p, to)
				moved := map[string]seen{}
				for q, v := range model {
					if below(q, p) {
						moved[to+q[len(p):]] = v
						delete(model, q)
					}
				}
				maps.Copy(model, moved)
			default:
				v := seen{inode: uint64(step)}
				s.put(p, v)
				model[p] = v
			}
			got := map[string]seen{}
			s.each(func(n *node, name string) { got[n.join([]byte(name))] = n.files[name] })
			if !maps.Equal(got, model) || s.count != len(model) {
				t.Fatalf("round %d step %d at %s: tree has %d (%d counted), model %d", round, step, p, len(got), s.count, len(model))
			}
		}
		for _, top := range []string{"/w", "/v/top"} {
			s.removeTree(top)
		}
		if s.count != 0 || s.nodes != 0 {
			t.Fatalf("round %d: %d files and %d folders are left", round, s.count, s.nodes)
		}
	}
}

func TestNodePath(t *testing.T) {
	s := newSnapshot(10)
	for top, want := range map[string]string{"/": "/a/b/c", "/x y": "/x y/a/b/c"} {
		s.addTop(top)
		n := s.node(strings.TrimSuffix(top, "/")+"/a/b", true)
		if got := n.join([]byte("c")); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := n.join([]byte(".")); got != strings.TrimSuffix(want, "/c") {
			t.Errorf("%q", got)
		}
		if got := s.tops[top].path(); got != top {
			t.Errorf("%q, want %q", got, top)
		}
	}
}
