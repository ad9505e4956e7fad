package procsensor

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables/bpf"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
)

// collector keeps what a mechanism publishes.
type collector struct {
	mu    sync.Mutex
	execs map[int64][]*event.Exec
	exits map[int64]*event.Exit
	ends  map[int64]int
	lost  map[string]uint64
	more  chan struct{}
}

func newCollector() *collector {
	return &collector{
		execs: map[int64][]*event.Exec{}, exits: map[int64]*event.Exit{}, ends: map[int64]int{},
		lost: map[string]uint64{}, more: make(chan struct{}, 1),
	}
}

func (c *collector) Publish(e event.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := e.(type) {
	case *event.Exec:
		c.execs[e.PID] = append(c.execs[e.PID], e)
	case *event.Exit:
		c.exits[e.PID] = e
		c.ends[e.PID]++
	}
	select {
	case c.more <- struct{}{}:
	default:
	}
}

func (c *collector) Lost(n uint64, cause string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost[cause] += n
}

// wait returns when ok holds, or fails after long enough for any machine.
func (c *collector) wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		c.mu.Lock()
		done := ok()
		c.mu.Unlock()
		if done {
			return
		}
		select {
		case <-c.more:
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			t.Fatalf("waited in vain for %s; lost so far %v", what, c.lost)
		}
	}
}

// begin starts a mechanism, or ends the test with the reason why it cannot.
func begin(t *testing.T, make func(Options) sensor.Mechanism, opts Options) (*collector, sensor.Running, *proctree.Tree) {
	t.Helper()
	testneed.Root(t)
	tree, err := proctree.New(proctree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	opts.Tree = tree
	c := newCollector()
	m := make(opts)
	run, err := m.Start(context.Background(), c)
	if err != nil {
		var refused *bpf.LoadError
		var unavailable *Unavailable
		if errors.As(err, &refused) || errors.As(err, &unavailable) {
			testneed.Missing(t, m.Name()+": "+err.Error())
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c, run, tree
}

// treeOfNothing is a process tree over an empty folder.
func treeOfNothing(t *testing.T) *proctree.Tree {
	t.Helper()
	tree, err := proctree.New(proctree.Options{Proc: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	return tree
}
