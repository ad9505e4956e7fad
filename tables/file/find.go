package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"strings"
	"syscall"

	"github.com/aiedr/edr/tables"
)

// location is a file that a query asks for, in the words of the query: SQLite
// compares path and directory with them again.
type location struct{ path, directory string }

// maxDepth is how many folders deep a recursive pattern goes.
const maxDepth = 64

// find yields the files that the constraints on path and directory ask for.
func find(ctx context.Context, q *tables.Query) iter.Seq2[location, error] {
	return func(yield func(location, error) bool) {
		w := &walk{ctx: ctx, q: q}
		file := func(p string) bool { return yield(location{p, path.Dir(strings.TrimRight(p, "/"))}, nil) }
		folder := func(dir string) bool {
			for _, e := range w.list(dir) {
				if !yield(location{path.Join(dir, e.Name()), dir}, nil) {
					return false
				}
			}
			return true
		}
		for _, c := range []struct {
			column string
			each   func(string) bool
		}{{"path", file}, {"directory", folder}} {
			if exact, ok := q.Strings(c.column); ok {
				for _, p := range exact {
					if strings.HasPrefix(p, "/") && !c.each(p) {
						return
					}
				}
				return
			}
			pats, ok := patterns(q, c.column)
			if !ok {
				continue
			}
			for _, p := range pats {
				if !w.expand(p, c.column == "directory", c.each) {
					break
				}
			}
			if w.err != nil {
				yield(location{}, w.err)
			}
			return
		}
	}
}

// patterns are the LIKE or GLOB patterns of a column, rewritten to one form:
// "*" and "?" within a name, "**" for everything below.
func patterns(q *tables.Query, column string) ([]string, bool) {
	if likes, ok := q.Likes(column); ok {
		for i, p := range likes {
			// A "*" or "[" of the name itself becomes "?", which finds it and
			// more: SQLite compares again.
			p = strings.NewReplacer("*", "?", "[", "?", "\\", "?").Replace(p)
			likes[i] = strings.NewReplacer("%", "*", "_", "?").Replace(p)
		}
		return likes, true
	}
	for _, c := range q.Constraints {
		if c.Column == column && c.Op == tables.Glob && len(c.Values) == 1 {
			p, _ := c.Values[0].(string)
			return []string{p}, true
		}
	}
	return nil, false
}

// walk goes through folders.
type walk struct {
	ctx context.Context
	q   *tables.Query
	err error // the context's
}

func (w *walk) list(dir string) []fs.DirEntry {
	if w.err = w.ctx.Err(); w.err != nil {
		return nil
	}
	entries, err := w.q.Host.Root.ReadDir(dir)
	if err != nil {
		lack(w.q, err)
	}
	return entries
}

// lack warns of what could not be read. A name that does not exist is an
// answer: there is no such file. So is one that would lie in a file.
func lack(q *tables.Query, err error) {
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		q.Warn(err)
	}
}

// expand calls f for each path that matches a pattern; for directories only
// folders. It returns false when f does.
func (w *walk) expand(pattern string, dirs bool, f func(string) bool) bool {
	if !strings.HasPrefix(pattern, "/") {
		w.q.Warn(fmt.Errorf("the pattern %q is not absolute and matches nothing", pattern))
		return true
	}
	end := ""
	if dirs && len(pattern) > 1 && strings.HasSuffix(pattern, "/") {
		end = "/" // the column is then as asked for
	}
	parts := strings.Split(strings.Trim(pattern, "/"), "/")
	return w.match("/", parts, dirs, func(p string) bool { return f(p + end) })
}

func (w *walk) match(dir string, parts []string, dirs bool, f func(string) bool) bool {
	part, rest := parts[0], parts[1:]
	deep := len(rest) == 0 && strings.HasSuffix(part, "**")
	if !strings.ContainsAny(part, "*?[") {
		at := path.Join(dir, part)
		if len(rest) > 0 {
			return w.match(at, rest, dirs, f)
		}
		if _, err := w.q.Host.Root.Lstat(at); err != nil {
			lack(w.q, err)
			return true
		}
		return f(at)
	}
	for _, e := range w.list(dir) {
		ok, err := path.Match(part, e.Name())
		if err != nil {
			w.q.Warn(fmt.Errorf("the pattern %q is malformed: %w", part, err))
			return true
		}
		if !ok {
			continue
		}
		at := path.Join(dir, e.Name())
		folder := e.IsDir() || e.Type()&fs.ModeSymlink != 0
		switch {
		case len(rest) > 0:
			if folder && !w.match(at, rest, dirs, f) {
				return false
			}
		case dirs && !e.IsDir():
		case !f(at):
			return false
		}
		if deep && e.IsDir() && !w.below(at, 1, dirs, f) {
			return false
		}
		if w.err != nil {
			return false
		}
	}
	return w.err == nil
}

// below calls f for everything below a folder, and follows no link.
func (w *walk) below(dir string, depth int, dirs bool, f func(string) bool) bool {
	if w.q.Host.Root.Live() && (dir == "/proc" || dir == "/sys") {
		w.q.Warn(fmt.Errorf("%s is left out of the recursion: name it in the pattern to walk it", dir))
		return true
	}
	if depth > maxDepth {
		w.q.Warn(fmt.Errorf("%s and what is below it are left out: deeper than %d folders", dir, maxDepth))
		return true
	}
	for _, e := range w.list(dir) {
		at := path.Join(dir, e.Name())
		if (!dirs || e.IsDir()) && !f(at) {
			return false
		}
		if e.IsDir() && !w.below(at, depth+1, dirs, f) {
			return false
		}
	}
	return w.err == nil
}
