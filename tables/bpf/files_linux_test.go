package bpf

import (
	"fmt"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/internal/testneed"
)

// TestHeldSockets finds the sockets of this process, more than fit a buffer of
// the kernel, and its namespace.
func TestHeldSockets(t *testing.T) {
	testneed.Root(t)
	h, err := LoadHeldSockets()
	if err != nil {
		testneed.Missing(t, err.Error())
	}
	defer h.Close()
	const many = 1500
	inodes := map[uint64]int32{}
	for range many {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		raw, err := c.(*net.UDPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.Control(func(fd uintptr) {
			var st unix.Stat_t
			if unix.Fstat(int(fd), &st) == nil {
				inodes[st.Ino] = int32(fd)
			}
		})
	}
	for range 2 {
		processes, found, heads := 0, 0, map[uint32]int{}
		var netns uint32
		err = h.Read(func(s HeldSocket) {
			if s.FD < 0 {
				processes++
				heads[s.PID]++
			}
			if int(s.PID) != os.Getpid() {
				return
			}
			if s.FD < 0 {
				netns = s.NetNS
			} else if fd, ok := inodes[s.Inode]; ok && fd == s.FD {
				found++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if found != many || processes == 0 || heads[uint32(os.Getpid())] == 0 {
			t.Errorf("%d of %d sockets, %d processes, this one %d times", found, many, processes, heads[uint32(os.Getpid())])
		}
		if want, _ := os.Readlink("/proc/thread-self/ns/net"); want != fmt.Sprintf("net:[%d]", netns) {
			t.Errorf("namespace %d, want %s", netns, want)
		}
	}
}
