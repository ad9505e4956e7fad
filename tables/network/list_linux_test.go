package network

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/bpf"
	. "github.com/aiedr/edr/tables/tablestest"
)

// TestListAgreesWithProc: the kernel's list gives the rows that /proc gives
// for the sockets of the test, shared ones included.
func TestListAgreesWithProc(t *testing.T) {
	testneed.Root(t)
	host := Live(t)
	host.Kept = &tables.Kept{}
	defer host.Kept.Close()
	if _, err := host.Kept.Get(listName, func() (io.Closer, error) { return bpf.LoadHeldSockets() }); err != nil {
		testneed.Missing(t, err.Error())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := int64(l.Addr().(*net.TCPAddr).Port)
	for range 50 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	f, err := l.(*net.TCPListener).File() // the same socket by another descriptor
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	child := exec.Command("sleep", "60") // and by another process
	child.ExtraFiles = []*os.File{f}
	if err := child.Start(); err != nil {
		testneed.Missing(t, "sleep: "+err.Error())
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()

	ours := func(host *tables.Host) (rows []string) {
		r := Scan(t, Connections, host)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		for _, row := range r.Rows {
			if row["local_port"] == port || row["remote_port"] == port {
				rows = append(rows, fmt.Sprint(row))
			}
		}
		slices.Sort(rows)
		return rows
	}
	slow, quick := ours(Live(t)), ours(host)
	if len(slow) < 52 || !slices.Equal(slow, quick) {
		t.Errorf("%d rows by /proc, %d by the list", len(slow), len(quick))
		for i := range min(len(slow), len(quick)) {
			if slow[i] != quick[i] {
				t.Errorf("/proc %s\n list %s", slow[i], quick[i])
				break
			}
		}
	}
	c := &collection{q: &tables.Query{Host: host}, holders: make([]holder, 1), first: map[uint64]int32{}, ns: map[uint64]int64{}}
	full, err := collect(t.Context(), c.q, false)
	if err != nil {
		t.Fatal(err)
	}
	defer full.close()
	c.r = full.r
	if listed := c.list(); !listed[int64(os.Getpid())] || len(c.holders) < 50 {
		t.Error("the list was not used: the comparison above says nothing")
	}
}
