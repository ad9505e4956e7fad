package tasksensor

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/filesensor"
	"github.com/aiedr/edr/tables/system"
)

type sink struct {
	mu     sync.Mutex
	events []*event.Task
	files  []*event.File
}

func (s *sink) Publish(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e := e.(type) {
	case *event.Task:
		s.events = append(s.events, e)
	case *event.File:
		s.files = append(s.files, e)
	}
}
func (s *sink) Lost(uint64, string) {}

func (s *sink) wait(t *testing.T, n int) []*event.Task {
	t.Helper()
	for range 1000 {
		s.mu.Lock()
		all := append([]*event.Task(nil), s.events...)
		s.mu.Unlock()
		if len(all) >= n {
			return all
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d events, want %d", len(s.events), n)
	return nil
}

// machine is a folder that is read as a machine; the sources of its tasks are
// named as the file sensor sees them.
type machine struct {
	dir  string
	fail error
}

func (m *machine) write(t *testing.T, name, text string) {
	t.Helper()
	full := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	// By another process: the file sensor leaves its own out.
	cmd := exec.Command("/bin/sh", "-c", `cat > "$1"`, "sh", full)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func (m *machine) read(ctx context.Context) ([]Task, []error, error) {
	if m.fail != nil {
		return nil, nil, m.fail
	}
	root, err := tables.DirRoot(m.dir)
	if err != nil {
		return nil, nil, err
	}
	rows, lacks, err := system.ReadTasks(ctx, &tables.Host{Root: root, Now: time.Now})
	var tasks []Task
	for _, t := range rows {
		tasks = append(tasks, Task{Name: t.Name, Type: t.Type, Source: m.dir + t.Source, Unit: t.Unit.V, Path: t.Path,
			Command: t.Command, Schedule: t.Schedule, User: t.User.V, Enabled: t.Enabled})
	}
	return tasks, lacks, err
}

func start(t *testing.T, o Options) (*run, *sink) {
	t.Helper()
	out := &sink{}
	r, err := (&compare{o.withDefaults()}).Start(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r.(*run), out
}

// TestChangesByFileEvents: a job that is added, changed and removed is told
// with the process that did it, by way of the file sensor, although the
// folder is none whose file events are published.
func TestChangesByFileEvents(t *testing.T) {
	testneed.Root(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{dir: dir}
	m.write(t, "etc/crontab", "17 * * * * root /bin/true\n")
	m.write(t, "etc/passwd", "root:x:0:0::/root:/bin/sh\n")
	feed := NewFeed([]string{dir + "/etc/crontab", dir + "/var/spool/cron", dir + "/etc/systemd/system"})
	_, out := start(t, Options{Read: m.read, Feed: feed, Every: time.Hour, Settle: 50 * time.Millisecond})
	files := filesensor.Mechanisms(filesensor.Options{Dirs: []string{dir + "/told"}, Saw: feed.Saw,
		Quiet: []string{dir + "/etc/crontab", dir + "/var/spool/cron", dir + "/etc/systemd/system"}})[0]
	fr, err := files.Start(t.Context(), out)
	if err != nil {
		testneed.Missing(t, "fanotify: "+err.Error())
	}
	defer fr.Close()

	m.write(t, "etc/crontab", "17 * * * * root /bin/true\n* * * * * root /tmp/.x\n")
	e := out.wait(t, 1)[0]
	if e.Action != event.TaskCreated || e.Command != "/tmp/.x" || e.User != "root" || e.Schedule != "* * * * *" ||
		e.TargetPath != dir+"/etc/crontab" || e.Path != "/tmp/.x" || e.PID == 0 || e.Source != "fanotify" || !e.Enabled {
		t.Errorf("added: %+v", e)
	}
	if e.UserID != 0 && e.Process != "" {
		t.Errorf("by %q of user %d, and root did it", e.Process, e.UserID)
	}
	m.write(t, "etc/crontab", "17 * * * * root /bin/true\n* * * * * root /tmp/.y\n")
	if e := out.wait(t, 2)[1]; e.Action != event.TaskModified || e.OldCommand != "/tmp/.x" || e.Command != "/tmp/.y" || e.OldUser != "root" || e.PID == 0 {
		t.Errorf("changed: %+v", e)
	}
	m.write(t, "etc/crontab", "17 * * * * root /bin/true\n")
	if e := out.wait(t, 3)[2]; e.Action != event.TaskDeleted || e.Command != "/tmp/.y" || e.PID == 0 {
		t.Errorf("removed: %+v", e)
	}
	m.write(t, "var/spool/cron/ann", "@reboot id\n") // in a folder that did not exist
	if e := out.wait(t, 4)[3]; e.Action != event.TaskCreated || e.User != "ann" || e.Schedule != "@reboot" {
		t.Errorf("of a user: %+v", e)
	}
	m.write(t, "etc/systemd/system/x.timer", "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n")
	if e := out.wait(t, 5)[4]; e.Action != event.TaskCreated || e.Name != "x.timer" || e.Type != "systemd_timer" {
		t.Errorf("timer: %+v", e)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	for _, f := range out.files {
		t.Errorf("a file event of a folder that is not told of: %s %s", f.Action, f.TargetPath)
	}
}

// TestChangesByComparing: without file events a change is found at the
// interval, and one of the time without an agent at the start.
func TestChangesByComparing(t *testing.T) {
	m := &machine{dir: t.TempDir()}
	state := filepath.Join(t.TempDir(), "tasks.json")
	m.write(t, "etc/passwd", "root:x:0:0::/root:/bin/sh\n")
	m.write(t, "etc/crontab", "1 1 * * * root /bin/a\n")
	r, out := start(t, Options{Read: m.read, Every: 20 * time.Millisecond, State: state})
	m.write(t, "etc/cron.d/b", "2 2 * * * ann /bin/b\nbroken\n")
	e := out.wait(t, 1)[0]
	if e.Action != event.TaskCreated || e.Command != "/bin/b" || e.User != "ann" || e.Source != "poll" || e.PID != 0 || e.UserID != -1 {
		t.Errorf("%+v", e)
	}
	for range 500 {
		if text, bad := r.Describe(); !bad && strings.Contains(text, "knows 2 tasks") && strings.Contains(text, "cron.d/b line 2") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if text, bad := r.Describe(); bad || !strings.Contains(text, "knows 2 tasks") || !strings.Contains(text, "cron.d/b line 2") {
		t.Errorf("%v %q", bad, text)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}

	m.write(t, "etc/crontab", "1 1 * * * root /bin/changed\n")
	r, out = start(t, Options{Read: m.read, Every: time.Hour, State: state})
	if got := out.wait(t, 1); len(got) != 1 || got[0].Action != event.TaskModified || got[0].OldCommand != "/bin/a" || got[0].Source != "restart" {
		t.Errorf("while no agent ran: %+v", got[0])
	}
	r.Close()
	_, out = start(t, Options{Read: m.read, Every: time.Hour, State: state})
	if len(out.events) != 0 {
		t.Errorf("told again: %+v", out.events[0])
	}
}

// TestReadingThatFails says so, and does not take all tasks for removed.
func TestReadingThatFails(t *testing.T) {
	m := &machine{dir: t.TempDir()}
	m.write(t, "etc/crontab", "1 1 * * * root /bin/a\n")
	var mu sync.Mutex
	var fail error
	read := func(ctx context.Context) ([]Task, []error, error) {
		mu.Lock()
		defer mu.Unlock()
		if fail != nil {
			return nil, nil, fail
		}
		return m.read(ctx)
	}
	r, out := start(t, Options{Read: read, Every: 10 * time.Millisecond})
	mu.Lock()
	fail = errors.New("disk on fire")
	mu.Unlock()
	for range 500 {
		if text, bad := r.Describe(); bad && strings.Contains(text, "disk on fire") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if text, bad := r.Describe(); !bad || !strings.Contains(text, "disk on fire") {
		t.Errorf("%v %q", bad, text)
	}
	if len(out.events) != 0 {
		t.Errorf("%+v", out.events[0])
	}
	if _, err := (&compare{Options{Read: read}.withDefaults()}).Start(t.Context(), out); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("a start that cannot read: %v", err)
	}
}

func TestDamagedState(t *testing.T) {
	m := &machine{dir: t.TempDir()}
	m.write(t, "etc/crontab", "1 1 * * * root /bin/a\n")
	for _, text := range []string{"{broken", `{"version": 99}`, ""} {
		state := filepath.Join(t.TempDir(), "tasks.json")
		if err := os.WriteFile(state, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, out := start(t, Options{Read: m.read, State: state})
		if note, _ := r.Describe(); !strings.Contains(note, "set aside") || len(out.events) != 0 {
			t.Errorf("%q: %q, %d events", text, note, len(out.events))
		}
		if got, err := os.ReadFile(state + ".damaged"); err != nil || string(got) != text {
			t.Errorf("%q: not set aside: %v", text, err)
		}
		if tasks, had, _ := readState(state); !had || len(tasks) != 1 {
			t.Errorf("%q: not kept anew", text)
		}
	}
}

var _ sensor.Describer = (*run)(nil)
