package agent

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/scheduler"
	"github.com/aiedr/edr/scheduler/governor"
	"github.com/aiedr/edr/wire"
)

func TestMerged(t *testing.T) {
	dir := t.TempDir() // an absolute path of this system
	own := Settings{Interval: 30 * time.Second, Dirs: []string{"/etc"}, CPULimit: 5, Respond: "observe"}
	if got, errs := merged(own, wire.Settings{}); !reflect.DeepEqual(got, own) || len(errs) > 0 {
		t.Errorf("nothing is set: %+v, %v", got, errs)
	}
	got, errs := merged(own, wire.Settings{Interval: 60, MonitorDirs: []string{dir}, CPULimit: 2.5, RecorderMiB: 64, RecorderHours: 2})
	want := Settings{Interval: time.Minute, Dirs: []string{dir}, CPULimit: 2.5, RecorderBytes: 64 << 20, RecorderAge: 2 * time.Hour, Respond: "observe"}
	if !reflect.DeepEqual(got, want) || len(errs) > 0 {
		t.Errorf("all is set: %+v, %v", got, errs)
	}
	got, errs = merged(own, wire.Settings{Interval: -1, MonitorDirs: []string{"etc"}, CPULimit: 1e6, RecorderMiB: -1, RecorderHours: 1 << 40})
	if !reflect.DeepEqual(got, own) || len(errs) != 5 {
		t.Errorf("what no agent could do: %+v, %v", got, errs)
	}
}

// TestServerCannotSetRespond: whatever a configuration says, how far rules act
// stays the host's own.
func TestServerCannotSetRespond(t *testing.T) {
	var cfg wire.Configuration
	if err := json.Unmarshal([]byte(`{"settings":{"respond":"auto","cpu_limit":7,"Respond":"auto"},"respond":"auto"}`), &cfg); err != nil {
		t.Fatal(err)
	}
	if got, _ := merged(Settings{Respond: "observe"}, cfg.Settings); got.Respond != "observe" || got.CPULimit != 7 {
		t.Errorf("%+v", got)
	}
}

func TestApplySettings(t *testing.T) {
	var out bytes.Buffer
	a := &Agent{settings: Settings{Data: t.TempDir(), Server: "https://s", Interval: time.Minute, CPULimit: 5, Dirs: []string{"/etc"}}, log: silent}
	kept, err := json.Marshal(wire.Configuration{Serial: 3, Settings: wire.Settings{CPULimit: 3, RecorderMiB: 32}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.configPath(), kept, 0o600); err != nil {
		t.Fatal(err)
	}
	// What the server said last is in force from the start, also for what is
	// read only then.
	a.readLast()
	if a.settings.CPULimit != 3 || a.settings.RecorderBytes != 32<<20 || a.own.CPULimit != 5 {
		t.Fatalf("%+v of %+v", a.settings, a.own)
	}
	if a.governor, err = governor.New(a.settings.CPULimit); err != nil {
		t.Fatal(err)
	}
	a.problems = newProblems(&lineReporter{out: &out, log: silent}, silent, time.Now)
	a.packs = &packs{a: a}
	if a.packs.s, err = scheduler.New(scheduler.Options{Dir: filepath.Join(t.TempDir(), "s"), Runner: a.packs, Sink: packSink{a}, Hostname: "h", GOOS: "linux"}); err != nil {
		t.Fatal(err)
	}
	defer a.packs.s.Close()
	pace := func() time.Duration {
		a.packs.s.SetPacks(&pack.Config{Packs: []*pack.Pack{{Name: "p", Queries: []*pack.Query{{Name: "q", SQL: "SELECT 1", StartupPriority: -1}}}}})
		return a.packs.s.Stats()[0].Interval
	}
	a.applySettings(wire.Settings{CPULimit: 9, Interval: 120, RecorderMiB: 32})
	if got := a.governor.Stats().Limit; got != 9 {
		t.Errorf("limit %v at once, want 9", got)
	}
	if got := pace(); got != 2*time.Minute {
		t.Errorf("pace of queries %v at once, want 2m", got)
	}
	if a.settings.Interval != time.Minute {
		t.Errorf("the settings that sensors read changed under them: %+v", a.settings)
	}
	// Nothing set: the host's own again.
	a.applySettings(wire.Settings{})
	if got := a.governor.Stats().Limit; got != 5 {
		t.Errorf("limit %v, want the host's own", got)
	}
	if got := pace(); got != time.Minute {
		t.Errorf("pace of queries %v, want the host's own", got)
	}
}

// TestSettingsAreTold: what waits for a new start, or is wrong, is no secret.
func TestSettingsAreTold(t *testing.T) {
	var log bytes.Buffer
	l := slog.New(slog.NewTextHandler(&log, nil))
	a := &Agent{settings: Settings{CPULimit: 5, Dirs: []string{"/etc"}}, log: l}
	a.readLast()
	var err error
	if a.governor, err = governor.New(5); err != nil {
		t.Fatal(err)
	}
	a.problems = newProblems(&lineReporter{out: &log, log: l}, l, time.Now)
	a.packs = &packs{a: a}
	if a.packs.s, err = scheduler.New(scheduler.Options{Dir: t.TempDir(), Runner: a.packs, Sink: packSink{a}, Hostname: "h", GOOS: "linux"}); err != nil {
		t.Fatal(err)
	}
	defer a.packs.s.Close()
	a.applySettings(wire.Settings{MonitorDirs: []string{t.TempDir()}, CPULimit: -1})
	for _, want := range []string{"monitor_dirs: taken up when this agent starts again", "cpu_limit -1"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("not told: %s\n%s", want, log.String())
		}
	}
}
