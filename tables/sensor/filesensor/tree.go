package filesensor

import (
	"path/filepath"
	"strings"
)

// seen is what is remembered of a file, enough to tell that it changed.
type seen struct {
	inode uint64
	mtime int64 // nanoseconds
	size  int64
}

// node is a folder in the record of what the watched folders hold. A path is
// not kept but put together from the names up to the top, so that moving a
// folder costs the same however much it holds: who moves big folders back and
// forth must not be able to keep the sensor busy.
type node struct {
	parent *node
	name   string // of a top: its whole path
	key    string // the kernel's handle, where known
	files  map[string]seen
	dirs   map[string]*node
}

// path is the folder's path now.
func (n *node) path() string { return n.join(nil) }

// join is the path of a name in the folder; "" and "." are the folder itself.
func (n *node) join(name []byte) string {
	if len(name) == 1 && name[0] == '.' {
		name = nil
	}
	size := 0
	top := n
	for ; top.parent != nil; top = top.parent {
		size += 1 + len(top.name)
	}
	base := top.name
	if base == "/" {
		base = ""
	}
	if len(name) > 0 {
		size += 1 + len(name)
	}
	if size == 0 {
		return top.name
	}
	buf := make([]byte, len(base)+size)
	end := len(buf)
	if len(name) > 0 {
		end -= copy(buf[end-len(name):], name) + 1
		buf[end] = '/'
	}
	for m := n; m.parent != nil; m = m.parent {
		end -= copy(buf[end-len(m.name):], m.name) + 1
		buf[end] = '/'
	}
	copy(buf, base)
	return string(buf)
}

// maxNodes bounds the folders that are remembered.
const maxNodes = 200_000

// snapshot remembers what the watched folders held, so that what happened
// while the kernel dropped events can be told afterwards.
type snapshot struct {
	max   int
	count int // files and folders remembered
	nodes int
	tops  map[string]*node
	full  bool // some did not fit
	// forget, if set, is called with the handle of each folder forgotten.
	forget func(n *node)
}

func newSnapshot(max int) *snapshot { return &snapshot{max: max, tops: map[string]*node{}} }

// addTop makes a folder the beginning of a tree of its own.
func (s *snapshot) addTop(path string) {
	if s.tops[path] != nil {
		return
	}
	n := s.node(path, false)
	if n == nil {
		n = &node{}
		s.nodes++
	} else {
		delete(n.parent.dirs, n.name)
	}
	n.parent, n.name = nil, path
	s.tops[path] = n
}

// node is a folder by its path; nil if it is not remembered, nor to be made.
func (s *snapshot) node(path string, create bool) *node {
	var top *node
	for t, n := range s.tops {
		if below(path, t) && (top == nil || len(t) > len(top.name)) {
			top = n
		}
	}
	if top == nil {
		if !create || s.nodes >= maxNodes {
			return nil
		}
		s.nodes++
		top = &node{name: path}
		s.tops[path] = top
		return top
	}
	n := top
	rest := strings.Trim(path[len(top.name):], "/")
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		next := n.dirs[name]
		if next == nil {
			if !create {
				return nil
			}
			if next = s.child(n, name); next == nil {
				return nil
			}
		}
		n = next
	}
	return n
}

// child makes a folder in a folder, in place of one that is there.
func (s *snapshot) child(n *node, name string) *node {
	if s.nodes >= maxNodes {
		s.full = true
		return nil
	}
	s.nodes++
	name = strings.Clone(name)
	c := &node{parent: n, name: name}
	if n.dirs == nil {
		n.dirs = map[string]*node{}
	}
	n.dirs[name] = c
	return c
}

func (s *snapshot) get(path string) (seen, bool) {
	n := s.node(filepath.Dir(path), false)
	if n == nil {
		return seen{}, false
	}
	v, ok := n.files[filepath.Base(path)]
	return v, ok
}

func (s *snapshot) put(path string, v seen) {
	n := s.node(filepath.Dir(path), true)
	if n == nil {
		s.full = true
		return
	}
	name := filepath.Base(path)
	if _, ok := n.files[name]; !ok {
		if s.count >= s.max {
			s.full = true
			return
		}
		s.count++
		if n.files == nil {
			n.files = map[string]seen{}
		}
		name = strings.Clone(name)
	}
	n.files[name] = v
}

// remove forgets one name. If it is a folder's, what it holds stays until
// removeTree.
func (s *snapshot) remove(path string) {
	n := s.node(filepath.Dir(path), false)
	if n == nil {
		return
	}
	name := filepath.Base(path)
	if _, ok := n.files[name]; ok {
		delete(n.files, name)
		s.count--
	}
}

// removeTree forgets a name, and if it is a folder's all that it held.
func (s *snapshot) removeTree(path string) {
	s.remove(path)
	for t, n := range s.tops {
		if below(t, path) {
			s.drop(n)
			delete(s.tops, t)
		}
	}
	if n := s.node(path, false); n != nil {
		s.detach(n)
	}
}

// detach takes a folder out with all that it holds.
func (s *snapshot) detach(n *node) {
	if n.parent != nil && n.parent.dirs[n.name] == n {
		delete(n.parent.dirs, n.name)
	}
	s.drop(n)
}

// drop gives back what a folder and those in it count for.
func (s *snapshot) drop(n *node) {
	todo := []*node{n}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		s.count -= len(n.files)
		s.nodes--
		if s.forget != nil {
			s.forget(n)
		}
		for _, d := range n.dirs {
			todo = append(todo, d)
		}
		n.files, n.dirs = nil, nil
	}
}

// moveTree remembers a moved folder, with what it holds, under its new path.
func (s *snapshot) moveTree(from, to string) {
	if v, ok := s.get(from); ok {
		s.remove(from)
		s.put(to, v)
	}
	n := s.node(from, false)
	if n == nil || n.parent == nil {
		return
	}
	parent := s.node(filepath.Dir(to), true)
	for up := parent; up != nil; up = up.parent {
		if up == n { // into itself, as the kernel never does
			parent = nil
			break
		}
	}
	if parent == nil {
		s.detach(n)
		return
	}
	name := filepath.Base(to)
	if old := parent.dirs[name]; old != nil && old != n {
		s.detach(old)
	}
	delete(n.parent.dirs, n.name)
	n.parent, n.name = parent, strings.Clone(name)
	if parent.dirs == nil {
		parent.dirs = map[string]*node{}
	}
	parent.dirs[n.name] = n
}

// each visits every remembered name.
func (s *snapshot) each(visit func(n *node, name string)) {
	var todo []*node
	for _, t := range s.tops {
		todo = append(todo, t)
	}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for name := range n.files {
			visit(n, name)
		}
		for _, d := range n.dirs {
			todo = append(todo, d)
		}
	}
}
