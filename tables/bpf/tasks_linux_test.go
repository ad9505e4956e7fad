package bpf

import (
	"os"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables/procfs"
)

// TestTasks compares what the iterator says of this process with /proc.
func TestTasks(t *testing.T) {
	testneed.Root(t)
	began := time.Now()
	tasks, err := LoadTasks()
	if err != nil {
		testneed.Missing(t, err.Error())
	}
	defer tasks.Close()
	t.Logf("loaded in %s", time.Since(began))
	began = time.Now()
	all, err := tasks.Read(TaskExe | TaskCwd | TaskRoot)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d processes in %s", len(all), time.Since(began))
	r, err := procfs.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	self := int64(os.Getpid())
	stat, err := r.Stat(self)
	if err != nil {
		t.Fatal(err)
	}
	status, err := r.Status(self)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		p := &all[i]
		if p.PID() != self {
			continue
		}
		uid, euid, _ := p.Users()
		user, system := p.CPUTimes()
		tick := uint64(time.Second) / r.Ticks()
		if p.Parent() != stat.PPID || string(p.Comm()) != stat.Comm || p.Start()/tick != stat.Start || p.PGroup() != stat.PGroup ||
			int64(p.Nice()) != stat.Nice || uid != status.UID || euid != status.EUID || !p.HasMemory() || p.Kernel() || p.Ending() {
			t.Errorf("%+v is not %+v", p.r, stat)
		}
		if p.ExeKey() == 0 || p.CwdKey() == 0 || p.RootKey() == 0 || p.CwdKey() == p.RootKey() || p.CgroupKey() == 0 {
			t.Errorf("keys %x %x %x %x", p.ExeKey(), p.CwdKey(), p.RootKey(), p.CgroupKey())
		}
		page := int64(os.Getpagesize())
		if off := p.RSS()*page - status.VmRSS; !p.KnowsRSS() || off > 8<<20 || off < -8<<20 {
			t.Errorf("RSS %d, /proc has %d", p.RSS()*page, status.VmRSS)
		}
		if off := p.TotalVM()*page - status.VmSize; off > 64<<20 || off < -256<<20 {
			t.Errorf("size %d, /proc has %d", p.TotalVM()*page, status.VmSize)
		}
		if off := int64(user/tick+system/tick) - int64(stat.UTime+stat.STime); off > 20 || off < -20 {
			t.Errorf("CPU time %d + %d, /proc has %d + %d ticks", user/tick, system/tick, stat.UTime, stat.STime)
		}
		return
	}
	t.Error("this process is not listed")
}

func TestTaskState(t *testing.T) {
	for _, c := range []struct {
		state, exit uint32
		want        byte
	}{{0, 0, 'R'}, {1, 0, 'S'}, {2, 0, 'D'}, {4, 0, 'T'}, {8, 0, 't'}, {0, 0x10, 'X'}, {0, 0x20, 'Z'}, {0x40, 0, 'P'}, {0x402, 0, 'I'}, {0x8000, 0, 'D'}} {
		task := Task{taskRecord{State: c.state, ExitState: c.exit}}
		if got := task.State(); got != c.want {
			t.Errorf("%#x %#x: %c, want %c", c.state, c.exit, got, c.want)
		}
	}
}

func TestTaskTimes(t *testing.T) {
	for _, c := range []struct {
		r            taskRecord
		user, system uint64
	}{
		{taskRecord{threadRecord: threadRecord{UTime: 30, STime: 10, RTime: 80}}, 60, 20},
		{taskRecord{threadRecord: threadRecord{UTime: 30, RTime: 40}, DeadSTime: 10, DeadRTime: 40}, 60, 20},
		{taskRecord{threadRecord: threadRecord{UTime: 30, RTime: 80}}, 80, 0},
		{taskRecord{threadRecord: threadRecord{STime: 30, RTime: 80}}, 0, 80},
		{taskRecord{threadRecord: threadRecord{UTime: 30, STime: 10, RTime: 80}, PrevUTime: 50, PrevSTime: 40}, 50, 40},
		{taskRecord{threadRecord: threadRecord{UTime: 30, STime: 10, RTime: 80}, PrevSTime: 25}, 55, 25},
		{taskRecord{threadRecord: threadRecord{UTime: 1, STime: 3, RTime: 80}, PrevUTime: 30}, 30, 50},
	} {
		task := Task{c.r}
		if user, system := task.CPUTimes(); user != c.user || system != c.system {
			t.Errorf("%+v: %d and %d, want %d and %d", c.r, user, system, c.user, c.system)
		}
	}
}
