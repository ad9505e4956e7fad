//go:build linux

package proctree

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/tables/event"
)

// fake is a process table that the test writes.
type fake struct {
	procs map[int64]Process
	reads map[int64]int
}

func (f *fake) read(pid int64) (Process, bool) {
	f.reads[pid]++
	p, ok := f.procs[pid]
	return p, ok
}
func (f *fake) start(pid int64) (int64, bool) {
	p, ok := f.procs[pid]
	return p.Start, ok
}
func (f *fake) container(pid, _ int64, _ group) (string, bool) {
	p, ok := f.procs[pid]
	return p.Container, ok
}
func (f *fake) pids() (out []int64, err error) {
	for pid := range f.procs {
		out = append(out, pid)
	}
	return out, nil
}
func (f *fake) Close() error { return nil }

const tick = 10_000_000

func newFake(t *testing.T, opts Options, procs ...Process) (*Tree, *fake) {
	t.Helper()
	opts.Proc, opts.TickNS = t.TempDir(), tick
	tree, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	_ = tree.src.Close()
	f := &fake{procs: map[int64]Process{}, reads: map[int64]int{}}
	for _, p := range procs {
		f.procs[p.PID] = p
	}
	tree.src = f
	return tree, f
}

func TestStartIsComparedInTicks(t *testing.T) {
	tree, _ := newFake(t, Options{}, Process{PID: 7, Start: 3 * tick, Name: "seven"})
	if n, err := tree.Seed(); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	for _, start := range []int64{0, 3 * tick, 3*tick + 1, 4*tick - 1} {
		if p, ok := tree.Lookup(7, start); !ok || p.Name != "seven" {
			t.Errorf("start %d: %+v %v", start, p, ok)
		}
	}
	for _, start := range []int64{3*tick - 1, 4 * tick} {
		if p, ok := tree.Lookup(7, start); ok {
			t.Errorf("start %d is another process, got %+v", start, p)
		}
	}
}

func TestForkWithoutExec(t *testing.T) {
	tree, _ := newFake(t, Options{})
	tree.Exec(Process{PID: 10, Start: 5 * tick, Name: "sh", Path: "/bin/sh", Cmdline: "sh -c x", Container: "c1"})
	tree.Fork(Process{PID: 11, Start: 6 * tick, Parent: 10, ParentStart: 5 * tick, Name: "sh"})
	tree.Fork(Process{PID: 12, Start: 7 * tick, Parent: 11, ParentStart: 6 * tick, Name: "sh"})
	tree.Exit(11, 6*tick)
	// By the time it executes, init has adopted it.
	tree.Exec(Process{PID: 12, Start: 7*tick + 5, Parent: 1, ParentStart: 1, Name: "miner", Path: "/tmp/miner", Cmdline: "miner -o"})

	up := tree.Ancestry(12, 7*tick)
	if len(up) != 2 || up[0].PID != 11 || up[0].Path != "/bin/sh" || !up[0].Exited || up[1].PID != 10 {
		t.Errorf("ancestry %+v", up)
	}
	a := event.Actor{PID: 12, StartTime: 7 * tick}
	tree.Fill(&a, 11, 6*tick)
	if a.Path != "/tmp/miner" || a.ParentPath != "/bin/sh" || a.ParentCmd != "sh -c x" || a.ParentName != "sh" || a.Container != "c1" {
		t.Errorf("%+v", a)
	}
}

func TestIDUsedAgain(t *testing.T) {
	tree, _ := newFake(t, Options{})
	tree.Exec(Process{PID: 10, Start: 5 * tick, Name: "old"})
	tree.Exec(Process{PID: 10, Start: 50 * tick, Name: "new"})
	if p, _ := tree.Lookup(10, 5*tick); p.Name != "old" || !p.Exited {
		t.Errorf("%+v", p)
	}
	if p, _ := tree.Lookup(10, 50*tick); p.Name != "new" || p.Exited {
		t.Errorf("%+v", p)
	}
	if p, _ := tree.Lookup(10, 0); p.Name != "new" {
		t.Errorf("%+v", p)
	}
	// A child cannot be older than its parent: that one only has its ID.
	tree.Exec(Process{PID: 20, Start: 30 * tick, Parent: 10, ParentStart: 0, Name: "child"})
	if up := tree.Ancestry(20, 30*tick); len(up) != 0 {
		t.Errorf("ancestry %+v", up)
	}
}

func TestMissIsReadOnce(t *testing.T) {
	tree, f := newFake(t, Options{}, Process{PID: 5, Start: 2 * tick, Name: "five"})
	for range 3 {
		if p, ok := tree.Lookup(5, 2*tick+7); !ok || p.Name != "five" || p.Start != 2*tick+7 {
			t.Errorf("%+v %v", p, ok)
		}
		if _, ok := tree.Lookup(6, 2*tick); ok {
			t.Error("found a process that is not there")
		}
		if _, ok := tree.Lookup(5, 9*tick); ok {
			t.Error("found another process of that ID")
		}
	}
	if f.reads[5] != 2 || f.reads[6] != 1 {
		t.Errorf("read %v", f.reads)
	}
}

func TestBounds(t *testing.T) {
	tree, _ := newFake(t, Options{MaxExited: 100, MaxBytes: 4000})
	for i := range int64(1000) {
		tree.Exec(Process{PID: i + 1, Start: i * tick, Name: "x"})
		tree.Exit(i+1, i*tick)
	}
	if s := tree.Stats(); s.Exited != 100 || s.Alive != 0 {
		t.Errorf("%+v", s)
	}
	if _, ok := tree.Lookup(1000, 999*tick); !ok {
		t.Error("the last to end was forgotten")
	}
	tree.Exec(Process{PID: 5000, Start: 5000 * tick, Cmdline: string(make([]byte, 100_000))})
	if p, _ := tree.Lookup(5000, 5000*tick); len(p.Cmdline) != maxCmdline {
		t.Errorf("kept %d bytes", len(p.Cmdline))
	}
	tree.Exit(5000, 5000*tick)
	if s := tree.Stats(); s.ExitedBytes > 4000 {
		t.Errorf("%+v", s)
	}
}

func TestResync(t *testing.T) {
	tree, f := newFake(t, Options{Sweep: time.Nanosecond})
	tree.Exec(Process{PID: 1, Start: tick, Name: "init"})
	tree.Exec(Process{PID: 2, Start: tick, Name: "ended unseen"})
	f.procs[1] = Process{PID: 1, Start: tick, Name: "init"}
	f.procs[3] = Process{PID: 3, Start: 2 * tick, Parent: 1, Name: "born unseen"}
	if err := tree.Resync(); err != nil {
		t.Fatal(err)
	}
	if p, _ := tree.Lookup(2, tick); !p.Exited {
		t.Errorf("%+v", p)
	}
	if p, ok := tree.Lookup(3, 2*tick); !ok || p.ParentStart != tick {
		t.Errorf("%+v %v", p, ok)
	}
}

func TestContainerByCgroup(t *testing.T) {
	tree, f := newFake(t, Options{}, Process{PID: 5, Start: 2 * tick, Container: "abc"})
	tree.Exec(Process{PID: 5, Start: 2*tick + 3, Cgroup: 1, CgroupLegacy: 77})
	delete(f.procs, 5)
	// Gone before anybody could look, but of the same cgroup.
	tree.Exec(Process{PID: 6, Start: 3 * tick, Cgroup: 1, CgroupLegacy: 77})
	tree.Exec(Process{PID: 7, Start: 3 * tick, Cgroup: 1, CgroupLegacy: 78})
	for pid, want := range map[int64]string{5: "abc", 6: "abc", 7: ""} {
		if p, _ := tree.Lookup(pid, 0); p.Container != want {
			t.Errorf("%d is in %q, want %q", pid, p.Container, want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	tree, err := New(Options{MaxExited: 50})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	var wg sync.WaitGroup
	for w := range int64(4) {
		wg.Go(func() {
			for i := range int64(500) {
				pid := 1_000_000 + w*1000 + i
				tree.Fork(Process{PID: pid, Start: i * tick, Parent: pid - 1, ParentStart: (i - 1) * tick})
				tree.Exec(Process{PID: pid, Start: i * tick, Name: fmt.Sprint(pid)})
				tree.Ancestry(pid, i*tick)
				tree.Exit(pid, i*tick)
			}
		})
	}
	wg.Wait()
	if _, err := tree.Seed(); err != nil {
		t.Fatal(err)
	}
	self, ok := tree.Lookup(int64(os.Getpid()), 0)
	if !ok || self.Path == "" || self.Parent != int64(os.Getppid()) {
		t.Errorf("this process is %+v", self)
	}
	up := tree.Ancestry(self.PID, self.Start)
	if len(up) == 0 || up[0].PID != int64(os.Getppid()) {
		t.Errorf("its ancestry is %+v", up)
	}
}
