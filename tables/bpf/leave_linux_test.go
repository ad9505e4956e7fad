package bpf

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// kernelIDs are the numbers of what was loaded.
type kernelIDs struct {
	programs []ebpf.ProgramID
	maps     []ebpf.MapID
	links    []link.ID
}

func idsOf(t *testing.T, l *loaded) (ids kernelIDs) {
	t.Helper()
	for _, c := range l.closers {
		switch c := c.(type) {
		case *ebpf.Program:
			i, err := c.Info()
			if err != nil {
				t.Fatal(err)
			}
			id, _ := i.ID()
			ids.programs = append(ids.programs, id)
		case *ebpf.Map:
			i, err := c.Info()
			if err != nil {
				t.Fatal(err)
			}
			id, _ := i.ID()
			ids.maps = append(ids.maps, id)
		}
	}
	for _, l := range l.links {
		i, err := l.Info()
		if err != nil {
			t.Fatal(err)
		}
		ids.links = append(ids.links, i.ID)
	}
	return ids
}

// left counts which of them the kernel still has.
func (ids kernelIDs) left(t *testing.T) (n int) {
	t.Helper()
	look := func(c interface{ Close() error }, err error) {
		switch {
		case err == nil:
			n++
			_ = c.Close()
		case !errors.Is(err, os.ErrNotExist):
			t.Fatal(err)
		}
	}
	for _, id := range ids.programs {
		p, err := ebpf.NewProgramFromID(id)
		look(p, err)
	}
	for _, id := range ids.maps {
		m, err := ebpf.NewMapFromID(id)
		look(m, err)
	}
	for _, id := range ids.links {
		l, err := link.NewFromID(id)
		if err != nil {
			look(nil, err)
			continue
		}
		look(l, err)
	}
	return n
}

func gone(t *testing.T, ids kernelIDs) {
	t.Helper()
	// The kernel frees some of it a little later.
	for range 200 {
		if ids.left(t) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("%d of %+v are still in the kernel", ids.left(t), ids)
}

func TestProcessLeavesNothing(t *testing.T) {
	p := running(t, Options{})
	ids := idsOf(t, p.loaded)
	if len(ids.programs) != 3 || len(ids.maps) < 5 || len(ids.links) != 3 || ids.left(t) == 0 {
		t.Fatalf("loaded %+v", ids)
	}
	if err := p.Detach(); err != nil {
		t.Error(err)
	}
	if err := p.Run(func([]byte) {}, func([]Loss) {}); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	gone(t, ids)
}

func TestSocketLeavesNothing(t *testing.T) {
	var ids kernelIDs
	socketRecords(t, SocketOptions{}, func(s *SocketPrograms) {
		ids = idsOf(t, s.loaded)
		if len(ids.programs) < 2 || len(ids.links) < 2 || ids.left(t) == 0 {
			t.Errorf("loaded %+v", ids)
		}
	})
	gone(t, ids)
}
