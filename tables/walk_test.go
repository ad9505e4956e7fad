package tables_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aiedr/edr/tables"
	. "github.com/aiedr/edr/tables/tablestest"
)

func TestWalkFiles(t *testing.T) {
	deep := "/case" + strings.Repeat("/d", 70) + "/f"
	host := Host(t, map[string]string{
		"/case/a": "1", "/case/b/c": "2", "/case/link": "-> /outside/secret", "/case/dirlink": "-> /outside", "/outside/secret": "3",
		"/named": "-> /case", deep: "4",
	})
	walk := func(ctx context.Context, name string) (files []string, warnings []string, err error) {
		for f, e := range tables.WalkFiles(ctx, host.Root, name, func(w error) { warnings = append(warnings, w.Error()) }) {
			if e != nil {
				return files, warnings, e
			}
			files = append(files, f)
		}
		return files, warnings, nil
	}
	ctx := context.Background()
	files, warnings, err := walk(ctx, "/case/")
	if err != nil || !slices.Equal(files, []string{"/case/a", "/case/b/c"}) {
		t.Errorf("%v, %v", files, err)
	}
	for i, want := range []string{"deeper than 64 folders", "/case/dirlink is left out: a link", "/case/link is left out: a link"} {
		if i >= len(warnings) || !strings.Contains(warnings[i], want) {
			t.Errorf("no warning %q in %v", want, warnings)
		}
	}
	// What is named itself may be a link: it is what the operator means.
	if files, _, err := walk(ctx, "/named"); err != nil || len(files) != 2 {
		t.Errorf("a folder's link: %v, %v", files, err)
	}
	if files, _, err := walk(ctx, "/case/a"); err != nil || len(files) != 1 {
		t.Errorf("a file: %v, %v", files, err)
	}
	if _, _, err := walk(ctx, "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := walk(stopped, "/case"); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	if _, err := os.Stat(filepath.Join(host.Root.Dir(), "outside", "secret")); err != nil {
		t.Fatal(err) // the links led somewhere
	}
}
