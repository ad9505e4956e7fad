// Package content is the product's own detections: rules and query packs,
// embedded, each with events that must and must not match in testdata.
package content

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/aiedr/edr/queries/document"
	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/wire"
)

//go:embed rules/*.yaml packs/*.yaml
var files embed.FS

// Rules are the embedded rules as documents for the wire: JSON lists of rules,
// one for each file, by name.
func Rules() ([]wire.Document, error) { return documents("rules") }

// Packs are the embedded packs as documents for the wire.
func Packs() ([]wire.Document, error) { return documents("packs") }

func documents(dir string) ([]wire.Document, error) {
	var out []wire.Document
	err := each(dir, func(name string, text []byte) error {
		roots, p := document.Parse(name, text)
		if p != nil {
			return *p
		}
		out = append(out, wire.Document{Name: strings.TrimSuffix(path.Base(name), ".yaml"), Text: roots[0].JSON()})
		return nil
	})
	return out, err
}

func each(dir string, do func(name string, text []byte) error) error {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return fmt.Errorf("read the embedded content: %w", err)
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		text, err := files.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read the embedded content: %w", err)
		}
		if err := do(name, text); err != nil {
			return fmt.Errorf("read the embedded content: %w", err)
		}
	}
	return nil
}

// LoadRules compiles the embedded rules. A problem in them is a fault of this
// build, which its tests would have met.
func LoadRules() ([]*rule.Rule, error) {
	var out []*rule.Rule
	err := each("rules", func(name string, text []byte) error {
		rules, problems := rule.Load(name, text)
		out = append(out, rules...)
		if len(problems) > 0 {
			return problems[0]
		}
		return nil
	})
	return out, err
}

// LoadPacks reads the embedded packs.
func LoadPacks() (*pack.Config, error) {
	all := &pack.Config{}
	err := each("packs", func(name string, text []byte) error {
		c, problems := pack.Load(name, text, nil)
		problems = append(problems, all.Add(c)...)
		if len(problems) > 0 {
			return problems[0]
		}
		return nil
	})
	return all, err
}
