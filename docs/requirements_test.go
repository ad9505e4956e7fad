package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aiedr/edr/internal/testneed"
)

// points are those of the descriptions that the product began with.
var points = map[byte]int{'A': 16, 'B': 7, 'C': 5}

var (
	quoted  = regexp.MustCompile("`([^`]+)`")
	listed  = regexp.MustCompile(`(?m)^([ABC][0-9]+) `)
	isPoint = regexp.MustCompile(`^[ABC][0-9]+$`)
)

// TestRequirements holds requirements.md to account: every point has one row,
// every place that it names exists, and so does every test.
func TestRequirements(t *testing.T) {
	b, err := os.ReadFile("requirements.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || !isPoint.MatchString(strings.TrimSpace(cells[1])) {
			continue
		}
		point := strings.TrimSpace(cells[1])
		if seen[point] {
			t.Errorf("%s stands twice", point)
		}
		seen[point] = true
		places, tests := quoted.FindAllStringSubmatch(cells[3], -1), quoted.FindAllStringSubmatch(cells[4], -1)
		if len(places) == 0 || len(tests) == 0 {
			t.Errorf("%s names no place or no test", point)
		}
		for _, p := range places {
			if _, err := os.Stat(filepath.Join("..", p[1])); err != nil {
				t.Errorf("%s: %v", point, err)
			}
		}
		for _, x := range tests {
			if err := hasTest(x[1]); err != "" {
				t.Errorf("%s: %s", point, err)
			}
		}
	}
	total := 0
	for letter, n := range points {
		for i := 1; i <= n; i++ {
			total++
			if name := fmt.Sprintf("%c%d", letter, i); !seen[name] {
				t.Errorf("%s has no row", name)
			}
		}
	}
	if len(seen) != total {
		t.Errorf("%d rows, want %d", len(seen), total)
	}
}

// hasTest says what is wrong with a test written as PACKAGE:NAME.
func hasTest(s string) string {
	dir, name, ok := strings.Cut(s, ":")
	if !ok {
		return s + ": want PACKAGE:TEST"
	}
	files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		return s + ": the package has no tests"
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return s + ": " + err.Error()
		}
		if strings.Contains(string(b), "func "+name+"(") {
			return ""
		}
	}
	return s + ": there is no such test"
}

// TestPointsAreThoseAsked compares with the list beside the repository.
func TestPointsAreThoseAsked(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(testneed.Shared(t, ".."), "requirements.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[byte]int{}
	for _, m := range listed.FindAllStringSubmatch(string(b), -1) {
		found[m[1][0]]++
	}
	for letter, n := range points {
		if found[letter] != n {
			t.Errorf("%d points %c were asked for, the table knows %d", found[letter], letter, n)
		}
	}
}
