package export_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/aiedr/edr/fleetsrv/export/exporttest"
	"github.com/aiedr/edr/wire"
)

// takenOf reads a document in the format "edr".
func takenOf(t *testing.T, body []byte) exporttest.Taken {
	t.Helper()
	var r struct{ ID string }
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatalf("%v: %.200s", err, body)
	}
	return exporttest.Taken{ID: r.ID, Body: body}
}

// fileReceiver is a folder; away, the folder is renamed.
type fileReceiver struct{ dir string }

func (f *fileReceiver) path() string { return filepath.Join(f.dir, "out", "edr.jsonl") }

func (f *fileReceiver) Config() string {
	return fmt.Sprintf(`{"type":"file","path":%q,"max_bytes":100000,"keep":0}`, f.path())
}

func (f *fileReceiver) Traits() exporttest.Traits {
	return exporttest.Traits{Ordered: true, CanFail: true}
}
func (f *fileReceiver) Poison(*testing.T, *wire.Hit) {}

func (f *fileReceiver) Down(t *testing.T) {
	if err := os.Rename(filepath.Join(f.dir, "out"), filepath.Join(f.dir, "away")); err != nil {
		t.Fatal(err)
	}
}

func (f *fileReceiver) Up(t *testing.T) {
	if err := os.Rename(filepath.Join(f.dir, "away"), filepath.Join(f.dir, "out")); err != nil {
		t.Fatal(err)
	}
}

func (f *fileReceiver) Taken(t *testing.T) []exporttest.Taken {
	var names []string
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s.%d", f.path(), n)
		if _, err := os.Stat(name); err != nil {
			break
		}
		names = append([]string{name}, names...)
	}
	var out []exporttest.Taken
	for _, name := range append(names, f.path()) {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			out = append(out, takenOf(t, append([]byte(nil), lines.Bytes()...)))
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestFileContract(t *testing.T) {
	exporttest.Run(t, func(t *testing.T) exporttest.Receiver {
		r := &fileReceiver{t.TempDir()}
		if err := os.Mkdir(filepath.Dir(r.path()), 0o700); err != nil {
			t.Fatal(err)
		}
		return r
	})
}
