package pack

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/queries/document"
)

const sample = `{
  // a comment
  "platform": "linux", "version": "1.4.5", "shard": 50,
  "discovery": ["select pid from processes where name = 'x'"],
  "queries": {
    "a": {"query": "select * \
      from users;", "interval": "60", "removed": false, "platform": "posix", "blacklist": "true"},
    "b": {"query": "select name, pid from processes", "interval": 10, "snapshot": true, "denylist": false,
          "severity": "high", "attack": ["T1059"], "when": "name = 'nc' and pid > 1", "actions": ["alert"], "title": "netcat"},
    "c": {"query": "select 1", "interval": 0},
    "d": {"interval": 10},
    "e": {"query": "select 1", "when": "name like 'x'"},
    "f": {"query": "select 1", "intervall": 5}
  }
}`

func TestPack(t *testing.T) {
	c, problems := Load("/etc/ir.conf", []byte(sample), nil)
	if len(c.Packs) != 1 || c.Packs[0].Name != "ir" {
		t.Fatalf("%+v", c)
	}
	p := c.Packs[0]
	if p.Platform != "linux" || p.Version != "1.4.5" || p.Shard != 50 || len(p.Discovery) != 1 || len(p.Queries) != 3 {
		t.Errorf("%+v", p)
	}
	a, b := p.Queries[0], p.Queries[1]
	if a.SQL != "select *       from users;" || a.Interval != time.Minute || a.Removed || !a.Denylist || a.Hits() {
		t.Errorf("%+v", a)
	}
	if !b.Snapshot || b.Denylist || !b.Hits() || p.LogName(b) != "pack_ir_b" || b.Line != 8 {
		t.Errorf("%+v", b)
	}
	want := []struct {
		line    int
		msg     string
		warning bool
	}{{10, "bad interval", false}, {11, "no SQL", false}, {12, "unknown operator", false}, {13, "not used", true}}
	if len(problems) != len(want) {
		t.Fatalf("problems: %v", problems)
	}
	for i, w := range want {
		if g := problems[i]; g.Line != w.line || !strings.Contains(g.Msg, w.msg) || g.Warning != w.warning || g.Next == "" {
			t.Errorf("problem %d: %v", i, g)
		}
	}
}

func TestWrittenAndReadAgain(t *testing.T) {
	c, _ := Load("ir.conf", []byte(sample), nil)
	c.Decorators = Decorators{Load: []string{"select 1"}, Interval: map[time.Duration][]string{time.Minute: {"select 2"}}}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	again, problems := Load("x.json", text, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	hashes := map[string]string{}
	for _, q := range c.Packs[0].Queries {
		hashes[q.Name] = q.Hash()
	}
	for _, q := range again.Packs[0].Queries {
		if hashes[q.Name] != q.Hash() {
			t.Errorf("%s changed: %+v", q.Name, q)
		}
		delete(hashes, q.Name)
	}
	if len(hashes) > 0 || again.Decorators.Interval[time.Minute][0] != "select 2" {
		t.Errorf("lost %v, decorators %+v", hashes, again.Decorators)
	}
}

func TestConfiguration(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("osquery.yaml", `
options: {logger_plugin: tls}
schedule:
  uptime: {query: select * from uptime, interval: 60}
packs:
  one: /usr/share/osquery/packs/one.conf
  "*": more/*.conf
  inline: {queries: {x: {query: select 1, interval: 5}}}
  gone: nowhere.conf
decorators:
  load: [select uuid from system_info]
  interval: {"60": [select 1], "61": [select 2]}
`)
	write("packs/one.conf", `{"queries": {"q": {"query": "select 1", "interval": 1}}}`)
	write("more/two.conf", `{"queries": {"q": {"query": "select 2", "interval": 1}}}`)
	name := filepath.Join(dir, "osquery.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	c, problems := Load(name, text, Beside(name))
	var names []string
	for _, p := range c.Packs {
		for _, q := range p.Queries {
			names = append(names, p.LogName(q))
		}
	}
	if got := strings.Join(names, " "); got != "uptime pack_one_q pack_two_q pack_inline_x" {
		t.Errorf("queries: %s", got)
	}
	if len(c.Decorators.Load) != 1 || len(c.Decorators.Interval) != 1 {
		t.Errorf("decorators: %+v", c.Decorators)
	}
	var texts []string
	for _, p := range problems {
		texts = append(texts, p.Error())
	}
	all := strings.Join(texts, "\n")
	for _, w := range []string{"options", "no file nowhere.conf", "multiple of 60"} {
		if !strings.Contains(all, w) {
			t.Errorf("no problem says %q: %s", w, all)
		}
	}
	if len(problems) != 3 {
		t.Errorf("problems: %s", all)
	}
}

func TestSQLFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hunting")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"ports.sql":  "-- an ordinary comment: yes\n-- interval: 60\n-- severity: high\n-- attack: T1059, T1105\n-- when: port = 4444\nSELECT port\n-- inner: comment\nFROM listening_ports;\n",
		"two.sql":    "-- name: first\n-- interval: 5\nselect 1;\n-- name: second\n-- snapshot: true\nselect 2",
		"bad.sql":    "-- interval: soon\nselect 1",
		"README.md":  "not a pack",
		"empty.sql":  "-- nothing\n",
		"third.json": "{",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, problems := LoadPath(dir)
	if len(c.Packs) != 1 || c.Packs[0].Name != "hunting" || len(c.Packs[0].Queries) != 3 {
		t.Fatalf("%+v %v", c.Packs[0], problems)
	}
	q := c.Packs[0].Queries[0]
	if q.Name != "ports" || q.SQL != "SELECT port\nFROM listening_ports" || q.When != "port = 4444" || len(q.Attack) != 2 || q.Interval != time.Minute {
		t.Errorf("%+v", q)
	}
	if len(problems) != 3 {
		t.Errorf("problems: %v", problems)
	}
	for _, p := range problems {
		if p.Line == 0 || p.Next == "" {
			t.Errorf("place or next step: %+v", p)
		}
	}
	if _, problems := LoadPath(filepath.Join(dir, "none")); len(problems) == 0 {
		t.Error("a missing path is no problem")
	}
}

func TestHostConditions(t *testing.T) {
	for _, c := range []struct {
		platform, goos string
		want           bool
	}{
		{"", "linux", true}, {"linux", "linux", true}, {"Linux", "linux", false}, {"ubuntu", "linux", true},
		{"debian", "linux", false}, {"darwin,linux", "linux", true}, {"posix", "linux", true}, {"posix", "darwin", true},
		{"posix", "windows", false}, {"windows", "linux", false}, {"windows", "windows", true}, {"any", "windows", true}, {"null", "darwin", true},
	} {
		if got := Runs(c.platform, c.goos); got != c.want {
			t.Errorf("Runs(%q, %s) = %v", c.platform, c.goos, got)
		}
	}
	for _, c := range []struct {
		have, want string
		ok         bool
	}{{"5.19.0", "", true}, {"5.19.0", "1.4.5", true}, {"5.19.0", "5.19.0", true}, {"5.19.0", "5.19.1", false}, {"5.19.0", "5.9", true}, {"5.19.0", "10", false}, {"5.19.0", "5.2.3-rc1", true}} {
		if got := VersionAtLeast(c.have, c.want); got != c.ok {
			t.Errorf("VersionAtLeast(%s, %s) = %v", c.have, c.want, got)
		}
	}
	// sha1("localhost") begins with 0x33: 51*100/255 = 20.
	if got := ShardOf("localhost"); got != 20 {
		t.Errorf("shard %d", got)
	}
	if !InShard(0, 90) || !InShard(20, 20) || InShard(19, 20) {
		t.Error("InShard")
	}
}

// TestOriginals loads the original packs and compares them with what was read
// from them by other means.
func TestOriginals(t *testing.T) {
	ref := testneed.Shared(t, "../..")
	dir := t.TempDir()
	untar(t, filepath.Join(ref, "packs", "original.tar.gz"), dir)
	for _, set := range []string{"osquery", "palantir"} {
		var want []struct {
			Name, Pack, SQL, Platform, Version string
			Interval                           int64
			Snapshot, Removed                  bool
			SourceFile                         string `json:"source_file"`
		}
		text, err := os.ReadFile(filepath.Join(ref, "packs", set+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		root := dir
		if set == "palantir" {
			root = filepath.Join(dir, "palantir")
		}
		got := map[string]*Query{}
		var twice []string // the reference has the last of two, osquery and we the first
		packOf := map[*Query]*Pack{}
		loaded := map[string]bool{}
		for _, w := range want {
			if loaded[w.SourceFile] || strings.HasPrefix(w.SourceFile, "Fleet/") { // the same queries again, not in the archive
				continue
			}
			loaded[w.SourceFile] = true
			text, err := os.ReadFile(filepath.Join(root, w.SourceFile))
			if err != nil {
				t.Fatal(err)
			}
			c, problems := Load(w.SourceFile, text, nil)
			for _, p := range problems {
				if p.Warning && strings.Contains(p.Msg, "twice") {
					twice = append(twice, p.Msg)
				}
				if !p.Warning && !strings.Contains(p.Msg, "named by the path") {
					t.Errorf("%v", p)
				}
			}
			for _, p := range c.Packs {
				for _, q := range p.Queries {
					name := p.Name
					if name == "" {
						name = "schedule"
					}
					got[w.SourceFile+" "+name+" "+q.Name], packOf[q] = q, p
				}
			}
		}
		for _, w := range want {
			if !loaded[w.SourceFile] {
				continue
			}
			q := got[w.SourceFile+" "+w.Pack+" "+w.Name]
			if q == nil {
				t.Errorf("%s: %s %s is not there", w.SourceFile, w.Pack, w.Name)
				continue
			}
			if strings.Contains(strings.Join(twice, " "), "query "+w.Name+" is") {
				continue
			}
			if strings.Join(strings.Fields(q.SQL), " ") != strings.Join(strings.Fields(w.SQL), " ") || q.Snapshot != w.Snapshot || q.Removed != w.Removed ||
				(w.Interval != 0 && q.Interval != time.Duration(w.Interval)*time.Second) ||
				cmp.Or(q.Platform, packOf[q].Platform) != w.Platform || (w.Version != "" && cmp.Or(q.Version, packOf[q].Version) != w.Version) {
				t.Errorf("%s %s: got %+v, want %+v", w.Pack, w.Name, *q, w)
			}
		}
		if len(got) < 150 {
			t.Errorf("%s: only %d queries", set, len(got))
		}
	}
	c, problems := LoadPath(filepath.Join(dir, "packs"))
	if len(problems) > 0 || len(c.Packs) != 10 {
		t.Errorf("%d packs, problems %v", len(c.Packs), problems)
	}
}

func untar(t *testing.T, name, dir string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	tr := tar.NewReader(z)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(out, 0o755)
		} else if h.Typeflag == tar.TypeReg {
			var b []byte
			if b, err = io.ReadAll(io.LimitReader(tr, 1<<20)); err == nil {
				err = os.WriteFile(out, b, 0o644)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("a.conf", []byte(sample))
	f.Add("a.sql", []byte("-- name: x\n-- when: a = 1\nselect 1"))
	f.Add("a.yaml", []byte("schedule: {a: {query: x, interval: 5}}\ndecorators: {interval: {60: [x]}}"))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		if strings.ContainsAny(name, "\x00") {
			return
		}
		c, problems := Load(name, b, nil)
		for _, p := range problems {
			if p.Msg == "" || p.Next == "" {
				t.Fatalf("%+v", p)
			}
		}
		if _, err := json.Marshal(c); err != nil && !document.Failed(problems) {
			t.Fatal(err)
		}
	})
}
