package filesensor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

func startFanotify(t testing.TB, o Options) (*watcher, *sink) {
	t.Helper()
	testneed.Root(t)
	out := &sink{}
	r, err := (&fanotify{o.withDefaults()}).Start(t.Context(), out)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		testneed.Missing(t, "fanotify: "+err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r.(*watcher), out
}

func TestFanotifySeesAllWithPid(t *testing.T) {
	root := t.TempDir()
	w, out := startFanotify(t, Options{Dirs: []string{root}, Drain: 100 * time.Millisecond})
	p := startDoer(t)
	p.do("many", root)
	p.do("write", root+"/end", "x")
	out.wait(t, event.FileUpdated, root+"/end")

	got := map[string]int{}
	for _, e := range out.all() {
		if e.PID != p.pid {
			t.Fatalf("%s %s by pid %d, want %d", e.Action, e.TargetPath, e.PID, p.pid)
		}
		got[e.Action+" "+e.TargetPath]++
	}
	missing := 0
	need := func(action, path string) {
		if got[action+" "+path] == 0 {
			if missing++; missing < 10 {
				t.Errorf("not seen: %s %s", action, path)
			}
		}
	}
	for d := range manyDirs {
		dir := manyDir(root, d)
		need(event.FileCreated, dir)
		if d%2 == 0 {
			need(event.FileDeleted, dir)
		}
		for i := range manyFiles {
			a, b := fmt.Sprintf("%s/a%d", dir, i), fmt.Sprintf("%s/b%d", dir, i)
			need(event.FileCreated, a)
			need(event.FileUpdated, a)
			need(event.FileMovedFrom, a)
			need(event.FileMovedTo, b)
			need(event.FileDeleted, b)
		}
	}
	if missing > 0 {
		t.Errorf("%d changes not seen", missing)
	}
	if len(out.causes) > 0 {
		t.Errorf("lost: %v", out.causes)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if len(w.folders.dying) > 0 {
		t.Errorf("%d removed folders are still remembered", len(w.folders.dying))
	}
}

func TestFanotifyDescribesFileAndProcess(t *testing.T) {
	root := t.TempDir()
	_, out := startFanotify(t, Options{Dirs: []string{root}, Category: "etc"})
	p := startDoer(t)
	path := root + "/new file \n\xff"
	p.do("mkdir", root+"/sub")
	p.do("write", root+"/a", "hello")
	p.do("chmod", root+"/a")
	p.do("rename", root+"/a", root+"/sub/b")
	p.do("symlink", "/etc/shadow", root+"/link")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // by this process: not told
		t.Fatal(err)
	}
	p.do("remove", root+"/sub/b")
	out.wait(t, event.FileDeleted, root+"/sub/b")

	e := out.wait(t, event.FileUpdated, root+"/a")
	var st unix.Stat_t
	if err := unix.Stat(root+"/sub", &st); err != nil {
		t.Fatal(err)
	}
	exe, _ := os.Executable()
	if e.Category != "etc" || e.PID != p.pid || e.Process != exe || e.UserID != int64(os.Getuid()) ||
		e.Parent != int64(os.Getpid()) || e.StartTime == 0 || e.Cmdline == "" || e.Source != "fanotify" {
		t.Errorf("%+v", e)
	}
	if d := out.wait(t, event.FileCreated, root+"/sub"); d.Inode != int64(st.Ino) || d.Mode != "0755" {
		t.Errorf("folder %+v, inode %d", d, st.Ino)
	}
	from, to := out.find(event.FileMovedFrom, root+"/a"), out.find(event.FileMovedTo, root+"/sub/b")
	if from == nil || to == nil || from.TransactionID == 0 || from.TransactionID != to.TransactionID || to.OldPath != root+"/a" {
		t.Errorf("move %+v to %+v", from, to)
	}
	if e := out.wait(t, event.FileCreated, root+"/link"); e.Size != int64(len("/etc/shadow")) {
		t.Errorf("the link was followed: %+v", e)
	}
	if e := out.find(event.FileAttributes, root+"/a"); e == nil {
		t.Error("chmod was not seen")
	}
	for _, what := range []string{"chown", "times", "xattr"} {
		p.do("write", root+"/"+what, "x")
		out.wait(t, event.FileUpdated, root+"/"+what)
		p.do(what, root+"/"+what)
		out.wait(t, event.FileAttributes, root+"/"+what)
	}
	for _, e := range out.all() {
		if e.Action == event.FileAttributes && !slices.Contains([]string{"a", "chown", "times", "xattr"}, filepath.Base(e.TargetPath)) {
			t.Errorf("attributes of %s changed, and nobody changed them", e.TargetPath)
		}
	}
	if e := out.find(event.FileCreated, path); e != nil {
		t.Error("a change by the sensor's own process was told")
	}
}

func TestFanotifyFollowsFoldersThatMove(t *testing.T) {
	base := t.TempDir()
	in, outside := base+"/watched", base+"/elsewhere"
	for _, d := range []string{in, outside + "/tree/deep", in + "/old/deep"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	_, out := startFanotify(t, Options{Dirs: []string{in}})
	p := startDoer(t)
	p.do("write", outside+"/tree/deep/unseen", "x")
	p.do("write", in+"/before", "x") // an event is placed by where its folder is when it is read
	out.wait(t, event.FileUpdated, in+"/before")
	p.do("rename", outside+"/tree", in+"/tree") // comes to be watched
	p.do("write", in+"/tree/deep/one", "x")
	p.do("rename", in+"/old", in+"/new") // moves inside
	p.do("write", in+"/new/deep/two", "x")
	p.do("rename", in+"/new", outside+"/new") // leaves
	p.do("write", outside+"/new/deep/three", "x")
	p.do("write", in+"/end", "x")
	out.wait(t, event.FileUpdated, in+"/end")
	out.wait(t, event.FileCreated, in+"/tree/deep/one")
	out.wait(t, event.FileMovedTo, in+"/new")
	if e := out.wait(t, event.FileMovedTo, in+"/tree"); e.OldPath != outside+"/tree" {
		t.Errorf("moved in from %q", e.OldPath)
	}
	if e := out.find(event.FileMovedFrom, in+"/old"); e == nil || e.NewPath != in+"/new" {
		t.Errorf("moved inside: %+v", e)
	}
	if e := out.wait(t, event.FileMovedFrom, in+"/new"); e.NewPath != outside+"/new" {
		t.Errorf("moved out to %q", e.NewPath)
	}
	two := false
	for _, e := range out.all() {
		if filepath.Base(e.TargetPath) == "unseen" || filepath.Base(e.TargetPath) == "three" {
			t.Errorf("told of a folder that is not watched: %s %s", e.Action, e.TargetPath)
		}
		two = two || filepath.Base(e.TargetPath) == "two"
	}
	if !two {
		t.Error("a file in a folder that was moved twice was not seen")
	}
}

func TestFanotifyMissingAndLinkedFolders(t *testing.T) {
	base := t.TempDir()
	if err := os.MkdirAll(base+"/usr/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("usr/bin", base+"/bin"); err != nil {
		t.Fatal(err)
	}
	data := base + "/usr/bin/agent"
	late := base + "/root/.ssh"
	w, out := startFanotify(t, Options{Dirs: []string{base + "/bin", base + "/usr/bin", late}, Exclude: []string{data}})
	if text, degraded := w.Describe(); !strings.Contains(text, "not there yet: "+late) || degraded {
		t.Errorf("%v %q", degraded, text)
	}
	p := startDoer(t)
	p.do("mkdir", data)
	p.do("write", data+"/log", "x")
	p.do("write", base+"/usr/bin/tool", "x")
	p.do("mkdirall", late)
	p.do("write", late+"/authorized_keys", "x")
	out.wait(t, event.FileCreated, late+"/authorized_keys")
	n := 0
	for _, e := range out.all() {
		if e.Action == event.FileCreated && filepath.Base(e.TargetPath) == "tool" {
			n++
		}
		if below(e.TargetPath, data) {
			t.Errorf("told of what is excluded: %s %s", e.Action, e.TargetPath)
		}
	}
	if n != 1 {
		t.Errorf("a file in a folder with two names was told %d times", n)
	}
	for range 500 {
		if text, _ := w.Describe(); !strings.Contains(text, "not there yet") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if text, _ := w.Describe(); strings.Contains(text, "not there yet") {
		t.Errorf("still missing: %q", text)
	}
}

func TestFanotifyRescansAfterOverflow(t *testing.T) {
	root := t.TempDir()
	for _, n := range []string{"same", "changed", "removed", "replaced"} {
		if err := os.WriteFile(root+"/"+n, []byte(n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := &sink{}
	w := &watcher{o: Options{Dirs: []string{root}}.withDefaults(), out: plain{out}, snapshot: newSnapshot(100), fd: -1}
	w.folders = newFolders(w.snapshot)
	w.roots = resolveRoots(w.o.Dirs, nil)
	w.snapshot.fill(&w.roots)
	os.WriteFile(root+"/changed", []byte("changed more"), 0o600)
	os.Remove(root + "/removed")
	os.WriteFile(root+"/tmp", []byte("replaced"), 0o600)
	os.Rename(root+"/tmp", root+"/replaced")
	os.Mkdir(root+"/dir", 0o755)
	os.WriteFile(root+"/dir/new", nil, 0o600)
	w.handle(&notice{mask: overflowBit, fd: -1, pidfd: -1})
	if len(out.causes) != 1 || !w.overflow {
		t.Fatalf("overflow was not told: %v", out.causes)
	}
	w.settle()
	w.release()
	got := map[string]bool{}
	for _, e := range out.all() {
		got[e.Action+" "+strings.TrimPrefix(e.TargetPath, root)] = true
		if e.PID != 0 || e.Source != "rescan" || e.UserID != -1 {
			t.Errorf("%+v", e)
		}
	}
	for _, want := range []string{"UPDATED /changed", "DELETED /removed", "DELETED /replaced", "CREATED /replaced", "CREATED /dir", "CREATED /dir/new"} {
		if !got[want] {
			t.Errorf("%s was not found again", want)
		}
	}
	if len(got) != 6 {
		t.Errorf("found %v", got)
	}
	w.settle()
	w.release()
	if n := len(out.all()); n != 6 {
		t.Errorf("%d rows after a second look", n)
	}
}

// TestFanotifyLooksUpAfterCatchingUp: what is known of processes comes in
// batches, and is asked for once a batch.
func TestFanotifyLooksUpAfterCatchingUp(t *testing.T) {
	root := t.TempDir()
	asked, known := 0, false
	w, out := startFanotify(t, Options{Dirs: []string{root}, Drain: 200 * time.Millisecond,
		CatchUp: func() { known = true },
		Lookup: func(pid int64) ProcInfo {
			asked++
			defer func() { known = false }()
			return ProcInfo{Path: "/bin/late", Known: known}
		}})
	p := startDoer(t)
	for i := range 100 {
		p.do("write", fmt.Sprint(root, "/", i), "x")
	}
	p.do("remove", root+"/1")
	out.wait(t, event.FileDeleted, root+"/1")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{event.FileCreated, event.FileUpdated, event.FileDeleted}
	var got []string
	for _, e := range out.all() {
		if e.TargetPath == root+"/1" {
			got = append(got, e.Action)
		}
		if e.Process != "/bin/late" {
			t.Fatalf("%s %s by %q", e.Action, e.TargetPath, e.Process)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("saw %v, want %v in this order", got, want)
	}
	if asked >= 100 {
		t.Errorf("one process was looked up %d times", asked)
	}
}

// marks counts the marks of fanotify groups in this process.
func marks(t *testing.T) (groups int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if l, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.Contains(l, "fanotify") {
			groups++
		}
	}
	return groups
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

func TestFanotifyCloseLeavesNothing(t *testing.T) {
	startDoer(t) // opens what the runtime keeps open
	before := -1
	for range 3 {
		root := t.TempDir()
		w, out := startFanotify(t, Options{Dirs: []string{root}})
		p := startDoer(t)
		p.do("write", root+"/f", "x")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if out.find(event.FileUpdated, root+"/f") == nil {
			t.Error("what was queued at Close was not told")
		}
		if n := marks(t); n != 0 {
			t.Errorf("%d fanotify groups are still open", n)
		}
		n := openFiles(t) // two pipes and a pidfd of the doer each round
		if before >= 0 && n > before+3 {
			t.Errorf("%d files open, %d before", n, before)
		}
		before = n
		if w.Err() != nil {
			t.Errorf("after Close: %v", w.Err())
		}
	}
}

func TestFanotifyNoFolders(t *testing.T) {
	testneed.Root(t)
	w, _ := startFanotify(t, Options{Dirs: []string{"/nonexistent/one", "/proc/self"}})
	if text, degraded := w.Describe(); !degraded || !strings.Contains(text, "/nonexistent/one") {
		t.Errorf("%v %q", degraded, text)
	}
}

var _ sensor.Drainer = (*watcher)(nil)
