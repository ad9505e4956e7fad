package export_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aiedr/edr/fleetsrv/export"
	"github.com/aiedr/edr/fleetsrv/store"
)

func openFile(t *testing.T, path, more string) export.Sink {
	t.Helper()
	list, err := parse(t, t.TempDir(), fmt.Sprintf(`[{"name":"f","type":"file","path":%q%s}]`, path, more))
	if err != nil {
		t.Fatal(err)
	}
	s, err := list[0].Open(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func send(t *testing.T, s export.Sink, n int) {
	t.Helper()
	var docs []store.ExportDocument
	for i := range n {
		docs = append(docs, rowOf(int64(i)))
	}
	if refused, err := s.Send(t.Context(), export.EDRDocuments(t, docs...)); err != nil || len(refused) > 0 {
		t.Fatal(refused, err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestFileRotates: files keep within their size, the newest aside is .1, and
// no more are kept than asked for.
func TestFileRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	s := openFile(t, path, `,"max_bytes":4096,"keep":3`)
	for range 20 {
		send(t, s, 5)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 4 {
		t.Fatalf("files %v %v", files, err)
	}
	for _, f := range files {
		text := read(t, f)
		if len(text) > 4096 || !strings.HasSuffix(text, "}\n") {
			t.Errorf("%s has %d bytes and ends with %q", f, len(text), text[max(0, len(text)-10):])
		}
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, info.Mode(), err)
		}
	}
}

// TestFileAfterCrash: half a line is cut off, whole ones stay.
func TestFileAfterCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	send(t, openFile(t, path, ""), 2)
	whole := read(t, path)
	for _, half := range []string{`{"id":"ha`, `{`, `{"x":"` + strings.Repeat("long ", 40_000)} {
		if err := os.WriteFile(path, []byte(whole+half), 0o600); err != nil {
			t.Fatal(err)
		}
		send(t, openFile(t, path, ""), 1)
		after := read(t, path)
		if !strings.HasPrefix(after, whole) || strings.Count(after, "\n") != 3 || strings.Contains(after, `"ha`) || strings.Contains(after, "long") {
			t.Errorf("after %.20s: %.300s", half, after)
		}
	}
}

// TestFileIsNotOurs: what is no file of edr's stays as it is.
func TestFileIsNotOurs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "picture")
	if err := os.WriteFile(path, []byte("\x89PNG and so on"), 0o600); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]string{path: "no line of edr's", dir: "no ordinary file", filepath.Join(dir, "none", "x"): "the folder " + filepath.Join(dir, "none") + " does not exist"} {
		_, err := openFile(t, p, "").Send(t.Context(), export.EDRDocuments(t, rowOf(int64(1))))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want …%s…", p, err, want)
		}
	}
	if read(t, path) != "\x89PNG and so on" {
		t.Error("the picture was changed")
	}
}

// TestFileMovedAway: a log rotation of somebody else's is followed.
func TestFileMovedAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	s := openFile(t, path, "")
	send(t, s, 1)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	send(t, s, 2)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	send(t, s, 3)
	if a, b := strings.Count(read(t, path+".old"), "\n"), strings.Count(read(t, path), "\n"); a != 1 || b != 3 {
		t.Errorf("%d lines moved away, %d in the new file", a, b)
	}
}
