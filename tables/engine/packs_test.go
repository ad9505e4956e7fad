package engine

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables"
)

// TestPublicPacks prepares every query of public osquery packs against
// osquery's schema: the dialect, the functions and the planning must take them.
func TestPublicPacks(t *testing.T) {
	dir := testneed.Shared(t, filepath.Join("..", ".."))
	read := func(name string, into any) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	type table struct {
		Evented bool `json:"evented"`
		Columns []struct {
			Name     string      `json:"name"`
			Type     tables.Type `json:"type"`
			Hidden   bool        `json:"hidden"`
			Required bool        `json:"required"`
			Index    bool        `json:"index"`
			Aliases  []string    `json:"aliases"`
		} `json:"columns"`
	}
	known := map[string]table{}
	for _, file := range []string{"osquery-schema.json"} {
		var m map[string]table
		read(file, &m)
		for name, x := range m {
			known[name] = x
		}
	}
	var schemas []tables.Schema
	for name, x := range known {
		s := tables.Schema{Name: name, Class: tables.Inventory, Evented: x.Evented}
		for _, c := range x.Columns {
			s.Columns = append(s.Columns, tables.ColumnSchema{
				Name: c.Name, Type: c.Type, Hidden: c.Hidden, Required: c.Required, Index: c.Index, Aliases: c.Aliases,
			})
		}
		schemas = append(schemas, s)
	}
	e, err := NewFromSchema(schemas, Options{})
	if err != nil {
		t.Fatal(err)
	}
	passed, unknown := 0, 0
	for _, file := range []string{"packs/osquery.json", "packs/palantir.json"} {
		var queries []struct{ Name, Pack, SQL string }
		read(file, &queries)
		for _, q := range queries {
			info, err := e.Check(context.Background(), q.SQL, AllClasses())
			switch {
			case err == nil:
				passed++
				if len(info.Columns) == 0 {
					t.Errorf("%s/%s answers no columns", q.Pack, q.Name)
				}
			case strings.Contains(err.Error(), "no such table") || strings.Contains(err.Error(), "no such column"):
				// Tables of other products' extensions, and columns that
				// osquery has dropped since.
				unknown++
				t.Logf("%s/%s: %v", q.Pack, q.Name, err)
			default:
				t.Errorf("%s/%s: %v\n%s", q.Pack, q.Name, err, q.SQL)
			}
		}
	}
	t.Logf("%d queries pass, %d name what the schema lacks", passed, unknown)
	if passed < 9*unknown {
		t.Errorf("only %d of %d queries pass", passed, passed+unknown)
	}
}
