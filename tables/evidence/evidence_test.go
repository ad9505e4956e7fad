package evidence

import (
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"testing"

	"github.com/aiedr/edr/tables"
	. "github.com/aiedr/edr/tables/tablestest"
)

// What cannot be read must never look like an empty machine.
func TestUnread(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the answer of another system")
	}
	for _, table := range []*tables.Table{Registry, WindowsEvents} {
		for _, host := range []*tables.Host{Live(t), Host(t, nil)} {
			r := Scan(t, table, host)
			if !errors.Is(r.Err, tables.ErrNotSupported) || !strings.Contains(r.Err.Error(), "evidence =") {
				t.Errorf("%s: %v", table.Name, r.Err)
			}
			r = Scan(t, table, host, Equals("evidence", "/no/such/case"))
			if !errors.Is(r.Err, fs.ErrNotExist) {
				t.Errorf("%s with evidence: %v", table.Name, r.Err)
			}
		}
	}
}
