package all

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/aiedr/edr/tables"
)

// TestLive reads every table of the machine that runs the test once, all
// columns, and holds it to an answer: rows, or an error that says why not.
func TestLive(t *testing.T) {
	root, err := tables.DirRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	host := &tables.Host{Root: root, Now: time.Now}
	for _, table := range Tables() {
		t.Run(table.Name, func(t *testing.T) {
			q := &tables.Query{Host: host}
			for i := range table.Columns {
				q.Columns = append(q.Columns, i)
			}
			rows := 0
			for b, err := range table.Batches(context.Background(), q) {
				var missing *tables.MissingConstraintError
				var none *tables.NoEventsError
				switch {
				case errors.Is(err, tables.ErrNotSupported), errors.Is(err, tables.ErrNotBuilt):
				case errors.As(err, &missing), errors.As(err, &none):
				case err != nil && host.Agent == nil && outsideAgent[table.Name]:
				case err != nil:
					t.Error(err)
				default:
					rows += b.Rows
				}
			}
			warnings, n := q.Warnings()
			for _, w := range warnings {
				t.Logf("warning: %v", w)
			}
			t.Logf("%d rows, %d warnings", rows, n)
			here := map[string]tables.Platform{"linux": tables.Linux, "windows": tables.Windows, "darwin": tables.Darwin}[runtime.GOOS]
			if atLeastOne[table.Name] && table.Platforms&here != 0 && rows == 0 {
				t.Error("no rows, but every machine has some")
			}
		})
	}
}

// outsideAgent are the tables that only a running agent can answer.
var outsideAgent = map[string]bool{"edr_sensors": true, "edr_schedule": true, "osquery_schedule": true}

var atLeastOne = map[string]bool{
	"processes": true, "users": true, "groups": true, "os_version": true, "system_info": true, "time": true,
	"uptime": true, "kernel_info": true, "edr_info": true, "osquery_info": true,
}

// TestDeclarations holds what tables.New cannot know of a single table.
func TestDeclarations(t *testing.T) {
	seen := map[string]bool{}
	for _, table := range Tables() {
		if seen[table.Name] {
			t.Errorf("two tables are called %s", table.Name)
		}
		seen[table.Name] = true
		if table.Doc == "" {
			t.Errorf("%s: no doc", table.Name)
		}
		if len(table.Examples) == 0 {
			t.Errorf("%s: no example", table.Name)
		}
		for _, e := range table.Examples {
			if e == "" {
				t.Errorf("%s: an example is empty", table.Name)
			}
		}
		if table.Platforms == 0 {
			t.Errorf("%s: no platform", table.Name)
		}
		switch table.Class {
		case tables.Inventory, tables.Personal, tables.Secret, tables.Content, tables.Network:
		default:
			t.Errorf("%s: class %q is none of the data classes", table.Name, table.Class)
		}
		names := map[string]bool{}
		for _, c := range table.Columns {
			for _, name := range append([]string{c.Name}, c.Aliases...) {
				if names[name] {
					t.Errorf("%s: two columns are called %s", table.Name, name)
				}
				names[name] = true
			}
		}
	}
}
