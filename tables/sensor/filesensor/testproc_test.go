package filesensor

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

// The changes that a test looks for are made by another process: this same
// test binary, told by its environment what to do.
const doerEnv = "EDR_FILESENSOR_TEST_DO"

func TestMain(m *testing.M) {
	if os.Getenv(doerEnv) != "" {
		doer(os.Stdin, os.Stdout)
		return
	}
	os.Exit(m.Run())
}

// doer runs one command a line and answers each with "ok" or the error.
func doer(in io.Reader, out io.Writer) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		f := strings.Split(lines.Text(), "\t")
		var err error
		switch f[0] {
		case "mkdir":
			err = os.Mkdir(f[1], 0o755)
		case "mkdirall":
			err = os.MkdirAll(f[1], 0o755)
		case "write":
			err = os.WriteFile(f[1], []byte(f[2]), 0o640)
		case "append":
			var h *os.File
			if h, err = os.OpenFile(f[1], os.O_WRONLY|os.O_APPEND, 0); err == nil {
				h.WriteString(f[2])
				err = h.Close()
			}
		case "create":
			var h *os.File
			if h, err = os.OpenFile(f[1], os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
				err = h.Close()
			}
		case "rename":
			err = os.Rename(f[1], f[2])
		case "remove":
			err = os.Remove(f[1])
		case "removeall":
			err = os.RemoveAll(f[1])
		case "chmod":
			err = os.Chmod(f[1], 0o700)
		case "symlink":
			err = os.Symlink(f[1], f[2])
		case "link":
			err = os.Link(f[1], f[2])
		case "many":
			err = many(f[1])
		case "chown":
			err = os.Chown(f[1], 4711, 4711)
		case "times":
			err = os.Chtimes(f[1], time.Unix(1, 0), time.Unix(1, 0))
		case "xattr":
			err = setXattr(f[1])
		case "sparse": // of one byte more than it may have
			if err = os.WriteFile(f[1], nil, 0o600); err == nil {
				err = os.Truncate(f[1], sparseSize)
			}
		case "contents":
			for i := 0; i < manyContents && err == nil; i++ {
				err = os.WriteFile(fmt.Sprintf("%s/c%d", f[1], i), contentOf(i), 0o600)
			}
		default:
			err = fmt.Errorf("unknown command %q", f[0])
		}
		if err != nil {
			fmt.Fprintln(out, err)
		} else {
			fmt.Fprintln(out, "ok")
		}
	}
}

// sparseSize is what the command sparse makes, and manyContents how many files
// the command contents writes.
const (
	sparseSize   = 3 << 20
	manyContents = 2000
)

func contentOf(i int) []byte { return bytes.Repeat([]byte(fmt.Sprintln("content", i)), i%50+1) }

// The shape of what many does: folders of files, nested.
const (
	manyDirs  = 50
	manyFiles = 25
)

func manyDir(root string, d int) string {
	return filepath.Join(root, fmt.Sprintf("d%d", d%7), fmt.Sprintf("e%d", d))
}

// many makes new folders, and in each creates, writes, renames and deletes
// files: 5,000 operations on files.
func many(root string) error {
	for d := range manyDirs {
		dir := manyDir(root, d)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for i := range manyFiles {
			a, b := fmt.Sprintf("%s/a%d", dir, i), fmt.Sprintf("%s/b%d", dir, i)
			h, err := os.OpenFile(a, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			h.Close()
			if err := os.WriteFile(a, []byte("x"), 0o600); err != nil {
				return err
			}
			if err := os.Rename(a, b); err != nil {
				return err
			}
			if err := os.Remove(b); err != nil {
				return err
			}
		}
		if d%2 == 0 { // the folder is gone before its events are read
			if err := os.Remove(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// process is a doer at work.
type process struct {
	t   testing.TB
	pid int64
	in  io.Writer
	out *bufio.Reader
}

func startDoer(t testing.TB) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), doerEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return &process{t, int64(cmd.Process.Pid), in, bufio.NewReader(out)}
}

func (p *process) do(words ...string) {
	p.t.Helper()
	fmt.Fprintln(p.in, strings.Join(words, "\t"))
	if answer, err := p.out.ReadString('\n'); err != nil || answer != "ok\n" {
		p.t.Fatalf("%v: %s%v", words, answer, err)
	}
}

// sink gathers what is published.
type sink struct {
	mu     sync.Mutex
	events []*event.File
	causes []string
}

func (s *sink) Publish(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e.(*event.File))
}

func (s *sink) Lost(n uint64, cause string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.causes = append(s.causes, cause)
}

func (s *sink) all() []*event.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*event.File(nil), s.events...)
}

// find is the first event of an action at a path.
func (s *sink) find(action, path string) *event.File {
	for _, e := range s.all() {
		if e.Action == action && e.TargetPath == path {
			return e
		}
	}
	return nil
}

// wait waits until an event of that action at the path is there.
func (s *sink) wait(t testing.TB, action, path string) *event.File {
	t.Helper()
	for range 1000 {
		if e := s.find(action, path); e != nil {
			return e
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, e := range s.all() {
		t.Logf("saw %s %s", e.Action, e.TargetPath)
	}
	t.Fatalf("never saw %s %s", action, path)
	return nil
}

func start(t testing.TB, m sensor.Mechanism) (sensor.Running, *sink) {
	t.Helper()
	out := &sink{}
	r, err := m.Start(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, out
}
