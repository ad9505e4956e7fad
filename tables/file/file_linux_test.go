package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables"
	. "github.com/aiedr/edr/tables/tablestest"
)

func tree(t *testing.T) *tables.Host {
	host := Host(t, map[string]string{
		"etc/passwd": "hello\n", "etc/ho_ts": "x", "etc/hosts": "y", "etc/link": "-> passwd", "etc/abs": "-> /etc/hosts",
		"etc/dangling": "-> ../../../../none", "etc/loop": "-> loop", "etc/sub/deep/er/file": "z", "etc/sub/a*b": "star", "etc/sub/axb": "",
		"home/ann/.ssh/id": "k", "home/bob/.ssh/id": "k", "home/file": "", "home/to_ann": "-> ann", "empty/": "",
	})
	if err := syscall.Mkfifo(filepath.Join(host.Root.Dir(), "etc/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(host.Root.Dir(), "etc/ho_ts"), 0o4751|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	return host
}

func paths(r Result) string {
	var got []string
	for _, row := range r.Rows {
		got = append(got, row["path"].(string))
	}
	slices.Sort(got)
	return strings.Join(got, " ")
}

func TestFindFiles(t *testing.T) {
	host := tree(t)
	all := "/etc/abs /etc/dangling /etc/fifo /etc/ho_ts /etc/hosts /etc/link /etc/loop /etc/passwd /etc/sub"
	for _, c := range []struct {
		con  tables.Constraint
		want string
	}{
		{Equals("path", "/etc/passwd"), "/etc/passwd"},
		{Equals("path", "/etc/passwd", "/none", "relative", "", "/home/file"), "/etc/passwd /home/file"},
		{Equals("path", "/etc/../etc//passwd"), "/etc/../etc//passwd"},
		{Equals("path", "/etc/passwd/x"), ""},
		{Equals("directory", "/etc"), all},
		{Equals("directory", "/none"), ""},
		{Like("path", "/etc/%"), all},
		{Like("path", "/etc/pass%"), "/etc/passwd"},
		{Like("path", "/etc/ho_ts"), "/etc/ho_ts /etc/hosts"},
		{Like("path", "/etc/sub/a*b"), "/etc/sub/a*b /etc/sub/axb"}, // SQLite leaves out the second
		{Like("path", "/etc/sub/%%"), "/etc/sub/a*b /etc/sub/axb /etc/sub/deep /etc/sub/deep/er /etc/sub/deep/er/file"},
		{Like("path", "/etc/su%%"), "/etc/sub /etc/sub/a*b /etc/sub/axb /etc/sub/deep /etc/sub/deep/er /etc/sub/deep/er/file"},
		{Like("path", "/home/%/.ssh/%"), "/home/ann/.ssh/id /home/bob/.ssh/id /home/to_ann/.ssh/id"},
		{Like("path", "/etc/passwd"), "/etc/passwd"},
		{Like("path", "%"), ""},
		{Like("directory", "/home/%/.ssh"), "/home/ann/.ssh/id /home/bob/.ssh/id /home/to_ann/.ssh/id"},
		{Like("directory", "/etc/sub/%%"), "/etc/sub/deep/er /etc/sub/deep/er/file"},
		{tables.Constraint{Column: "path", Op: tables.Glob, Values: []any{"/etc/[hp]*s*"}}, "/etc/ho_ts /etc/hosts /etc/passwd"},
		{tables.Constraint{Column: "path", Op: tables.Glob, Values: []any{"/etc/[h"}}, ""},
	} {
		r := Scan(t, File, host, c.con)
		if got := paths(r); got != c.want || r.Err != nil {
			t.Errorf("%v:\n got %s, %v\nwant %s", c.con, got, r.Err, c.want)
		}
	}
	// SQLite compares the folder with the words of the query.
	if r := Scan(t, File, host, Equals("directory", "/home/ann/.ssh/")); len(r.Rows) != 1 || r.Rows[0]["directory"] != "/home/ann/.ssh/" {
		t.Errorf("with a slash at the end: %v", r.Rows)
	}
	if r := Scan(t, File, host, Like("directory", "/home/%/")); paths(r) != "/home/ann/.ssh /home/bob/.ssh" || r.Rows[0]["directory"] != "/home/ann/" {
		t.Errorf("a pattern with a slash at the end: %v", r.Rows)
	}
	var missing *tables.MissingConstraintError
	for _, table := range []*tables.Table{File, Hash} {
		if r := Scan(t, table, host); !errors.As(r.Err, &missing) {
			t.Errorf("%s without a constraint: %v", table.Name, r.Err)
		}
		if r := Scan(t, table, host, Equals("path", "/etc/passwd"), Equals("pid_with_namespace", 7)); !errors.Is(r.Err, tables.ErrNotBuilt) {
			t.Errorf("%s of another namespace: %v", table.Name, r.Err)
		}
		if r := Scan(t, table, host, Equals("path", "/etc/passwd"), Equals("pid_with_namespace", 0)); r.Err != nil || len(r.Rows) != 1 {
			t.Errorf("%s of namespace 0: %v", table.Name, r.Err)
		}
	}
}

func TestFileColumns(t *testing.T) {
	host := tree(t)
	before := time.Now().Unix()
	r := Scan(t, File, host, Equals("directory", "/etc"))
	Want(t, r.Find(t, "filename", "passwd"), map[string]any{
		"type": "regular", "size": 6, "mode": "0644", "symlink": 0, "symlink_target_path": "", "uid": os.Getuid(), "hard_links": 1, "directory": "/etc",
	})
	Want(t, r.Find(t, "filename", "ho_ts"), map[string]any{"mode": "4751"})
	Want(t, r.Find(t, "filename", "link"), map[string]any{"type": "regular", "size": 6, "symlink": 1, "symlink_target_path": "/etc/passwd"})
	Want(t, r.Find(t, "filename", "abs"), map[string]any{"type": "regular", "size": 1, "symlink": 1, "symlink_target_path": "/etc/hosts"})
	Want(t, r.Find(t, "filename", "dangling"), map[string]any{"type": "symlink", "symlink": 1, "symlink_target_path": "/none"})
	Want(t, r.Find(t, "filename", "loop"), map[string]any{"type": "symlink", "symlink": 1})
	Want(t, r.Find(t, "filename", "fifo"), map[string]any{"type": "fifo", "mode": "0600"})
	Want(t, r.Find(t, "filename", "sub"), map[string]any{"type": "directory"})
	row := r.Find(t, "filename", "passwd")
	for _, c := range []string{"mtime", "ctime", "atime"} {
		if got := row[c].(int64); got < before-60 || got > before+60 {
			t.Errorf("%s = %d, made at about %d", c, got, before)
		}
	}
	if row["inode"].(int64) == 0 || row["block_size"].(int64) == 0 {
		t.Errorf("%v", row)
	}
	r = Scan(t, File, Live(t), Equals("path", "/dev/null"))
	Want(t, r.Find(t, "path", "/dev/null"), map[string]any{"type": "character"})
}

func TestHash(t *testing.T) {
	host := tree(t)
	r := Scan(t, Hash, host, Equals("path", "/etc/link"))
	Want(t, r.Find(t, "path", "/etc/link"), map[string]any{
		"directory": "/etc", "md5": "b1946ac92492d2347c6235b4d2611184", "sha1": "f572d396fae9206628714fb2ce00f72e94f2258f",
		"sha256": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
	})
	// The FIFO, the folder and the links to nothing have no hash, and wait for
	// nobody.
	r = Scan(t, Hash, host, Equals("directory", "/etc"))
	if got := paths(r); got != "/etc/abs /etc/ho_ts /etc/hosts /etc/link /etc/passwd" {
		t.Errorf("of a folder: %s", got)
	}
	if !strings.Contains(fmt.Sprint(r.Warnings), "/etc/loop") {
		t.Errorf("the loop is not told: %v", r.Warnings)
	}
	r = Columns(t, Hash, host, []string{"path", "sha256"}, Equals("path", "/etc/hosts"))
	if len(r.Rows) != 1 || r.Rows[0]["sha256"] == "" {
		t.Errorf("one hash: %v", r.Rows)
	}
}

// TestDenied tells what an ordinary user may not list.
func TestDenied(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	host := tree(t)
	dir := filepath.Join(host.Root.Dir(), "empty")
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	if r := Scan(t, File, host, Equals("directory", "/empty")); len(r.Warnings) != 1 || r.Err != nil {
		t.Errorf("%v, %v", r.Warnings, r.Err)
	}
}

func TestDeep(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", maxDepth+3)), 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := tables.DirRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := Scan(t, File, &tables.Host{Root: root, Now: time.Now}, Like("path", "/%%"))
	if r.Err != nil || len(r.Rows) != maxDepth+1 || len(r.Warnings) != 1 {
		t.Errorf("%d rows, %v, %v", len(r.Rows), r.Err, r.Warnings)
	}
}

// TestStops ends a recursion with its context, with an error.
func TestStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	q := &tables.Query{Host: tree(t), Columns: []int{0}, Constraints: []tables.Constraint{Like("path", "/%%")}}
	var got error
	for _, err := range File.Batches(ctx, q) {
		got = err
	}
	if !errors.Is(got, context.Canceled) {
		t.Errorf("ended with %v", got)
	}
}

func TestHashOfDevice(t *testing.T) {
	testneed.Root(t)
	if r := Scan(t, Hash, Live(t), Equals("path", "/dev/zero")); r.Err != nil || len(r.Rows) != 0 {
		t.Errorf("%v, %v", r.Rows, r.Err)
	}
}
