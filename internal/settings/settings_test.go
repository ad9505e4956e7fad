package settings

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func parse(t *testing.T, file string, args ...string) (*flag.FlagSet, error) {
	t.Helper()
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(&strings.Builder{})
	fs.String("config", "", "")
	fs.String("server", "", "")
	fs.Duration("interval", 30*time.Second, "")
	fs.String("dirs", "/etc", "")
	fs.Bool("debug", false, "")
	if file != "" {
		path := filepath.Join(t.TempDir(), "edr.json")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-config", path)
	}
	return fs, Parse(fs, args, map[string]string{"server": "server_addr", "interval": "scan_interval", "dirs": "monitor_dirs", "debug": "debug"})
}

func TestFlagsWinOverTheFile(t *testing.T) {
	fs, err := parse(t, `{"server_addr":"https://a:1","scan_interval":"10s","monitor_dirs":["/a","/b"],"debug":true}`, "--server=https://b:2")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"server": "https://b:2", "interval": "10s", "dirs": "/a,/b", "debug": "true"} {
		if got := fs.Lookup(name).Value.String(); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestBadFiles(t *testing.T) {
	for file, want := range map[string]string{
		"{\n\"server_adr\":\"x\"}":             `edr.json:2: unknown key "server_adr"; the keys are debug, monitor_dirs, scan_interval, server_addr`,
		"{\n\"debug\":true,\n\"debug\":false}": `edr.json:3: key "debug" stands twice`,
		"{\"scan_interval\":\n\"soon\"}":       `key "scan_interval": "soon" does not fit: parse error; it takes`,
		"{\n\n\"debug\": maybe}":               `edr.json:3: invalid character`,
		"[]":                                   "must hold one JSON object",
		"{\"debug\":{}}":                       "want a text",
		"{\"monitor_dirs\":[1]}":               "element 1 is not a text",
		"{\"debug\":true}{":                    "text after the object",
		"{\"debug\":true":                      "edr.json:1: the file ends before the closing }",
	} {
		if _, err := parse(t, file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", file, err, want)
		}
	}
	if _, err := parse(t, "", "-debug", "extra"); err == nil || !strings.Contains(err.Error(), `"extra"`) {
		t.Errorf("an argument too many: %v", err)
	}
	if _, err := parse(t, "", "-config", "/no/such/file"); err == nil {
		t.Error("a missing file was accepted")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":["x"],"c":null}`))
	f.Add([]byte(`{"a":`))
	f.Fuzz(func(t *testing.T, b []byte) {
		vals, err := decode(b)
		if err == nil && len(vals) > len(b) {
			t.Error("more values than bytes")
		}
	})
}
