package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		d, err := Open(t.Context(), filepath.Join(t.TempDir(), "edr.db"))
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}

func open(t *testing.T, path string) *DB {
	t.Helper()
	d, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestAuditIsAppendOnly asks the database itself, past the store.
func TestAuditIsAppendOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "edr.db")
	d := open(t, path)
	defer d.Close()
	if err := d.AddAudit(t.Context(), store.Everything(), store.AuditEntry{Time: time.Now(), User: "ann", Action: "a"}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"UPDATE audit SET user = 'bob'", "DELETE FROM audit", "UPDATE audit SET detail = 'x' WHERE id = 1"} {
		err := d.write.do(t.Context(), func(tx *tx) error { return tx.exec(q) })
		if err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", q, err)
		}
	}
	l, err := d.ListAudit(t.Context(), store.Everything(), 0, 10)
	if err != nil || len(l) != 1 || l[0].User != "ann" {
		t.Errorf("%+v %v", l, err)
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a name with spaces?#.db")
	d := open(t, path)
	if err := d.SetSetting(t.Context(), store.Everything(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.SetSetting(t.Context(), store.Everything(), "k", "w"); err == nil {
		t.Error("a closed database takes writes")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v: the file is to be private", info, err)
	}
	d = open(t, path)
	defer d.Close()
	if v, err := d.Setting(t.Context(), store.Everything(), "k"); err != nil || v != "v" {
		t.Errorf("%q %v", v, err)
	}
}

func TestBrokenFile(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.db")
	if err := os.WriteFile(junk, []byte(strings.Repeat("this is no database. ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer.db")
	d := open(t, newer)
	if err := d.write.do(t.Context(), func(tx *tx) error {
		return tx.exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)")
	}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		junk:                               "no SQLite database",
		dir:                                "it is a folder",
		filepath.Join(dir, "none", "x.db"): "exists and is writable",
		newer:                              "start a server at least as new",
	} {
		_, err := Open(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want %q", path, err, want)
		}
	}
}

// TestPanicInAWrite: one write's fault does not end the writer.
func TestPanicInAWrite(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "x.db"))
	defer d.Close()
	if err := d.write.do(t.Context(), func(*tx) error { panic("oh") }); err == nil || !strings.Contains(err.Error(), "oh") {
		t.Errorf("%v", err)
	}
	if err := d.SetSetting(t.Context(), store.Everything(), "k", "v"); err != nil {
		t.Error(err)
	}
}
