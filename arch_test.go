package edr

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/aiedr/edr"

// rooms says which of our packages each room may import. A package belongs to
// the room with the longest prefix of its path; a room may always import
// itself and the rooms below it. "*" may import anything. No room may import
// cmd, bench or e2e.
var rooms = map[string][]string{
	"wire":      {},
	"wire/seal": {"wire"},

	"tables":          {},
	"tables/procfs":   {},         // parsers of /proc, for tables and sensors alike
	"tables/winreg":   {"tables"}, // the live registry, for its table and its sensor
	"tables/process":  {"tables", "tables/bpf", "tables/procfs"},
	"tables/network":  {"tables", "tables/bpf", "tables/procfs"},
	"tables/file":     {"tables", "tables/bpf", "tables/procfs"},
	"tables/account":  {"tables", "tables/bpf", "tables/procfs"},
	"tables/software": {"tables", "tables/bpf", "tables/procfs"},
	"tables/system":   {"tables", "tables/bpf", "tables/procfs"},
	"tables/evidence": {"tables", "tables/bpf", "tables/procfs", "tables/winreg"},
	"tables/event":    {"tables", "tables/bpf"},
	"tables/bpf":      {},
	"tables/all":      {"tables", "tables/process", "tables/network", "tables/file", "tables/account", "tables/software", "tables/system", "tables/evidence", "tables/event"},
	"tables/sensor":   {"tables", "tables/event", "tables/bpf", "tables/procfs", "tables/winreg"},
	"tables/engine":   {"tables"},
	"queries":         {"tables", "wire"},
	"scheduler":       {"tables", "queries", "tables/engine", "wire"},
	"response":        {"wire"},
	"extension":       {"tables", "tables/engine"},
	"agent":           {"wire", "tables", "queries", "scheduler", "response", "extension"},
	"fleetsrv":        {"wire", "wire/seal", "queries", "tables", "tables/engine", "web"},
	"web":             {},
	"internal":        {},
	"cmd/agent":       {"*"},
	"cmd/server":      {"*"},
	"cmd/edrctl":      {"wire", "tables", "internal"},
	"bench":           {"*"},
	"e2e":             {"*"},
	"deploy":          {"*"},
	"docs":            {"*"},
}

// whole lists the rooms whose permission does not reach into the rooms below
// them: to import "tables" is not to import "tables/process".
var whole = map[string]bool{"tables": true, "wire": true}

// reaching lists those for which it does all the same.
var reaching = map[string]bool{"agent": true}

func roomOf(pkg string) string {
	best := ""
	for room := range rooms {
		if (pkg == room || strings.HasPrefix(pkg, room+"/")) && len(room) > len(best) {
			best = room
		}
	}
	return best
}

func allowed(from, to string) bool {
	a, b := roomOf(from), roomOf(to)
	if a == b {
		return true
	}
	for _, grant := range rooms[a] {
		switch {
		case grant == "*" || grant == b:
			return true
		case strings.HasPrefix(b, grant+"/") && (!whole[grant] || reaching[a]):
			return true
		}
	}
	return false
}

func TestArchitecture(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "data" || d.Name() == "testdata" ||
			(strings.HasPrefix(d.Name(), ".") && path != ".")) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		pkg := filepath.ToSlash(filepath.Dir(path))
		if pkg == "." {
			pkg = ""
		}
		if roomOf(pkg) == "" && path != "doc.go" {
			t.Errorf("%s: no room of design.md is called %q", path, pkg)
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range f.Imports {
			name, _ := strconv.Unquote(imp.Path.Value)
			ours, ok := strings.CutPrefix(name, module+"/")
			if !ok {
				continue
			}
			for _, never := range []string{"cmd", "bench", "e2e"} {
				if ours == never || strings.HasPrefix(ours, never+"/") && !strings.HasPrefix(pkg, never) {
					t.Errorf("%s imports %s, which nobody may import", path, ours)
				}
			}
			if strings.HasSuffix(pkg, "test") && ours == "internal/testneed" {
				continue // a package of helpers for tests
			}
			if !allowed(pkg, ours) {
				t.Errorf("%s imports %s: the room %q may import only %v", path, ours, roomOf(pkg), rooms[roomOf(pkg)])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Fatal("found no Go file: the test looked in the wrong place")
	}
}

// TestArchitectureCanFail holds the check itself to account.
func TestArchitectureCanFail(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"tables/process", "tables", true},
		{"tables/process", "tables/engine", false},
		{"tables", "wire", false},
		{"wire", "wire/seal", false},
		{"fleetsrv/store/sqlite", "tables/engine", true},
		{"fleetsrv", "tables/process", false},
		{"cmd/edrctl", "tables/engine", false},
		{"agent", "tables/process", true},
		{"agent", "fleetsrv", false},
		{"scheduler/outbox", "queries/pack", true},
		{"response", "tables", false},
	} {
		if got := allowed(c.from, c.to); got != c.want {
			t.Errorf("allowed(%s, %s) = %v, want %v", c.from, c.to, got, c.want)
		}
	}
	if !slices.Contains(rooms["tables/engine"], "tables") {
		t.Error("the engine lost its table")
	}
}
