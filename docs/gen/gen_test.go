package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/all"
)

// TestFresh fails where a declaration changed and the generated files did not.
func TestFresh(t *testing.T) {
	files, err := generate(all.Tables())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is stale: run make docs (go run ./docs/gen)", name)
		}
	}
}

// TestSchemas reads the embedded schema back.
func TestSchemas(t *testing.T) {
	schemas, err := tables.Schemas()
	if err != nil {
		t.Fatal(err)
	}
	if len(schemas) != len(all.Tables()) {
		t.Errorf("%d schemas of %d tables", len(schemas), len(all.Tables()))
	}
}
