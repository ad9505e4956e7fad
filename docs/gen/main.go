// Command gen writes what is derived from declarations: docs/tables.md and
// tables/schema.json from the tables', docs/rules.md from the fields of rules
// and the rules that come with the product. Run it by `make docs`.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aiedr/edr/tables/all"
)

func main() {
	root := flag.String("root", ".", "the repository's root folder")
	flag.Parse()
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	files, err := generate(all.Tables())
	if err != nil {
		return err
	}
	for name, data := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if old, err := os.ReadFile(path); err == nil && string(old) == string(data) {
			continue
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return fmt.Errorf("%w (run it in the repository's root, or give -root)", err)
		}
		fmt.Println("wrote", name)
	}
	return nil
}
