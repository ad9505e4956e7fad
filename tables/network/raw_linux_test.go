package network

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/internal/testneed"
	. "github.com/aiedr/edr/tables/tablestest"
)

// TestRawAndPacketSockets finds the sockets of a sniffer, which none of the
// files of TCP and UDP list.
func TestRawAndPacketSockets(t *testing.T) {
	testneed.Root(t)
	for _, c := range []struct {
		name                   string
		family, kind, protocol int
		want                   map[string]any
	}{
		{"raw", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP, map[string]any{"family": 2, "protocol": 255, "local_port": 1}},
		{"packet", unix.AF_PACKET, unix.SOCK_RAW, 0x0300, map[string]any{"family": 17, "protocol": 3, "local_address": ""}},
	} {
		fd, err := unix.Socket(c.family, c.kind|unix.SOCK_CLOEXEC, c.protocol)
		if err != nil {
			testneed.Missing(t, c.name+" sockets: "+err.Error())
		}
		defer unix.Close(fd)
		row := Scan(t, Connections, Live(t), Equals("pid", os.Getpid())).Find(t, "fd", fd)
		Want(t, row, c.want)
		Want(t, row, map[string]any{"pid": os.Getpid(), "uid": 0})
	}
}
