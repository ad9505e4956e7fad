package pack

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aiedr/edr/queries/document"
	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/wire"
)

// Files gives the packs that a configuration names by path.
type Files interface {
	// Glob lists the files that a pattern names, or the one file of a plain name.
	Glob(pattern string) ([]string, error)
	Read(name string) ([]byte, error)
}

// maxInterval is osquery's bound of an interval.
const maxInterval = 604800

// Load reads one document: a pack, or a configuration with a schedule and
// packs. A pack is named for the document without its extension. What is
// wrong with one query does not stop the others. files may be nil; a pack
// that is named by path is then a problem.
func Load(name string, text []byte, files Files) (*Config, []Problem) {
	if strings.EqualFold(filepath.Ext(name), ".sql") {
		p, problems := loadSQL(packName(filepath.Dir(name)), name, text)
		return &Config{Packs: []*Pack{p}}, problems
	}
	roots, p := document.Parse(name, text)
	if p != nil {
		return &Config{}, []Problem{*p}
	}
	l := &loader{file: name, files: files, config: &Config{}}
	for _, n := range roots {
		l.root(n)
	}
	return l.config, l.problems
}

// IsPack says whether an object looks like a pack or a configuration.
func IsPack(n *document.Node) bool {
	for _, key := range []string{"queries", "schedule", "packs", "decorators"} {
		if n.Get(key) != nil {
			return true
		}
	}
	return false
}

func packName(file string) string {
	b := filepath.Base(file)
	return strings.TrimSuffix(b, filepath.Ext(b))
}

type loader struct {
	file     string
	files    Files
	config   *Config
	problems []Problem
	inside   bool // reading a pack that a configuration named
}

func (l *loader) done(d *document.Reader) { l.problems = append(l.problems, d.Problems...) }

func (l *loader) root(n *document.Node) {
	d := document.NewReader(l.file, n)
	defer l.done(d)
	switch {
	case n.Kind != document.Map:
		d.Fail(n, "a pack must be an object and this is "+n.Kind.String(), "write { \"queries\": { … } }")
	case n.Get("queries") != nil:
		name := packName(l.file)
		if own := n.Get("name"); own != nil && own.Kind == document.String {
			name = own.Text
		}
		l.pack(name, n)
	case !IsPack(n):
		d.Fail(n, "this is neither a pack nor a configuration", "write { \"queries\": { … } } or { \"schedule\": { … } }")
	default:
		l.configuration(d, n)
	}
}

func (l *loader) configuration(d *document.Reader, n *document.Node) {
	platform := d.Text("platform")
	if s := d.Get("schedule"); s != nil {
		p := &Pack{Platform: platform, File: l.file, Line: s.Line}
		l.queries(p, s)
		l.config.Packs = append(l.config.Packs, p)
	}
	if packs := d.Get("packs"); packs != nil {
		if packs.Kind != document.Map {
			d.Fail(packs, "\"packs\" must be an object", "write \"packs\": { \"name\": \"path\" }")
		} else {
			for i, k := range packs.Keys {
				l.named(d, k, packs.Items[i])
			}
		}
	}
	if dec := d.Get("decorators"); dec != nil {
		l.decorators(dec)
	}
	for _, k := range d.Unknown() {
		d.Warn(k, fmt.Sprintf("%q of an osquery configuration is not used here", k.Text), "give the agent's own flags or configuration instead")
	}
}

// named reads a pack of a configuration: an object, a path or, under the name
// *, a pattern of paths.
func (l *loader) named(d *document.Reader, k, v *document.Node) {
	if v.Kind == document.Map {
		l.pack(k.Text, v)
		return
	}
	if v.Kind != document.String {
		d.Fail(v, fmt.Sprintf("pack %s must be an object or a path", k.Text), "write \"name\": \"/path/of/pack.conf\"")
		return
	}
	if l.files == nil || l.inside {
		d.Fail(v, fmt.Sprintf("pack %s is named by the path %s, which is not read from here", k.Text, v.Text), "put the pack itself in its place")
		return
	}
	names, err := l.files.Glob(v.Text)
	if err != nil || len(names) == 0 {
		msg := fmt.Sprintf("pack %s: no file %s", k.Text, v.Text)
		if err != nil {
			msg += ": " + err.Error()
		}
		d.Fail(v, msg, "correct the path, absolute or beside the configuration")
		return
	}
	for _, name := range names {
		text, err := l.files.Read(name)
		if err != nil {
			d.Fail(v, fmt.Sprintf("pack %s: %v", k.Text, err), "correct the path or its permissions")
			continue
		}
		roots, p := document.Parse(name, text)
		if p != nil {
			l.problems = append(l.problems, *p)
			continue
		}
		sub := &loader{file: name, config: l.config, inside: true}
		packID := k.Text
		if packID == "*" {
			packID = packName(name)
		}
		for _, n := range roots {
			if n.Get("queries") == nil {
				sub.problems = append(sub.problems, Problem{File: name, Line: n.Line, Msg: "the pack has no queries", Next: "write { \"queries\": { … } }"})
				continue
			}
			sub.pack(packID, n)
		}
		l.problems = append(l.problems, sub.problems...)
	}
}

func (l *loader) pack(name string, n *document.Node) {
	d := document.NewReader(l.file, n)
	p := &Pack{
		Name: name, Platform: d.Text("platform"), Version: d.Text("version"), Shard: d.Int("shard", 0),
		Discovery: d.Texts("discovery"), File: l.file, Line: n.Line,
	}
	d.Get("name")
	if v := d.Get("description"); v != nil && v.Kind == document.Map {
		d.Fail(v, "\"description\" must be a text", "correct the value")
	}
	if q := d.Get("queries"); q != nil {
		l.queries(p, q)
	} else {
		d.Fail(n, fmt.Sprintf("pack %s has no queries", name), "add \"queries\": { … }")
	}
	for _, k := range d.Unknown() {
		d.Warn(k, fmt.Sprintf("pack %s: %q is not used", name, k.Text), "the entries are name description platform version shard discovery queries")
	}
	l.done(d)
	l.config.Packs = append(l.config.Packs, p)
}

func (l *loader) queries(p *Pack, n *document.Node) {
	if n.Kind != document.Map {
		l.problems = append(l.problems, Problem{File: l.file, Line: n.Line, Column: n.Column,
			Msg: "queries must be an object of name and query", Next: "write \"name\": { \"query\": \"SELECT …\" }"})
		return
	}
	for _, k := range n.Twice { // as osquery: the first stands
		l.problems = append(l.problems, Problem{File: l.file, Line: k.Line, Column: k.Column, Warning: true,
			Msg: fmt.Sprintf("query %s is there twice, and the first is used", k.Text), Next: "rename one of the two"})
	}
	for i, k := range n.Keys {
		v := n.Items[i]
		if v.Kind != document.Map {
			l.problems = append(l.problems, Problem{File: l.file, Line: v.Line, Column: v.Column,
				Msg: fmt.Sprintf("query %s must be an object and is %s", k.Text, v.Kind), Next: "write { \"query\": \"SELECT …\", \"interval\": 3600 }"})
			continue
		}
		d := document.NewReader(l.file, v)
		q := readQuery(d, k.Text, "query")
		q.Line, q.Column = k.Line, k.Column
		if !d.Failed() {
			p.Queries = append(p.Queries, q)
		}
		l.done(d)
	}
}

// readQuery reads the entries of one query, also from a .sql file's header.
func readQuery(d *document.Reader, name, sqlKey string) *Query {
	label := "query " + name + ": "
	q := &Query{
		Name: name, SQL: strings.TrimSpace(d.Text(sqlKey)), Snapshot: d.Bool("snapshot", false), Removed: d.Bool("removed", true),
		Platform: d.Text("platform"), Version: d.Text("version"), Shard: d.Int("shard", 0), Description: d.Text("description"),
		Value: d.Text("value"), Denylist: d.Bool("blacklist", true) && d.Bool("denylist", true), StartupPriority: d.Int("startup_priority", -1),
		Title: d.Text("title"), Severity: wire.Severity(strings.ToLower(d.Text("severity"))), Attack: d.Texts("attack"),
		When: d.Text("when"), Baseline: d.Bool("baseline", false), Actions: d.Texts("actions"), FalsePositives: d.Texts("falsepositives"), References: d.Texts("references"),
		File: d.File,
	}
	place := func(key string) *document.Node {
		if v := d.Node.Get(key); v != nil {
			return v
		}
		return d.Node
	}
	if q.SQL == "" {
		d.Fail(place(sqlKey), label+"there is no SQL", "add \"query\": \"SELECT …\"")
	}
	if n := d.Get("interval"); n != nil {
		seconds := d.Int("interval", 3600)
		if seconds < 1 || seconds > maxInterval {
			d.Fail(n, fmt.Sprintf("%sbad interval %s", label, n.Text), "write seconds from 1 to "+strconv.Itoa(maxInterval))
			seconds = 3600
		}
		q.Interval = time.Duration(seconds) * time.Second
	}
	if q.Shard < 0 || q.Shard > 100 {
		d.Fail(place("shard"), fmt.Sprintf("%sbad shard %d", label, q.Shard), "write a percentage from 0 to 100")
	}
	if q.Severity == "info" {
		q.Severity = wire.Informational
	}
	if q.Severity != "" && !slices.Contains(wire.Severities(), q.Severity) {
		d.Fail(place("severity"), fmt.Sprintf("%sunknown severity %q", label, q.Severity), fmt.Sprintf("the severities are %v", wire.Severities()))
	}
	if q.When != "" {
		if err := rule.CheckWhen(q.When); err != nil {
			line, column := place("when").Place(err.Offset)
			d.Problems = append(d.Problems, Problem{File: d.File, Line: line, Column: column, Msg: label + "when: " + err.Msg, Next: err.Next})
		}
	}
	if q.Severity == "" && (q.When != "" || len(q.Actions) > 0 || len(q.Attack) > 0) {
		q.Severity = wire.Medium
	}
	if q.Title == "" {
		q.Title = cmp.Or(q.Description, name)
	}
	d.Problems = append(d.Problems, rule.CheckActions(d.File, label, place("actions"), q.Actions)...)
	d.Problems = append(d.Problems, rule.CheckAttack(d.File, label, place("attack"), q.Attack)...)
	for _, k := range d.Unknown() {
		next := "see the entries of a query in the documentation"
		if near := document.Nearest(k.Text, strings.Fields("query interval snapshot removed platform version shard description value denylist startup_priority title severity attack when baseline actions falsepositives references")); near != "" {
			next = "did you mean " + near + "?"
		}
		d.Warn(k, fmt.Sprintf("%s%q is not used", label, k.Text), next)
	}
	return q
}

func (l *loader) decorators(n *document.Node) {
	d := document.NewReader(l.file, n)
	dec := &l.config.Decorators
	dec.Load = append(dec.Load, d.Texts("load")...)
	dec.Always = append(dec.Always, d.Texts("always")...)
	if iv := d.Get("interval"); iv != nil {
		sub := document.NewReader(l.file, iv)
		for _, k := range iv.Keys {
			seconds, err := strconv.Atoi(k.Text)
			if err != nil || seconds < 60 || seconds%60 != 0 {
				d.Fail(k, fmt.Sprintf("bad interval %q of decorators", k.Text), "write seconds, a multiple of 60")
				continue
			}
			if dec.Interval == nil {
				dec.Interval = map[time.Duration][]string{}
			}
			dec.Interval[time.Duration(seconds)*time.Second] = sub.Texts(k.Text)
		}
		l.done(sub)
	}
	for _, k := range d.Unknown() {
		d.Warn(k, fmt.Sprintf("decorators: %q is not used", k.Text), "the entries are load always interval")
	}
	l.done(d)
}
