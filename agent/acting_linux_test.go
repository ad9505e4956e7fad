package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/response"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/wire"
)

// acting is a detector whose rules may act, with its quarantine and a folder
// of files.
func acting(t *testing.T, rules string) (d *detector, k *kept, files string) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files = filepath.Join(root, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		t.Fatal(err)
	}
	d, k = newDetector(t, "auto", rules)
	d.respond = response.Options{QuarantineDir: filepath.Join(root, "quarantine")}
	d.actions = response.NewSet(response.All(d.respond)...)
	loaded, _ := rule.Load("test.json", []byte(rules))
	var approvals []wire.Approval
	for _, r := range loaded {
		approvals = append(approvals, wire.Approval{Rule: r.ID, Version: r.Version})
	}
	d.policy.set(approvals)
	t.Cleanup(func() { thaw(d) })
	return d, k, files
}

// thaw puts quarantined files back, or the test's folder could not be removed.
func thaw(d *detector) {
	items, _ := response.ListQuarantine(d.respond.QuarantineDir)
	for _, item := range items {
		_ = os.Remove(item.Path)
		raw, _ := json.Marshal(response.RestoreFileArgs{ID: item.ID})
		d.actions.Run(context.Background(), wire.Respond{Action: "restore_file", Args: raw})
	}
}

func put(t *testing.T, path string, text []byte) uint64 {
	t.Helper()
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// only is the one action of the one hit.
func only(t *testing.T, k *kept) wire.ActionState {
	t.Helper()
	hits := k.all()
	if len(hits) != 1 || len(hits[0].Actions) == 0 {
		t.Fatalf("the hits are %+v, want one with an action", hits)
	}
	return hits[0].Actions[len(hits[0].Actions)-1]
}

const droppedRule = `{"id":"q","name":"dropped","title":"Dropped","type":"file","severity":"high","enabled":true,
	"conditions":["file_name = 'dropper'"],"actions":["alert","quarantine_file"]}`

func created(path string, inode uint64) *event.File {
	f := &event.File{TargetPath: path, Action: event.FileCreated, Inode: int64(inode)}
	f.At(time.Now())
	return f
}

func TestRuleQuarantinesTheFileOfItsEvent(t *testing.T) {
	d, k, files := acting(t, droppedRule)
	path := filepath.Join(files, "dropper")
	inode := put(t, path, []byte("hostile"))
	d.see(created(path, inode))
	got := only(t, k)
	if got.State != "done" || got.Undo == nil || got.Undo.Action != "restore_file" {
		t.Fatalf("the action is %+v", got)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	items, err := response.ListQuarantine(d.respond.QuarantineDir)
	if err != nil || len(items) != 1 || items[0].By != "rule q" || items[0].Reason != "Dropped" {
		t.Errorf("in quarantine: %+v, %v", items, err)
	}
	out := d.actions.Run(context.Background(), wire.Respond{Action: got.Undo.Action, Args: got.Undo.Args})
	if text, err := os.ReadFile(path); out.State != "done" || err != nil || string(text) != "hostile" {
		t.Errorf("the undo: %+v; the file is %q, %v", out, text, err)
	}
}

// What is still being written is quarantined once it is whole.
func TestRuleQuarantinesAFileThatIsBeingWritten(t *testing.T) {
	d, k, files := acting(t, droppedRule)
	path := filepath.Join(files, "dropper")
	inode := put(t, path, nil)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	whole := []byte(strings.Repeat("hostile ", 1<<18))
	writing, written := make(chan struct{}), make(chan error)
	go func() {
		close(writing)
		for rest := whole; len(rest) > 0; rest = rest[1<<13:] {
			if _, err := f.Write(rest[:1<<13]); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	<-writing
	d.see(created(path, inode))
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	// Whoever writes may go on after the name is gone: then what is kept is
	// what there was, and never less than the record says.
	got := only(t, k)
	if got.State != "done" {
		t.Fatalf("the action is %+v", got)
	}
	items, err := response.ListQuarantine(d.respond.QuarantineDir)
	if err != nil || len(items) != 1 || !strings.Contains(got.Detail, items[0].SHA256) {
		t.Errorf("in quarantine: %+v, %v", items, err)
	}
}

func TestRuleQuarantinesNoOtherFile(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(path string) *event.File
		want    string
	}{
		"another file by now": {func(path string) *event.File { return created(path, put(t, path, []byte("x"))+1) }, "another file now: its inode"},
		"gone by now":         {func(path string) *event.File { return created(path, 5) }, "gone already"},
		"a relative path":     {func(string) *event.File { return created("dropper", 5) }, "must be absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			d, k, files := acting(t, droppedRule)
			d.see(c.prepare(filepath.Join(files, "dropper")))
			if got := only(t, k); got.State != "failed" || !strings.Contains(got.Detail, c.want) || got.Undo != nil {
				t.Errorf("the action is %+v, want it failed with %q", got, c.want)
			}
		})
	}
}

const executedRule = `{"id":"x","name":"miner","title":"Miner","type":"process","severity":"high","enabled":true,
	"conditions":["command contains 'pool'"],"actions":["alert","terminate_process","quarantine_file"]}`

func TestRuleQuarantinesTheProgramOfItsProcess(t *testing.T) {
	d, k, files := acting(t, executedRule)
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		testneed.Missing(t, "sleep")
	}
	program, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(files, "miner")
	put(t, path, program)
	cmd := exec.Command(path, "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	e := execution(int64(cmd.Process.Pid), startOf(t, cmd.Process.Pid), path, path+" -o pool")
	e.At(time.Now())
	d.see(e)
	<-ended
	hits := k.all()
	if len(hits) != 1 || len(hits[0].Actions) != 2 || hits[0].Actions[0].State != "done" || hits[0].Actions[1].State != "done" {
		t.Fatalf("the hits are %+v", hits)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the program is still there: %v", err)
	}
}

func TestRuleQuarantinesNoOtherProgram(t *testing.T) {
	script := strings.Replace(executedRule, `"terminate_process",`, "", 1)
	for name, c := range map[string]struct {
		prepare     func(path string) *event.Exec
		state, want string
	}{
		"the shell of a script": {func(string) *event.Exec { return execution(1<<22, 5, "/usr/bin/env", "env pool") }, "refused", "a program of the system"},
		"changed since": {func(path string) *event.Exec {
			put(t, path, []byte("x"))
			return execution(1<<22, 5, path, "pool") // long before the file was written
		}, "failed", "was changed after it ran"},
		"another than runs": {func(path string) *event.Exec {
			put(t, path, []byte("x"))
			return execution(int64(os.Getpid()), startOf(t, os.Getpid()), path, "pool")
		}, "failed", "runs another file"},
	} {
		t.Run(name, func(t *testing.T) {
			d, k, files := acting(t, script)
			d.see(c.prepare(filepath.Join(files, "miner")))
			if got := only(t, k); got.State != c.state || !strings.Contains(got.Detail, c.want) {
				t.Errorf("the action is %+v, want it %s with %q", got, c.state, c.want)
			}
		})
	}
}

const beaconRule = `{"id":"n","name":"beacon","title":"Beacon","type":"network","severity":"high","enabled":true,
	"conditions":["remote_port > 0"],"actions":["alert","block_connection"]}`

func socketEvent(action, remote string, port int32, protocol int32) *event.Socket {
	e := &event.Socket{Action: action, RemoteAddress: remote, RemotePort: port, Protocol: protocol}
	e.At(time.Now())
	return e
}

func TestConnectionArgs(t *testing.T) {
	d, _ := newDetector(t, "observe", beaconRule)
	for _, c := range []struct {
		e    *event.Socket
		want response.BlockConnectionArgs
	}{
		{socketEvent("connect", "192.0.2.9", 443, 6), response.BlockConnectionArgs{RemoteAddress: "192.0.2.9", RemotePort: 443, Protocol: "tcp"}},
		{socketEvent("connect", "2001:db8::9", 53, 17), response.BlockConnectionArgs{RemoteAddress: "2001:db8::9", RemotePort: 53, Protocol: "udp"}},
		{socketEvent("accept", "192.0.2.9", 50123, 6), response.BlockConnectionArgs{RemoteAddress: "192.0.2.9", Protocol: "tcp"}},
		{socketEvent("connect", "192.0.2.9", 7, 132), response.BlockConnectionArgs{RemoteAddress: "192.0.2.9", Protocol: "any"}},
	} {
		got, err := connectionArgs(&wire.Hit{Event: d.fields.of(c.e)})
		if err != nil || got != any(c.want) {
			t.Errorf("%s %s: %+v, %v; want %+v", c.e.Action, c.e.RemoteAddress, got, err, c.want)
		}
	}
	if _, err := connectionArgs(&wire.Hit{}); err == nil || !strings.Contains(err.Error(), "no remote address") {
		t.Errorf("an event without an address: %v", err)
	}
}

// The block is in a network namespace of the test's own thread.
func TestRuleBlocksTheOtherEnd(t *testing.T) {
	testneed.Root(t)
	d, _, _ := acting(t, beaconRule)
	type result struct {
		state  wire.ActionState
		blocks []response.Block
		undone wire.Outcome
		err    error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this
		var r result
		defer func() { done <- r }()
		if r.err = unix.Unshare(unix.CLONE_NEWNET); r.err != nil {
			return
		}
		h := &wire.Hit{Rule: wire.RuleRef{ID: "n"}, Event: d.fields.of(socketEvent("connect", "192.0.2.9", 443, 6))}
		d.act(context.Background(), h, []string{"block_connection"})
		if r.state = h.Actions[0]; r.state.Undo == nil {
			return
		}
		if r.blocks, r.err = response.Blocks(); r.err != nil {
			return
		}
		r.undone = d.actions.Run(context.Background(), wire.Respond{Action: r.state.Undo.Action, Args: r.state.Undo.Args})
	}()
	r := <-done
	if errors.Is(r.err, unix.EPERM) || strings.Contains(r.state.Detail, response.ErrNotSupported.Error()) {
		testneed.Missing(t, fmt.Sprintf("nftables in a network namespace (%v %s)", r.err, r.state.Detail))
	}
	if r.err != nil || r.state.State != "done" || len(r.blocks) != 2 || r.blocks[0].RemoteAddress != "192.0.2.9" || r.undone.State != "done" {
		t.Errorf("got %+v", r)
	}
}

func TestServerAddresses(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "")
	t.Setenv("https_proxy", "")
	answer, fails := []netip.Addr{netip.MustParseAddr("192.0.2.1")}, error(nil)
	s := &serverAddresses{server: "https://edr.example:8443", lookup: func(_ context.Context, _, host string) ([]netip.Addr, error) {
		if host != "edr.example" {
			t.Errorf("looked up %q", host)
		}
		return answer, fails
	}}
	ask := func(want int) {
		t.Helper()
		got, err := s.now(context.Background())
		if err != nil || len(got) != want {
			t.Errorf("got %v, %v; want %d addresses", got, err, want)
		}
	}
	ask(1)
	answer = []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.2")}
	ask(2) // what it was before counts on
	fails, answer = errors.New("no such name"), nil
	ask(2)
	fresh := &serverAddresses{server: "https://edr.example", lookup: s.lookup}
	if _, err := fresh.now(context.Background()); err == nil || !strings.Contains(err.Error(), "edr.example") {
		t.Errorf("a name that was never known: %v", err)
	}
	literal := &serverAddresses{server: "https://[2001:db8::1]:8443"}
	if got, err := literal.now(context.Background()); err != nil || len(got) != 1 || got[0] != netip.MustParseAddr("2001:db8::1") {
		t.Errorf("an address as server: %v, %v", got, err)
	}
}
