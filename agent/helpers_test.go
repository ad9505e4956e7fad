package agent

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/response"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor/proctree"
	"github.com/aiedr/edr/wire"
)

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// kept is a reporter that keeps what it is told.
type kept struct {
	mu       sync.Mutex
	hits     []wire.Hit
	results  []wire.Result
	outcomes []wire.Outcome
	problems []wire.Problem
}

func (k *kept) Hit(h wire.Hit) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hits = append(k.hits, h)
	return nil
}

func (k *kept) Result(r wire.Result) error { k.results = append(k.results, r); return nil }

func (k *kept) Outcome(o wire.Outcome) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.outcomes = append(k.outcomes, o)
	return nil
}

func (k *kept) Health(wire.Health) error { return nil }

func (k *kept) Problem(p wire.Problem) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.problems = append(k.problems, p)
	return nil
}

func (k *kept) all() []wire.Hit {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]wire.Hit{}, k.hits...)
}

// family is a process tree in which everybody descends from a shell.
type family struct{}

func (family) Lookup(pid, start int64) (proctree.Process, bool) {
	return proctree.Process{PID: pid, Start: start}, true
}

func (family) Ancestry(pid, start int64) []proctree.Process {
	return []proctree.Process{
		{PID: 50, Start: 5e9, Parent: 1, Name: "bash", Path: "/usr/bin/bash", Cmdline: "-bash"},
		{PID: 1, Start: 1e7, Name: "systemd", Path: "/usr/lib/systemd/systemd"},
	}
}

func newDetector(t *testing.T, respond, rules string) (*detector, *kept) {
	t.Helper()
	loaded, problems := rule.Load("test.json", []byte(rules))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	k := &kept{}
	d := &detector{
		convert: &converter{tree: family{}, users: newUserNames(time.Now), boot: time.Unix(1_700_000_000, 0)},
		fields:  newFieldList(), policy: newPolicy(respond), actions: response.NewSet(response.TerminateProcess()),
		report: k, tell: func(source string, err error) { t.Errorf("%s: %v", source, err) },
		log: silent, now: time.Now, bootID: "boot", pace: func(ctx context.Context) error { return ctx.Err() },
		fold: newFolder(), slots: make(chan struct{}, maxActing),
	}
	d.setRules(loaded, "linux")
	return d, k
}

const minerRule = `{"id":7,"name":"miner","title":"Miner","type":"process","severity":"high","enabled":true,
	"attack":["T1496"],"conditions":["name = 'xmrig'"],"actions":["alert","terminate_process"]}`

func execution(pid, start int64, path, cmdline string) *event.Exec {
	e := &event.Exec{Actor: event.Actor{PID: pid, StartTime: start, Path: path}, Parent: 50, Name: baseName(path, ""), Cmdline: cmdline, UID: -1}
	e.At(time.Unix(1_700_000_100, 0))
	return e
}

func (d *detector) see(events ...event.Event) {
	var ev rule.Event
	for i, e := range events {
		e.Head().SetID(uint64(i + 1))
		d.one(context.Background(), &ev, e)
	}
	d.acting.Wait()
}
