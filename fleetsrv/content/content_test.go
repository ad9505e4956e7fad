package content

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/store/sqlite"
	"github.com/aiedr/edr/wire"
)

// reads answers the classes of a statement by a word in it.
type reads struct{}

func (reads) Check(_ context.Context, sql string) ([]string, error) {
	if strings.Contains(sql, "shadow") {
		return []string{"secret"}, nil
	}
	return []string{"inventory"}, nil
}

func manager(t *testing.T) (*Manager, *sqlite.DB, *strings.Builder) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "edr.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	log := &strings.Builder{}
	return New(db, reads{}, slog.New(slog.NewTextHandler(log, nil))), db, log
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func configuration(t *testing.T, m *Manager) wire.Configuration {
	t.Helper()
	serial, args := m.Configured("h")
	var c wire.Configuration
	if err := json.Unmarshal(args, &c); err != nil {
		t.Fatal(err)
	}
	if c.Serial != serial {
		t.Errorf("serial %d in the configuration, %d beside it", c.Serial, serial)
	}
	return c
}

const ownRule = `{"id":"own","name":"Own","description":"d","type":"process","severity":"low","enabled":true,"conditions":["name = 'x'"],"actions":["alert","terminate_process"]}`

func TestSeed(t *testing.T) {
	m, db, log := manager(t)
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"own.json":         ownRule,
		"broken.json":      `{"id": "b", "conditions": [`,
		"bad.yaml":         "id: bad\nname: Bad\ntype: process\nseverity: low\nenabled: true\nconditions: [\"nme = 'x'\"]\nactions: [alert]\n",
		"packs/extra.json": `{"queries":{"users":{"query":"SELECT * FROM shadow","interval":60},"os":{"query":"SELECT * FROM os_version","interval":60}}}`,
		"notes.txt":        "no content",
	})
	if err := m.Seed(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	c := configuration(t, m)
	names := map[string]bool{}
	for _, r := range c.Rules {
		names[r.Name] = true
	}
	packs := map[string]bool{}
	for _, p := range c.Packs {
		packs[p.Name] = true
	}
	if !names["own"] || names["bad"] || len(c.Rules) < 12 || !packs["extra"] || !packs["edr"] {
		t.Errorf("rules %v, packs %v", names, packs)
	}
	for _, want := range []string{"broken.json", "bad.yaml", "nme", "may not read"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not tell of %q:\n%s", want, log)
		}
	}
	if m.QueryClasses("pack_extra_users") != auth.Mask([]string{"secret"}) || m.QueryClasses("pack_extra_os") != auth.Mask([]string{"inventory"}) {
		t.Error("the classes of the pack's queries are not known")
	}
	if m.QueryClasses("never heard of") != auth.Mask(scheduled()) {
		t.Error("an unknown query counts as less than all")
	}

	// The same again is the same configuration, also for a server started anew.
	again := New(db, reads{}, slog.New(slog.DiscardHandler))
	if err := again.Seed(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if s, _ := again.Configured("h"); s != c.Serial {
		t.Errorf("serial %d, then %d", c.Serial, s)
	}

	// Approved, then edited: the actions of the new text are not approved.
	ctx, sc := t.Context(), store.Everything()
	r, err := db.Rule(ctx, sc, "own")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.ApproveRule(ctx, sc, "own", r.Version, "ann", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := m.Changed(ctx); err != nil {
		t.Fatal(err)
	}
	if c := configuration(t, m); len(c.Approvals) != 1 || c.Approvals[0].Version != r.Version {
		t.Fatalf("approvals %+v", c.Approvals)
	}
	write(t, dir, map[string]string{"own.json": strings.Replace(ownRule, "'x'", "'y'", 1)})
	if err := m.Seed(ctx, dir); err != nil {
		t.Fatal(err)
	}
	if c := configuration(t, m); len(c.Approvals) != 0 {
		t.Errorf("an edited rule keeps its approval: %+v", c.Approvals)
	}

	// What is taken out of the folder is taken from the hosts.
	if err := os.Remove(filepath.Join(dir, "own.json")); err != nil {
		t.Fatal(err)
	}
	if err := m.Seed(ctx, dir); err != nil {
		t.Fatal(err)
	}
	for _, r := range configuration(t, m).Rules {
		if r.Name == "own" {
			t.Error("a removed rule is still given to hosts")
		}
	}
}

// TestLocksDoNotCross: queues read the configuration under their own lock,
// which telling them of a new one takes.
func TestLocksDoNotCross(t *testing.T) {
	m, _, _ := manager(t)
	var queues sync.Mutex
	m.OnChange(func() { queues.Lock(); defer queues.Unlock() }, func(string) {})
	if err := m.Seed(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for range 500 {
				queues.Lock()
				m.Configured("h")
				queues.Unlock()
			}
		})
		all.Go(func() {
			for range 5 {
				if err := m.Changed(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// TestParsePacks: SQL of a class that scheduled queries may not read is
// refused before it is given to anybody.
func TestParsePacks(t *testing.T) {
	m, _, _ := manager(t)
	_, _, problems := m.ParsePacks(t.Context(), "p", `{"queries":{"a":{"query":"SELECT * FROM shadow"}}}`)
	if len(problems) != 1 || problems[0].Warning || !strings.Contains(problems[0].Message, "secret") || problems[0].Line != 1 {
		t.Errorf("%+v", problems)
	}
	packs, checked, problems := m.ParsePacks(t.Context(), "own.v1", `{"queries":{"a":{"query":"SELECT 1"}},"unknown":1}`)
	if len(packs) != 1 || packs[0].Name != "own.v1" || packs[0].Source != store.Console || len(checked) != 1 || checked[0].Queries != 1 ||
		len(problems) != 1 || !problems[0].Warning {
		t.Errorf("%+v %+v %+v", packs, checked, problems)
	}
	if _, err := loadPack(packs[0]); err != nil {
		t.Error(err)
	}
}

// TestMadeStays: what the console made is not replaced by the folder's.
func TestMadeStays(t *testing.T) {
	m, db, log := manager(t)
	rules, _, problems := m.ParseRules(ownRule)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if err := db.AddRules(t.Context(), store.Everything(), rules); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"own.json": strings.Replace(ownRule, "'x'", "'y'", 1)})
	if err := m.Seed(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	r, err := db.Rule(t.Context(), store.Everything(), "own")
	if err != nil || r.Source != store.Console || strings.Contains(string(r.Text), "'y'") {
		t.Errorf("%+v, %v", r, err)
	}
	if !strings.Contains(log.String(), "rule own") {
		t.Errorf("the log does not tell of it:\n%s", log)
	}
}
