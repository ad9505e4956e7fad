package all

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables"
)

// TestOsquery compares the tables with osquery's: where it has a table, ours
// has at least its columns with its types, and says which are ours.
func TestOsquery(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(testneed.Shared(t, "../.."), "osquery-schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var theirs map[string]struct {
		Evented bool `json:"evented"`
		Columns []struct {
			Name     string      `json:"name"`
			Type     tables.Type `json:"type"`
			Required bool        `json:"required"`
			Index    bool        `json:"index"`
		} `json:"columns"`
	}
	if err := json.Unmarshal(data, &theirs); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, table := range Tables() {
		o, ok := theirs[table.Name]
		if ok == table.Ours {
			t.Errorf("%s: declared as ours: %v; osquery has such a table: %v", table.Name, table.Ours, ok)
		}
		if !ok {
			continue
		}
		if o.Evented != table.Evented {
			t.Errorf("%s: evented is %v, osquery's %v", table.Name, table.Evented, o.Evented)
		}
		names := map[string]bool{}
		for _, c := range o.Columns {
			names[c.Name] = true
			i := table.ColumnIndex(c.Name)
			if i < 0 {
				t.Errorf("%s: osquery's column %s %s is missing", table.Name, c.Name, c.Type)
				continue
			}
			compared++
			if got := table.Columns[i]; got.Type != c.Type {
				t.Errorf("%s.%s: type %s, osquery's %s", table.Name, c.Name, got.Type, c.Type)
			}
		}
		for _, c := range table.Columns {
			if names[c.Name] == c.Ours {
				t.Errorf("%s.%s: marked ours: %v; osquery has it: %v", table.Name, c.Name, c.Ours, names[c.Name])
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d columns were compared", compared)
	}
}
