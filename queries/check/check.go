// Package check looks for what is wrong in files of detection content, and
// says it with file and line.
package check

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/aiedr/edr/queries/document"
	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/queries/rule"
)

// Problem is one thing that is wrong, or with Warning worth knowing.
type Problem = document.Problem

// Report is what a check found.
type Report struct {
	Files, Rules, Packs, Queries int // that were read
	Problems                     []Problem
}

// Failed says whether any problem is more than a warning.
func (r Report) Failed() bool { return document.Failed(r.Problems) }

// Check is the problems of Run.
func Check(paths []string, prepare func(sql string) error) []Problem {
	return Run(paths, prepare).Problems
}

// Run reads files and folders of packs and rules, which their content tells
// apart. prepare tries a statement without running it; nil leaves SQL alone.
// A file that is neither is a warning.
func Run(paths []string, prepare func(sql string) error) Report {
	c := &checker{prepare: prepare, rules: map[string]*rule.Rule{}, packs: &pack.Config{}}
	for _, p := range paths {
		c.walk(p)
	}
	c.sql()
	slices.SortStableFunc(c.report.Problems, func(a, b Problem) int {
		if d := strings.Compare(a.File, b.File); d != 0 {
			return d
		}
		return a.Line - b.Line
	})
	return c.report
}

type checker struct {
	prepare func(string) error
	rules   map[string]*rule.Rule
	packs   *pack.Config
	report  Report
}

func (c *checker) add(p ...Problem) { c.report.Problems = append(c.report.Problems, p...) }

func (c *checker) walk(path string) {
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			c.add(Problem{File: name, Msg: "cannot be read: " + err.Error(), Next: "correct the path or its permissions"})
		case d.IsDir():
			if name != path && strings.HasPrefix(d.Name(), ".") {
				c.add(Problem{File: name, Warning: true, Msg: "a hidden folder is left out", Next: "name it to check it"})
				return filepath.SkipDir
			}
		default:
			c.file(name, name == path)
		}
		return nil
	})
	if err != nil {
		c.add(Problem{File: path, Msg: "cannot be read: " + err.Error(), Next: "correct the path or its permissions"})
	}
}

func (c *checker) file(name string, named bool) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json", ".conf", ".yaml", ".yml", ".sql":
	default:
		if !named {
			c.add(Problem{File: name, Warning: true, Msg: "left out: not a .json, .conf, .yaml, .yml or .sql file", Next: "rename it if it is content"})
			return
		}
	}
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("no regular file")
	}
	if err == nil && info.Size() > document.MaxBytes {
		err = fmt.Errorf("%d bytes are more than the %d that are read", info.Size(), document.MaxBytes)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		c.add(Problem{File: name, Msg: "cannot be read: " + err.Error(), Next: "correct the path or its permissions"})
		return
	}
	c.report.Files++
	if strings.EqualFold(filepath.Ext(name), ".sql") {
		c.pack(name, text)
		return
	}
	roots, p := document.Parse(name, text)
	if p != nil {
		c.add(*p)
		return
	}
	for _, n := range roots {
		switch {
		case rule.IsRule(n):
			c.rule(name, text)
			return
		case pack.IsPack(n):
			c.pack(name, text)
			return
		case n.Get("detection") != nil && n.Get("logsource") != nil:
			c.add(Problem{File: name, Line: n.Line, Msg: "a Sigma rule, which this version does not read yet", Next: "leave it out"})
			return
		}
	}
	c.add(Problem{File: name, Line: roots[0].Line, Msg: "neither a pack nor a rule",
		Next: "a pack has \"queries\" or \"schedule\", a rule has \"conditions\""})
}

func (c *checker) rule(name string, text []byte) {
	rules, problems := rule.Load(name, text)
	c.add(problems...)
	for _, r := range rules {
		c.report.Rules++
		if first := c.rules[r.ID]; first != nil {
			c.add(Problem{File: name, Line: r.Line, Column: r.Column,
				Msg: fmt.Sprintf("rule %s: %s:%d has a rule of the same id", r.ID, first.File, first.Line), Next: "give each rule an id of its own"})
			continue
		}
		c.rules[r.ID] = r
	}
}

func (c *checker) pack(name string, text []byte) {
	config, problems := pack.Load(name, text, pack.Beside(name))
	c.add(problems...)
	// A pack that a configuration names and that lies in a checked folder
	// is met twice.
	for i := 0; i < len(config.Packs); i++ {
		p := config.Packs[i]
		if slices.ContainsFunc(c.packs.Packs, func(q *pack.Pack) bool {
			return sameFile(q.File, p.File) && q.Name == p.Name && filepath.Ext(p.File) != ".sql"
		}) {
			config.Packs = slices.Delete(config.Packs, i, i+1)
			i--
		}
	}
	c.add(c.packs.Add(config)...)
}

func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// sql prepares every statement. What is meant for another system may read
// tables that are not here, which is only worth knowing.
func (c *checker) sql() {
	try := func(sql, file string, line int, label string, here bool) {
		if c.prepare == nil {
			return
		}
		if err := c.prepare(sql); err != nil {
			p := Problem{File: file, Line: line, Msg: label + ": " + err.Error(), Next: "correct the SQL"}
			if !here {
				p.Warning, p.Next = true, "it is meant for another system than this"
			}
			c.add(p)
		}
	}
	for _, p := range c.packs.Packs {
		c.report.Packs++
		here := pack.Runs(p.Platform, runtime.GOOS)
		for _, d := range p.Discovery {
			try(d, p.File, p.Line, "pack "+p.Name+": discovery", here)
		}
		for _, q := range p.Queries {
			c.report.Queries++
			try(q.SQL, q.File, q.Line, "query "+q.Name, here && pack.Runs(q.Platform, runtime.GOOS))
		}
	}
	d := c.packs.Decorators
	statements := slices.Concat(d.Load, d.Always)
	for _, s := range d.Interval {
		statements = append(statements, s...)
	}
	for _, s := range statements {
		try(s, "decorators", 0, "decorator "+s, true)
	}
}
