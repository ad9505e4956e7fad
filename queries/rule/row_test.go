package rule

import (
	"strings"
	"testing"

	"github.com/aiedr/edr/wire"
)

func TestWhen(t *testing.T) {
	columns := []string{"pid", "name", "score", "none", "port"}
	row := wire.Row{wire.ValueOf(int64(7)), wire.ValueOf("Nc"), wire.ValueOf(1.5), wire.ValueOf(nil), wire.ValueOf("4444")}
	for c, want := range map[string]bool{
		"pid = 7 and name = 'nc'":                 true,
		"score > 1 and score <= 1.5":              true,
		"none = ''":                               false,
		"none != 'x'":                             false,
		"name != 'x' and pid != 8 and score != 1": true,
		"pid != 7":                                false,
		"none > 0":                                false,
		"port = 4444":                             true,
		"port in (1, '4444')":                     true,
		"port > 5000":                             false,
		"PID = '7'":                               true,
		"name matches '^N'":                       true,
		"name contains 'C' or pid = 0":            true,
	} {
		w, err := CompileWhen(c, columns)
		if err != nil {
			t.Errorf("%s: %v", c, err)
			continue
		}
		got, rerr := w.Match(row)
		if rerr != nil || got != want {
			t.Errorf("%s = %v, %v; want %v", c, got, rerr, want)
		}
	}
	if _, err := CompileWhen("nmae = 'x'", columns); err == nil || !strings.Contains(err.Next, "did you mean name") {
		t.Errorf("unknown column: %v", err)
	}
	if err := CheckWhen("anything = 1 and x matches '('"); err == nil {
		t.Error("a bad regular expression passed")
	}
}
