package filesensor

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

func TestNotifySeesChanges(t *testing.T) {
	if runtime.GOOS != "linux" {
		testneed.Missing(t, "inotify")
	}
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(root+"/old/deep", 0o755); err != nil {
		t.Fatal(err)
	}
	r, out := start(t, newNotify(Options{Dirs: []string{root}}.withDefaults()))
	if text, degraded := r.(sensor.Describer).Describe(); !degraded || !strings.Contains(text, "without their process") {
		t.Errorf("%v %q", degraded, text)
	}
	p := startDoer(t)
	p.do("write", root+"/old/deep/a", "hello")
	out.wait(t, event.FileUpdated, root+"/old/deep/a")
	p.do("chmod", root+"/old/deep/a")
	p.do("mkdirall", root+"/n/e/w")
	for i := range 20 {
		p.do("write", fmt.Sprintf("%s/n/e/w/f%d", root, i), "x")
	}
	for i := range 20 {
		out.wait(t, event.FileCreated, fmt.Sprintf("%s/n/e/w/f%d", root, i))
	}
	e := out.wait(t, event.FileCreated, root+"/old/deep/a")
	if e.PID != 0 || e.Source != "inotify" || e.UserID != -1 {
		t.Errorf("%+v", e)
	}
	out.wait(t, event.FileAttributes, root+"/old/deep/a")
	p.do("rename", root+"/old/deep/a", root+"/b")
	out.wait(t, event.FileMovedFrom, root+"/old/deep/a")
	out.wait(t, event.FileCreated, root+"/b")
	p.do("remove", root+"/b")
	out.wait(t, event.FileDeleted, root+"/b")
	if len(out.causes) > 0 {
		t.Errorf("lost: %v", out.causes)
	}
}

func TestResolveRoots(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"a/b", "ab", "x"} {
		if err := os.MkdirAll(filepath.Join(base, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	os.WriteFile(base+"/x/f", nil, 0o600)
	os.WriteFile(base+"/a/f", nil, 0o600)
	os.Symlink("a", base+"/link")
	os.Symlink("loop", base+"/loop")
	r := resolveRoots([]string{base + "/link", base + "/a/b", base + "/ab", base + "/none", base + "/x/f", base + "/a/f", base + "/loop", ""}, []string{base + "/a/b/data"})
	if got := fmt.Sprint(r.dirs); got != fmt.Sprint([]string{base + "/a", base + "/ab"}) {
		t.Errorf("dirs %s", got)
	}
	if len(r.files) != 1 || !r.files[base+"/x/f"] {
		t.Errorf("files %v", r.files)
	}
	if len(r.missing) != 1 || len(r.notes) != 1 {
		t.Errorf("missing %v, notes %v", r.missing, r.notes)
	}
	for path, want := range map[string]watch{base + "/a/b": watchAll, base + "/x": watchFiles, base: watchFiles, base + "/abc": watchNothing} {
		if got := r.of(path); got != want {
			t.Errorf("%s is watched %d, want %d", path, got, want)
		}
	}
	if !r.excluded(base+"/a/b/data/log") || r.excluded(base+"/a/b/database") {
		t.Error("excluded")
	}
}

func TestSnapshotIsBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 10 {
		os.WriteFile(fmt.Sprint(dir, "/", i), nil, 0o600)
	}
	s := newSnapshot(5)
	r := resolveRoots([]string{dir}, nil)
	s.fill(&r)
	if s.count != 5 || !s.full {
		t.Errorf("%d files, full %v", s.count, s.full)
	}
	s.compare(&r, func(c change) { t.Errorf("told %+v of what did not fit", c) })
}
