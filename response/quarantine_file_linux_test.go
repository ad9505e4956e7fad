package response

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/wire"
)

// bench is a quarantine in a folder of its own beside a folder with files.
type bench struct {
	t     *testing.T
	set   *Set
	files string
	store string
}

func newBench(t *testing.T, o Options) *bench {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, files: filepath.Join(root, "files"), store: filepath.Join(root, "quarantine")}
	if err := os.Mkdir(b.files, 0o755); err != nil {
		t.Fatal(err)
	}
	o.QuarantineDir = b.store
	b.set = NewSet(All(o)...)
	t.Cleanup(b.thaw)
	return b
}

// thaw lets the test's folder be removed.
func (b *bench) thaw() {
	_ = filepath.WalkDir(b.files, func(path string, _ os.DirEntry, _ error) error { melt(path); return nil })
	_ = filepath.WalkDir(b.store, func(path string, _ os.DirEntry, _ error) error { melt(path); return nil })
}

func melt(path string) {
	if fi, err := os.Lstat(path); err != nil || !fi.Mode().IsRegular() {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	if flags, ok := inodeFlags(int(f.Fd())); ok {
		_ = setInodeFlags(int(f.Fd()), flags&^(flagImmutable|flagAppend))
	}
}

func (b *bench) file(name, text string, mode os.FileMode) (string, QuarantineFileArgs) {
	b.t.Helper()
	path := filepath.Join(b.files, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		b.t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		b.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(text))
	return path, QuarantineFileArgs{Path: path, Inode: st.Ino, SHA256: hex.EncodeToString(sum[:])}
}

func (b *bench) run(action string, args any, dry bool) wire.Outcome {
	b.t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.set.Run(context.Background(), wire.Respond{ID: "r1", Action: action, Args: raw, DryRun: dry, By: "maria", Reason: "a test"})
}

func (b *bench) undo(out wire.Outcome) wire.Outcome {
	b.t.Helper()
	var u wire.Undo
	if err := json.Unmarshal(out.Undo, &u); err != nil {
		b.t.Fatalf("the undo of %+v: %v", out, err)
	}
	return b.set.Run(context.Background(), wire.Respond{ID: "r2", Action: u.Action, Args: u.Args})
}

func (b *bench) kept() []Quarantined {
	b.t.Helper()
	items, err := ListQuarantine(b.store)
	if err != nil {
		b.t.Fatal(err)
	}
	return items
}

// empty says that nothing was left behind in quarantine, not even a part.
func (b *bench) empty() {
	b.t.Helper()
	left, err := os.ReadDir(b.store)
	if err != nil && !os.IsNotExist(err) {
		b.t.Fatal(err)
	}
	if len(left) > 0 {
		b.t.Errorf("%d files are left in quarantine: %v", len(left), left)
	}
	beside, err := os.ReadDir(b.files)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range beside {
		if strings.HasPrefix(e.Name(), ".edr-") {
			b.t.Errorf("%s is left beside the files", e.Name())
		}
	}
}

func wantOutcome(t *testing.T, out wire.Outcome, state, text string) {
	t.Helper()
	if out.State != state || !strings.Contains(out.Plan+"\n"+out.Seen+"\n"+out.Error, text) {
		t.Errorf("got %s: plan %q seen %q error %q, want %s with %q", out.State, out.Plan, out.Seen, out.Error, state, text)
	}
}

func TestQuarantineAndRestore(t *testing.T) {
	b := newBench(t, Options{})
	path, args := b.file("dropper", "#!/bin/sh\nexit 7\n", 0o4755)
	when := time.Date(2020, 2, 3, 4, 5, 6, 789, time.UTC)
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
	attribute := unix.Setxattr(path, "user.origin", []byte("mail\x00"), 0)
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 4321, 4322); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, os.ModeSetuid|0o755); err != nil {
			t.Fatal(err)
		}
	}
	var before unix.Stat_t
	if err := unix.Stat(path, &before); err != nil {
		t.Fatal(err)
	}

	dry := b.run("quarantine_file", map[string]string{"path": path}, true)
	wantOutcome(t, dry, "planned", "move "+path)
	var whole QuarantineFileArgs
	if err := json.Unmarshal(dry.Args, &whole); err != nil || whole.Inode != args.Inode || whole.SHA256 != args.SHA256 || *whole.Size != 17 {
		t.Fatalf("a dry run completes the arguments to %s (%v), want inode %d and SHA-256 %s", dry.Args, err, args.Inode, args.SHA256)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("a dry run changed something: %v", err)
	}
	b.empty()

	out := b.run("quarantine_file", whole, false)
	wantOutcome(t, out, "done", "is gone from its place")
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	items := b.kept()
	if len(items) != 1 || items[0].Path != path || items[0].SHA256 != args.SHA256 || items[0].By != "maria" ||
		items[0].Reason != "a test" || items[0].Request != "r1" || items[0].Mode != octal(before.Mode&0o7777) {
		t.Fatalf("the list is %+v", items)
	}
	kept := filepath.Join(b.store, items[0].ID)
	if fi, err := os.Stat(kept); err != nil || fi.Mode().Perm() != 0 {
		t.Errorf("what is kept has mode %v (%v), want 000", fi.Mode(), err)
	}
	if fi, err := os.Stat(b.store); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v (%v), want 0700", fi.Mode(), err)
	}
	if err := exec.Command(kept).Run(); !os.IsPermission(err) {
		t.Errorf("what is kept can be run: %v", err)
	}
	if strings.Contains(out.Seen, "immutable") {
		if err := os.WriteFile(kept, nil, 0o600); err == nil {
			t.Error("what is kept can be written")
		}
	}

	// Nothing is overwritten.
	if err := os.WriteFile(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, b.undo(out), "refused", "something else stands at")
	if text, err := os.ReadFile(path); err != nil || string(text) != "new" {
		t.Fatalf("the new file was touched: %q, %v", text, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}

	wantOutcome(t, b.undo(out), "done", path+" is back")
	var after unix.Stat_t
	if err := unix.Stat(path, &after); err != nil {
		t.Fatal(err)
	}
	if after.Mode != before.Mode || after.Uid != before.Uid || after.Gid != before.Gid || after.Mtim != before.Mtim || after.Size != before.Size {
		t.Errorf("it came back as %+v, was %+v", after, before)
	}
	if attribute == nil {
		value := make([]byte, 16)
		if n, err := unix.Getxattr(path, "user.origin", value); err != nil || string(value[:n]) != "mail\x00" {
			t.Errorf("its extended attribute came back as %q, %v", value[:max(n, 0)], err)
		}
	}
	b.empty()
	wantOutcome(t, b.undo(out), "failed", "there is no quarantined file")
}

func TestQuarantineRefuses(t *testing.T) {
	b := newBench(t, Options{maxFile: 100})
	path, args := b.file("a", "content", 0o644)
	with := func(change func(*QuarantineFileArgs)) QuarantineFileArgs {
		c := args
		change(&c)
		return c
	}
	at := func(name string) QuarantineFileArgs {
		return with(func(a *QuarantineFileArgs) { a.Path = filepath.Join(b.files, name); a.Inode = inodeOf(t, a.Path) })
	}
	_, large := b.file("large", strings.Repeat("x", 101), 0o644)
	if err := os.Symlink(path, filepath.Join(b.files, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(b.files, filepath.Join(b.files, "around")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(b.files, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(b.files, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	seven, eight := int64(7), int64(8)
	cases := map[string]struct {
		args        any
		state, want string
	}{
		"another inode":          {with(func(a *QuarantineFileArgs) { a.Inode++ }), "failed", "another file now: its inode"},
		"another device":         {with(func(a *QuarantineFileArgs) { a.Device = 1 }), "failed", "another file now: its device"},
		"another size":           {with(func(a *QuarantineFileArgs) { a.Size = &eight }), "failed", "another file now: its size"},
		"another content":        {with(func(a *QuarantineFileArgs) { a.SHA256 = strings.Repeat("0", 64); a.Size = &seven }), "failed", "its SHA-256 is"},
		"no inode":               {with(func(a *QuarantineFileArgs) { a.Inode = 0 }), "failed", "inode must be given"},
		"no hash":                {with(func(a *QuarantineFileArgs) { a.SHA256 = "" }), "failed", "sha256 must be given"},
		"half a hash":            {with(func(a *QuarantineFileArgs) { a.SHA256 = "abcd" }), "failed", "not 64 hexadecimal digits"},
		"a relative path":        {with(func(a *QuarantineFileArgs) { a.Path = "files/a" }), "failed", "must be absolute"},
		"a path with dots":       {with(func(a *QuarantineFileArgs) { a.Path = b.files + "/../files/a" }), "failed", "must be written as"},
		"a path with NUL":        {with(func(a *QuarantineFileArgs) { a.Path += "\x00" }), "failed", "NUL"},
		"a file that is gone":    {with(func(a *QuarantineFileArgs) { a.Path += "b" }), "failed", "gone already"},
		"a folder that is gone":  {with(func(a *QuarantineFileArgs) { a.Path = b.files + "/nowhere/a" }), "failed", "is not there"},
		"too large a file":       {large, "refused", "more than the 100"},
		"a link":                 {at("link"), "refused", "a symbolic link"},
		"a way through a link":   {with(func(a *QuarantineFileArgs) { a.Path = b.files + "/around/a" }), "refused", "the folder itself is " + b.files},
		"a folder":               {at("folder"), "refused", "a folder"},
		"a pipe":                 {at("pipe"), "refused", "a pipe"},
		"a device":               {QuarantineFileArgs{Path: "/dev/null", Inode: 1, SHA256: args.SHA256}, "refused", "a device"},
		"a file of /proc":        {QuarantineFileArgs{Path: "/proc/version", Inode: inodeOf(t, "/proc/version"), SHA256: args.SHA256}, "refused", "procfs"},
		"an unknown argument":    {map[string]any{"path": path, "force": true}, "failed", "unknown field"},
		"an id that is no id":    {RestoreFileArgs{ID: "../../etc/passwd"}, "failed", "is not one of quarantined files"},
		"an id that is not here": {RestoreFileArgs{ID: "20260102T030405Z-0123456789abcdef"}, "failed", "there is no quarantined file"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			action := "quarantine_file"
			if _, ok := c.args.(RestoreFileArgs); ok {
				action = "restore_file"
			}
			wantOutcome(t, b.run(action, c.args, false), c.state, c.want)
		})
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "content" {
		t.Errorf("the file was touched: %q, %v", text, err)
	}
	b.empty()
}

func inodeOf(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestQuarantineSparesTheAgentAndInit(t *testing.T) {
	own := filepath.Join(t.TempDir(), "data")
	if err := os.MkdirAll(filepath.Join(own, "outbox"), 0o700); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(own, "outbox", "1")
	if err := os.WriteFile(state, []byte("state"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, Options{Protected: []string{own}})
	linked := filepath.Join(b.files, "alias")
	if err := os.WriteFile(filepath.Join(b.files, "key"), []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(b.files, "key"), linked); err != nil {
		t.Fatal(err)
	}
	keyed := NewSet(All(Options{QuarantineDir: b.store, Protected: []string{filepath.Join(b.files, "key")}})...)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	complete := func(set *Set, path string) wire.Outcome {
		raw, _ := json.Marshal(map[string]string{"path": path})
		return set.Run(context.Background(), wire.Respond{Action: "quarantine_file", Args: raw, DryRun: true})
	}
	wantOutcome(t, complete(b.set, state), "refused", "the agent's own")
	wantOutcome(t, complete(b.set, self), "refused", "the agent runs on")
	wantOutcome(t, complete(keyed, linked), "refused", "the agent's own ("+filepath.Join(b.files, "key")+")")

	_, args := b.file("kept", "x", 0o600)
	if out := b.run("quarantine_file", args, false); out.State != "done" {
		t.Fatalf("%+v", out)
	}
	wantOutcome(t, complete(b.set, filepath.Join(b.store, b.kept()[0].ID+".json")), "refused", "the agent's own")

	if init, err := os.Readlink("/proc/1/exe"); err == nil {
		if _, err := os.ReadFile("/proc/1/maps"); err == nil {
			if _, err := os.Stat(init); err == nil {
				wantOutcome(t, complete(b.set, init), "refused", "runs on")
			}
		}
	}
}

func TestQuarantineOfWhatIsMarkedImmutable(t *testing.T) {
	testneed.Root(t)
	b := newBench(t, Options{})
	path, args := b.file("stubborn", "cannot be removed", 0o644)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	flags, ok := inodeFlags(int(f.Fd()))
	if ok {
		err = setInodeFlags(int(f.Fd()), flags|flagImmutable)
	}
	f.Close()
	if !ok || err != nil {
		testneed.Missing(t, fmt.Sprintf("a file system with immutable files (%v)", err))
	}
	out := b.run("quarantine_file", args, false)
	wantOutcome(t, out, "done", "immutable")
	wantOutcome(t, b.undo(out), "done", "is back")
	if err := os.Remove(path); !os.IsPermission(err) {
		t.Errorf("the flag did not come back: %v", err)
	}
}

func TestQuarantineTellsWhatItDoesNotReach(t *testing.T) {
	b := newBench(t, Options{})
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		testneed.Missing(t, "sleep")
	}
	program, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	path, args := b.file("miner", string(program), 0o755)
	if err := os.Link(path, filepath.Join(b.files, "second")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	dry := b.run("quarantine_file", args, true)
	out := b.run("quarantine_file", args, false)
	for _, want := range []string{"1 other names", fmt.Sprintf("it runs as process %d", cmd.Process.Pid)} {
		wantOutcome(t, dry, "planned", want)
		wantOutcome(t, out, "done", want)
	}
}

// A file that vanishes, grows or is swapped while it is hashed is not moved.
func TestQuarantineOfAMovingTarget(t *testing.T) {
	b := newBench(t, Options{})
	q := newQuarantine(Options{QuarantineDir: b.store})
	for name, change := range map[string]struct {
		do   func(path string) error
		want string
	}{
		"swapped": {func(path string) error {
			if err := os.Rename(path, path+".old"); err != nil {
				return err
			}
			return os.WriteFile(path, []byte("innocent"), 0o600)
		}, "another file has taken its place"},
		"gone": {os.Remove, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			path, args := b.file(name, "hostile", 0o600)
			h, err := q.hold(args)
			if err != nil {
				t.Fatal(err)
			}
			defer h.close()
			if err := change.do(path); err != nil {
				t.Fatal(err)
			}
			if err := h.remove(); err == nil || !strings.Contains(err.Error(), change.want) {
				t.Errorf("removed: %v, want an error with %q", err, change.want)
			}
			if name == "swapped" {
				if text, err := os.ReadFile(path); err != nil || string(text) != "innocent" {
					t.Errorf("the other file was touched: %q, %v", text, err)
				}
			}
		})
	}
	t.Run("grown and vanished", func(t *testing.T) {
		path, args := b.file("grown", "hostile", 0o600)
		h, err := q.hold(args)
		if err != nil {
			t.Fatal(err)
		}
		defer h.close()
		if err := os.WriteFile(path, []byte("hostile and more"), 0o600); err != nil {
			t.Fatal(err)
		}
		dir, err := q.open(0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(dir)
		item := h.describe(Request{Time: time.Unix(0, 0)}, new([]string))
		if _, err := q.keep(context.Background(), dir, h, args, item); err == nil || !strings.Contains(err.Error(), "it grew beyond 7 bytes") {
			t.Errorf("a file that grew: %v", err)
		}
		_, args = b.file("vanished", "hostile", 0o600)
		if h, err = q.hold(args); err != nil {
			t.Fatal(err)
		}
		defer h.close()
		if err := os.Remove(args.Path); err != nil {
			t.Fatal(err)
		}
		if _, err := q.keep(context.Background(), dir, h, args, item); err == nil || !strings.Contains(err.Error(), "changed while it was read") {
			t.Errorf("a file that vanished: %v", err)
		}
	})
	b.empty()
}

func TestQuarantineWithADamagedStore(t *testing.T) {
	b := newBench(t, Options{})
	_, args := b.file("a", "hostile", 0o600)
	out := b.run("quarantine_file", args, false)
	wantOutcome(t, out, "done", "quarantine")
	id := b.kept()[0].ID
	kept := filepath.Join(b.store, id)
	melt(kept)
	if err := os.Chmod(kept, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, []byte("HOSTILE"), 0o600); err != nil {
		t.Fatal(err)
	}
	if record, err := os.ReadFile(kept + ".json"); err != nil || !strings.Contains(string(record), `"mode": "0600"`) {
		t.Errorf("the record is %s, %v", record, err)
	}
	wantOutcome(t, b.undo(out), "failed", "is damaged: its SHA-256 is")
	if _, err := os.Stat(args.Path); !os.IsNotExist(err) {
		t.Errorf("a damaged file was put back: %v", err)
	}
	if err := os.WriteFile(kept+".json", []byte(`{"id":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if items, err := ListQuarantine(b.store); err == nil || len(items) != 0 || !strings.Contains(err.Error(), id) {
		t.Errorf("a broken record: %v, %v", items, err)
	}
	none := NewSet(All(Options{})...)
	raw, _ := json.Marshal(args)
	if err := os.WriteFile(args.Path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	args.Inode = inodeOf(t, args.Path)
	wantOutcome(t, none.Run(context.Background(), wire.Respond{Action: "quarantine_file", Args: raw}), "failed", "-quarantine")
}

// The quarantine is mostly on another file system than what it takes.
func TestQuarantineAcrossFileSystems(t *testing.T) {
	b := newBench(t, Options{})
	other, err := os.MkdirTemp("/dev/shm", "edr-test-")
	if err != nil {
		testneed.Missing(t, fmt.Sprintf("a second file system (%v)", err))
	}
	t.Cleanup(func() { _ = os.RemoveAll(other) })
	// Of files: an overlay gives its folders another device.
	probe, _ := b.file("probe", "", 0o600)
	here := deviceOf(t, probe)
	b.files = other
	probe, _ = b.file("probe", "", 0o600)
	there := deviceOf(t, probe)
	if here == there {
		testneed.Missing(t, "/dev/shm as a second file system")
	}
	path, args := b.file("dropper", strings.Repeat("hostile ", 1<<17), 0o640)
	args.Device = there
	out := b.run("quarantine_file", args, false)
	wantOutcome(t, out, "done", "is gone from its place")
	if deviceOf(t, filepath.Join(b.store, b.kept()[0].ID)) != here {
		t.Error("the quarantined file is not in the quarantine")
	}
	wantOutcome(t, b.undo(out), "done", path+" is back")
	if got := deviceOf(t, path); got != there {
		t.Errorf("it came back to device %d, not %d", got, there)
	}
	b.empty()
}

// A file system that knows no nameless files gets one with a name that nobody
// knows.
func TestDraftWithAName(t *testing.T) {
	dir := t.TempDir()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, name := range []string{"kept", "taken"} {
		d, err := namedDraft(fd)
		if err != nil {
			t.Fatal(err)
		}
		if name == "taken" {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("theirs"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err = d.publish(name)
		d.close()
		if name == "taken" != (err != nil) {
			t.Errorf("published as %s: %v", name, err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("left are %v, %v; want the kept and the taken name alone", left, err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "taken")); err != nil || string(text) != "theirs" {
		t.Errorf("another's file was overwritten: %q, %v", text, err)
	}
}

func deviceOf(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Dev
}

func FuzzMapped(f *testing.F) {
	f.Add([]byte("55d0-55d1 r-xp 00000000 08:01 42                 /usr/lib/systemd/systemd\n"), "/usr/lib/systemd/systemd", uint64(42))
	f.Add([]byte("7f00-7f01 rw-p 00000000 00:00 0 \n7f01-7f02 r--p 0 fe:00 7 /a (deleted)"), "/a", uint64(7))
	f.Fuzz(func(t *testing.T, text []byte, path string, inode uint64) {
		if mapped(text, path, 0, inode) && !strings.Contains(string(text), fmt.Sprint(inode)) {
			t.Errorf("inode %d is not in %q", inode, text)
		}
	})
}
