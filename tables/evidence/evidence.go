// Package evidence has the tables of Windows artefacts, which read the live
// machine on Windows and evidence files on any system, and the readers of
// those files: event logs (EVTX) and registry hives.
//
// A statement names evidence by the column of that name:
//
//	SELECT * FROM windows_events WHERE evidence = '/cases/7/Security.evtx'
//
// A folder stands for the files of the table's kind below it, which their
// first bytes tell, whatever they are called. Evidence is hostile: readers hold
// a bounded part of a file in memory, yield what can be read of a damaged one,
// and say what cannot.
package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/aiedr/edr/tables"
)

// unread answers for a table without evidence: on a machine that cannot have
// the table that it is not supported; otherwise that it is not built yet. Never
// no rows, which would read as "nothing there".
func unread(q *tables.Query, table string) error {
	if runtime.GOOS == "windows" && q.Host.Root.Live() {
		return fmt.Errorf("%w: %s cannot read the live machine in this version", tables.ErrNotBuilt, table)
	}
	return fmt.Errorf("%w: %s needs Windows, or evidence = 'FILE or FOLDER' in the WHERE clause", tables.ErrNotSupported, table)
}

// kind is what evidence of one table is like.
type kind struct {
	what   string // for messages, such as "EVTX file"
	magic  string
	suffix []string // of names that promise it, in lower case
}

// source is one file that a statement named.
type source struct {
	asked string // the text of the constraint, which the row's column repeats
	path  string
	file  fs.File
	r     io.ReaderAt
	size  int64
	named bool // itself, not by its folder
}

// sources opens the files of a kind that the query names, one after another.
// What is wrong with the only thing named is an error; what is wrong with one
// of several is a warning, and the others are read.
func sources(ctx context.Context, q *tables.Query, k kind) iter.Seq2[source, error] {
	return func(yield func(source, error) bool) {
		asked, _ := q.Strings("evidence")
		slices.Sort(asked)
		asked = slices.Compact(asked)
		for _, name := range asked {
			fail := func(err error) bool {
				if len(asked) == 1 {
					yield(source{}, err)
					return false
				}
				q.Warn(err)
				return true
			}
			at, err := rootName(name)
			if err != nil {
				if !fail(err) {
					return
				}
				continue
			}
			found, failed := 0, false
			folder := false
			for p, err := range tables.WalkFiles(ctx, q.Host.Root, at, q.Warn) {
				if err == nil && ctx.Err() != nil {
					err = ctx.Err()
				}
				if err != nil {
					failed = true
					if !fail(fmt.Errorf("read evidence: %w", err)) {
						return
					}
					break
				}
				named := p == path.Clean(at)
				folder = folder || !named
				s, err := open(q.Host.Root, p)
				if err != nil {
					if named && !fail(err) {
						return
					} else if !named {
						q.Warn(err)
					}
					continue
				}
				s.asked, s.named = name, named
				if !named && !k.is(s) {
					s.file.Close()
					continue
				}
				found++
				more := yield(s, nil)
				s.file.Close()
				if !more {
					return
				}
			}
			if found == 0 && folder && !failed {
				q.Warn(fmt.Errorf("%s has no %s", name, k.what))
			}
		}
	}
}

// rootName is a name of evidence as a Root spells it.
func rootName(name string) (string, error) {
	if runtime.GOOS == "windows" {
		name = strings.ReplaceAll(name, `\`, "/")
		if len(name) > 2 && name[1] == ':' {
			name = name[2:]
		}
	}
	if !strings.HasPrefix(name, "/") || strings.HasPrefix(name, "//") {
		return "", fmt.Errorf("read evidence: %q is no absolute path on this machine; write evidence = '/FOLDER/FILE'", name)
	}
	return name, nil
}

func open(root tables.Root, name string) (source, error) {
	f, err := root.Open(name)
	if err != nil {
		return source{}, fmt.Errorf("read evidence: %w", err)
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return source{}, fmt.Errorf("read evidence: %w", err)
	}
	r, ok := f.(io.ReaderAt)
	if !ok {
		f.Close()
		return source{}, fmt.Errorf("read evidence: %s: it cannot be read out of order", name)
	}
	return source{path: name, file: f, r: r, size: fi.Size()}, nil
}

// is says whether a file of a folder is of the kind, or promises to be.
func (k kind) is(s source) bool {
	magic := make([]byte, len(k.magic))
	if n, _ := s.r.ReadAt(magic, 0); n == len(magic) && string(magic) == k.magic {
		return true
	}
	low := strings.ToLower(path.Base(s.path))
	return slices.ContainsFunc(k.suffix, func(suffix string) bool { return strings.HasSuffix(low, suffix) })
}

// scanSources runs read over each source and turns what it says about a file
// into errors and warnings that name the file.
func scanSources[Row any](ctx context.Context, q *tables.Query, k kind,
	read func(s source, warn func(error), yield func(Row) bool) error) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var none Row
		asked, _ := q.Strings("evidence")
		for s, err := range sources(ctx, q, k) {
			if err != nil {
				yield(none, err)
				return
			}
			stopped := false
			err := read(s, func(err error) { q.Warn(fmt.Errorf("%s: %w", s.path, err)) }, func(row Row) bool {
				stopped = !yield(row, nil)
				return !stopped
			})
			switch {
			case stopped:
				return
			case err == nil:
			case s.named && len(asked) == 1 || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
				yield(none, fmt.Errorf("%s: %w", s.path, err))
				return
			default:
				q.Warn(fmt.Errorf("%s: %w", s.path, err))
			}
		}
	}
}

// live says whether a query asks for the live machine: it names no evidence,
// or the empty name that rows of the live machine have.
func live(q *tables.Query) bool {
	asked, ok := q.Strings("evidence")
	return !ok || len(asked) == 1 && asked[0] == ""
}
