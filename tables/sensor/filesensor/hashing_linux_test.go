package filesensor

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

// startHashed runs the mechanisms as the agent does.
func startHashed(t *testing.T, best int, o Options) (sensor.Running, *sink) {
	t.Helper()
	if best == 0 {
		testneed.Root(t)
	}
	out := &sink{}
	r, err := Mechanisms(o)[best].Start(t.Context(), out)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		testneed.Missing(t, "fanotify: "+err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, out
}

func hexOf(content []byte) sums {
	a, b, c := md5.Sum(content), sha1.Sum(content), sha256.Sum256(content)
	return sums{hex.EncodeToString(a[:]), hex.EncodeToString(b[:]), hex.EncodeToString(c[:])}
}

// TestHashesOfManyFiles: every file that was written has the hashes of what
// was written, by either mechanism, and none is missing or out of order.
func TestHashesOfManyFiles(t *testing.T) {
	for i, name := range []string{"fanotify", "inotify"} {
		t.Run(name, func(t *testing.T) {
			root, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			_, out := startHashed(t, i, Options{Dirs: []string{root}, Hash: Hashing{MaxJobs: 10 * manyContents, Wait: time.Minute}})
			p := startDoer(t)
			p.do("contents", root)
			p.do("write", root+"/end", "x")
			if e := out.wait(t, event.FileUpdated, root+"/end"); e.Hashed != 1 || e.SHA256 != hexOf([]byte("x")).sha256 {
				t.Errorf("the last: %+v", e)
			}
			var before int64
			last := map[string]*event.File{}
			for _, e := range out.all() {
				if e.TimeNS < before {
					t.Fatalf("%s of %s is out of order", e.Action, e.TargetPath)
				}
				before = e.TimeNS
				if e.Hashed == 0 || e.Hashed == 1 && len(e.SHA256) != 64 {
					t.Fatalf("%s of %s: hashed %d %q", e.Action, e.TargetPath, e.Hashed, e.SHA256)
				}
				last[e.TargetPath] = e
			}
			bad := 0
			for i := range manyContents {
				e, want := last[fmt.Sprintf("%s/c%d", root, i)], hexOf(contentOf(i))
				if e == nil || (sums{e.MD5, e.SHA1, e.SHA256}) != want {
					if bad++; bad < 5 {
						t.Errorf("file %d: %+v, want %+v", i, e, want)
					}
				}
			}
			if bad > 0 {
				t.Errorf("%d of %d files are not hashed as they were written", bad, manyContents)
			}
		})
	}
}

// TestHashesOfWhatIsMovedLinkedAndOdd: what has no content to hash waits for
// nothing, and a file is found under whatever name it has by then.
func TestHashesOfWhatIsMovedLinkedAndOdd(t *testing.T) {
	root := t.TempDir()
	r, out := startHashed(t, 0, Options{Dirs: []string{root}, Hash: Hashing{MaxSize: sparseSize - 1}})
	if err := unix.Mkfifo(root+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	p := startDoer(t)
	p.do("write", root+"/tmp", "moved")
	p.do("rename", root+"/tmp", root+"/moved")
	p.do("link", root+"/moved", root+"/linked")
	p.do("rename", root+"/fifo", root+"/fifo2")
	p.do("symlink", root+"/moved", root+"/symlink")
	p.do("mkdir", root+"/folder")
	p.do("chmod", root+"/moved")
	p.do("sparse", root+"/large")
	p.do("create", root+"/empty")
	p.do("write", root+"/gone", "never seen")
	p.do("remove", root+"/gone")
	p.do("write", root+"/end", "x")
	out.wait(t, event.FileUpdated, root+"/end")
	want := hexOf([]byte("moved")).sha256
	for _, c := range []struct {
		action, name string
		hashed       int32
		sum          string
	}{
		{event.FileUpdated, "tmp", 1, want}, {event.FileMovedTo, "moved", 1, want}, {event.FileCreated, "linked", 1, want},
		{event.FileMovedFrom, "tmp", 0, ""}, {event.FileAttributes, "moved", 0, ""},
		{event.FileMovedTo, "fifo2", 0, ""}, {event.FileCreated, "symlink", 0, ""}, {event.FileCreated, "folder", 0, ""},
		{event.FileCreated, "empty", 1, nothing.sha256}, {event.FileDeleted, "gone", 0, ""},
	} {
		if e := out.wait(t, c.action, root+"/"+c.name); e.Hashed != c.hashed || e.SHA256 != c.sum {
			t.Errorf("%s %s: hashed %d %q, want %d %q", c.action, c.name, e.Hashed, e.SHA256, c.hashed, c.sum)
		}
	}
	for _, e := range out.all() {
		if e.TargetPath == root+"/large" && e.Size == sparseSize && (e.Hashed != 0 || e.SHA256 != "") {
			t.Errorf("a file that is too large: %+v", e)
		}
	}
	text, _ := r.(sensor.Describer).Describe()
	if !strings.Contains(text, notTooLarge) || !strings.Contains(text, "events with hashes") {
		t.Errorf("the status does not tell: %q", text)
	}
}

// slowFile is a file whose reading a test decides.
type slowFile struct {
	is    []state // one for each time that it is asked
	block chan struct{}
	text  []byte
	asked int
	whole bool // ends well
}

func (f *slowFile) Read(p []byte) (int, error) {
	if f.block != nil {
		<-f.block
	}
	n := copy(p, f.text)
	f.text = f.text[n:]
	if n == 0 && f.whole {
		return 0, io.EOF
	}
	if n == 0 {
		return 0, fmt.Errorf("end: %w", unix.EIO)
	}
	return n, nil
}
func (f *slowFile) Close() error { return nil }
func (f *slowFile) state() (state, error) {
	s := f.is[min(f.asked, len(f.is)-1)]
	f.asked++
	return s, nil
}

// stageOf is a stage whose files are what open says.
func stageOf(t *testing.T, o Hashing, open func(*target) (contentFile, error)) (*stage, *sink) {
	out := &sink{}
	s := newStage(out, o.withDefaults())
	s.opener(open)
	t.Cleanup(s.close)
	return s, out
}

func row(path string) *event.File {
	e := &event.File{TargetPath: path, Action: event.FileUpdated}
	e.At(time.Unix(1, 0))
	return e
}

// TestHashingThatHangs: events behind a file that does not answer are recorded
// all the same, in order and each with its reason.
func TestHashingThatHangs(t *testing.T) {
	block := make(chan struct{})
	one := state{inode: 1, size: 5, ctime: 1}
	s, out := stageOf(t, Hashing{Wait: 50 * time.Millisecond, MaxJobs: 4}, func(*target) (contentFile, error) {
		return &slowFile{is: []state{one}, block: block}, nil
	})
	for i := range 20 {
		if i%2 == 0 {
			s.publishFile(row(fmt.Sprint("/tmp/", i)), &target{state: one})
		} else {
			s.publishFile(row(fmt.Sprint("/tmp/", i)), nil)
		}
	}
	out.wait(t, event.FileUpdated, "/tmp/19")
	for i, e := range out.all() {
		if e.TargetPath != fmt.Sprint("/tmp/", i) || e.Hashed != 0 {
			t.Fatalf("event %d is %s with hashed %d", i, e.TargetPath, e.Hashed)
		}
	}
	text := s.describe()
	for _, want := range []string{notRoom, notTime} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	close(block)
}

func TestHashingThatFails(t *testing.T) {
	is := state{inode: 1, size: 5, mtime: 7, ctime: 1}
	grown := is
	grown.size, grown.mtime = 6, 8
	for _, c := range []struct {
		name   string
		open   func(*target) (contentFile, error)
		hashed int32
		why    string
	}{
		{"vanished", func(*target) (contentFile, error) { return nil, fmt.Errorf("open: %w", unix.ENOENT) }, -1, failGone},
		{"stale handle", func(*target) (contentFile, error) { return nil, unix.ESTALE }, -1, failGone},
		{"other file by now", func(*target) (contentFile, error) { return &slowFile{is: []state{grown}}, nil }, -1, failChanged},
		{"grew while read", func(*target) (contentFile, error) {
			return &slowFile{is: []state{is, grown}, text: []byte("123456")}, nil
		}, -1, failChanged},
		{"disk error", func(*target) (contentFile, error) {
			return &slowFile{is: []state{is}, text: []byte("123")}, nil
		}, -1, failRead},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, out := stageOf(t, Hashing{}, c.open)
			s.publishFile(row("f"), &target{state: is})
			if e := out.wait(t, event.FileUpdated, "f"); e.Hashed != c.hashed || e.SHA256 != "" {
				t.Errorf("hashed %d %q", e.Hashed, e.SHA256)
			}
			if text := s.describe(); !strings.Contains(text, "1 "+c.why) {
				t.Errorf("status %q does not say %q", text, c.why)
			}
		})
	}
}

// poor is a CPU limit that is used up.
type poor struct{}

func (poor) Pace(context.Context) error { return context.DeadlineExceeded }

func TestHashingHeldToTheLimit(t *testing.T) {
	is := state{inode: 1, size: 5, ctime: 1}
	s, out := stageOf(t, Hashing{Pacer: poor{}}, func(t *target) (contentFile, error) {
		return &slowFile{is: []state{t.state}, text: []byte("12345"), whole: true}, nil
	})
	for i := range 10 {
		is.inode++
		s.publishFile(row(fmt.Sprint("/tmp/", i)), &target{state: is})
	}
	is.inode++
	s.publishFile(row("/etc/passwd"), &target{state: is})
	is.size = spareSize + 1
	s.publishFile(row("/usr/large"), &target{state: is})
	if e := out.wait(t, event.FileUpdated, "/usr/large"); e.Hashed != 0 {
		t.Errorf("large: hashed %d", e.Hashed)
	}
	if e := out.wait(t, event.FileUpdated, "/etc/passwd"); e.Hashed != 1 {
		t.Errorf("a small file in a folder without a storm: hashed %d", e.Hashed)
	}
	some := 0
	for i := range 10 {
		some += int(out.wait(t, event.FileUpdated, fmt.Sprint("/tmp/", i)).Hashed)
	}
	if some == 10 {
		t.Error("all of a storm was hashed in spite of the limit")
	}
	if text := s.describe(); !strings.Contains(text, notBudget) {
		t.Errorf("status %q", text)
	}
}

// TestForgedDateIsHashedAnew: a content that was given the size and the date
// of another is not taken for it.
func TestForgedDateIsHashedAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	s, out := stageOf(t, Hashing{}, openByPath)
	when := time.Unix(1_700_000_000, 0)
	for i, text := range []string{"good", "evil"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			st.Ctim.Nsec++ // the kernel's clock may not have moved on within the test
		}
		e := row(text)
		s.publishFile(e, targetOf(path, nil, &st))
		if got := out.wait(t, event.FileUpdated, text); got.SHA256 != hexOf([]byte(text)).sha256 {
			t.Errorf("%s: %q", text, got.SHA256)
		}
	}
}

// TestStageEnds: what waits when the sensor ends is recorded.
func TestStageEnds(t *testing.T) {
	block := make(chan struct{})
	one := state{inode: 1, size: 5, ctime: 1}
	s, out := stageOf(t, Hashing{Wait: time.Second}, func(*target) (contentFile, error) {
		return &slowFile{is: []state{one}, block: block, text: []byte("12345")}, nil
	})
	s.publishFile(row("1"), &target{state: one})
	s.publishFile(row("2"), nil)
	close(block)
	s.close()
	s.publishFile(row("3"), &target{state: one})
	if got := out.all(); len(got) != 3 || got[0].TargetPath != "1" || got[2].TargetPath != "3" {
		t.Errorf("%d events", len(got))
	}
}

// TestFlush: when a better mechanism takes over, what the other holds back is
// published first.
func TestFlush(t *testing.T) {
	block := make(chan struct{})
	defer close(block)
	one := state{inode: 1, size: 5, ctime: 1}
	s, out := stageOf(t, Hashing{Wait: time.Minute}, func(*target) (contentFile, error) {
		return &slowFile{is: []state{one}, block: block, text: []byte("12345")}, nil
	})
	s.hurry(true)
	s.publishFile(row("1"), &target{state: one})
	(&hashedRun{stage: s}).Flush()
	if got := out.all(); len(got) != 1 || got[0].Hashed != 0 {
		t.Errorf("%d events", len(got))
	}
}
