package netsensor

import (
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables/bpf"
)

// TestAcceptWithoutName accepts as a program that does not want to know who
// connected: found among the file descriptors if it keeps the connection, and
// at its close if it does not.
func TestAcceptWithoutName(t *testing.T) {
	testneed.Root(t)
	c, run := begin(t, NewEBPF(Options{Tree: newTree(t), Interval: 20 * time.Millisecond, Accept: bpf.AcceptName}))
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := int32(l.Addr().(*net.TCPAddr).Port)
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	accept := func() (client net.Conn, fd int) {
		client, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		n, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, f.Fd(), 0, 0, unix.SOCK_CLOEXEC, 0, 0)
		if errno != 0 {
			t.Fatal(errno)
		}
		return client, int(n)
	}
	short, fd := accept()
	_ = unix.Close(fd)
	_ = short.Close()
	long, fd := accept()
	count := func(action string) (n int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, e := range c.got {
			if e.Action == action && e.LocalPort == port {
				n++
				if e.PID != int64(os.Getpid()) || e.Status != "succeeded" {
					t.Errorf("%s: pid %d status %s", action, e.PID, e.Status)
				}
			}
		}
		return n
	}
	for deadline := time.Now().Add(30 * time.Second); count("accept") < 2; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("saw %d accepts of 2", count("accept"))
		}
	}
	_ = unix.Close(fd)
	_ = long.Close()
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}
	if count("accept") != 2 || count("close") != 2 {
		t.Errorf("%d accepts and %d closes, want 2 of each", count("accept"), count("close"))
	}
}
