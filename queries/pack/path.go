package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aiedr/edr/queries/document"
)

// LoadPath reads a file, or a folder with all packs and .sql files below it;
// the .sql files of one folder are one pack of the folder's name.
func LoadPath(path string) (*Config, []Problem) {
	var names []string
	var problems []Problem
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			problems = append(problems, Problem{File: name, Msg: "read the pack: " + plain(err), Next: "correct the path or its permissions"})
			return nil
		}
		if d.IsDir() {
			return nil
		}
		switch strings.ToLower(filepath.Ext(name)) {
		case ".json", ".conf", ".yaml", ".yml", ".sql":
			names = append(names, name)
		default:
			if name == path {
				names = append(names, name)
			}
		}
		return nil
	})
	if err != nil {
		problems = append(problems, Problem{File: path, Msg: "read the folder: " + err.Error(), Next: "correct the path or its permissions"})
	}
	all := &Config{}
	for _, name := range names {
		text, err := readFile(name)
		if err != nil {
			problems = append(problems, Problem{File: name, Msg: "read the pack: " + plain(err), Next: "correct the path or its permissions"})
			continue
		}
		c, ps := Load(name, text, Beside(name))
		problems = append(problems, ps...)
		problems = append(problems, all.Add(c)...)
	}
	return all, problems
}

// Add joins another configuration: its packs, where the .sql files of one
// folder become one pack, and its decorators. Two packs of one name from two
// files keep the first, and the problem says so.
func (c *Config) Add(o *Config) []Problem {
	var problems []Problem
	for _, p := range o.Packs {
		i := slices.IndexFunc(c.Packs, func(q *Pack) bool { return q.Name == p.Name })
		if i < 0 {
			c.Packs = append(c.Packs, p)
			continue
		}
		first := c.Packs[i]
		isSQL := func(f string) bool { return strings.EqualFold(filepath.Ext(f), ".sql") }
		joined := p.Name == "" || (isSQL(p.File) && isSQL(first.File) && filepath.Dir(p.File) == filepath.Dir(first.File))
		if !joined {
			problems = append(problems, Problem{File: p.File, Line: p.Line,
				Msg: fmt.Sprintf("pack %s is already in %s", p.Name, first.File), Next: "rename one of the two"})
			continue
		}
		for _, q := range p.Queries {
			if k := slices.IndexFunc(first.Queries, func(x *Query) bool { return x.Name == q.Name }); k >= 0 {
				problems = append(problems, Problem{File: q.File, Line: q.Line,
					Msg: fmt.Sprintf("query %s is already in %s:%d", q.Name, first.Queries[k].File, first.Queries[k].Line), Next: "rename one of the two"})
				continue
			}
			first.Queries = append(first.Queries, q)
		}
	}
	c.Decorators.Load = append(c.Decorators.Load, o.Decorators.Load...)
	c.Decorators.Always = append(c.Decorators.Always, o.Decorators.Always...)
	for d, sql := range o.Decorators.Interval {
		if c.Decorators.Interval == nil {
			c.Decorators.Interval = map[time.Duration][]string{}
		}
		c.Decorators.Interval[d] = append(c.Decorators.Interval[d], sql...)
	}
	return problems
}

func plain(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// readFile reads a regular file of content; anything else could block.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	if info.Size() > document.MaxBytes {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that are read", name, info.Size(), document.MaxBytes)
	}
	return os.ReadFile(name)
}

// Beside gives the files that a configuration names: as written, relative to
// the configuration, or in the folder packs beside it or one level up, where
// the originals lie that name paths of another machine.
func Beside(config string) Files { return beside{filepath.Dir(config)} }

type beside struct{ dir string }

func (b beside) Glob(pattern string) ([]string, error) {
	base := filepath.Base(pattern)
	tries := []string{pattern, filepath.Join(b.dir, pattern), filepath.Join(b.dir, base),
		filepath.Join(b.dir, "packs", base), filepath.Join(b.dir, "..", "packs", base)}
	if !filepath.IsAbs(pattern) {
		tries = tries[1:]
	}
	for _, t := range tries {
		names, err := filepath.Glob(t)
		if err != nil {
			return nil, err
		}
		if len(names) > 0 {
			return names, nil
		}
	}
	return nil, nil
}

func (b beside) Read(name string) ([]byte, error) { return readFile(name) }
