package response

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/internal/testneed"
)

// within runs f on a thread in a network namespace. Sockets that it makes stay
// there.
func within(t *testing.T, ns int, f func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter the network namespace: %w", err)
			return
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// newNetns makes a network namespace that lasts as long as something is in it.
func newNetns(t *testing.T) int {
	t.Helper()
	type made struct {
		fd  int
		err error
	}
	done := make(chan made)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- made{-1, err}
			return
		}
		fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		done <- made{fd, err}
	}()
	m := <-done
	if m.err != nil {
		testneed.Missing(t, fmt.Sprintf("network namespaces (%v)", m.err))
	}
	t.Cleanup(func() { _ = unix.Close(m.fd) })
	return m.fd
}

// pair is two network namespaces with a cable between them.
type pair struct {
	near, far int
}

var (
	nearAddrs = []netip.Addr{netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("fd77::1")}
	farAddrs  = []netip.Addr{netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("fd77::2")}
)

func newPair(t *testing.T) pair {
	t.Helper()
	p := pair{near: newNetns(t), far: newNetns(t)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	near, err := netlink.NewHandleAt(netns.NsHandle(p.near))
	must(err)
	defer near.Close()
	far, err := netlink.NewHandleAt(netns.NsHandle(p.far))
	must(err)
	defer far.Close()
	err = near.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "near"}, PeerName: "far", PeerNamespace: netlink.NsFd(p.far)})
	if err != nil {
		testneed.Missing(t, fmt.Sprintf("veth devices (%v)", err))
	}
	for _, end := range []struct {
		h     *netlink.Handle
		name  string
		addrs []netip.Addr
	}{{near, "near", nearAddrs}, {far, "far", farAddrs}} {
		link, err := end.h.LinkByName(end.name)
		must(err)
		must(end.h.LinkSetUp(link))
		for _, a := range end.addrs {
			bits := 24
			if a.Is6() {
				bits = 64
			}
			must(end.h.AddrAdd(link, &netlink.Addr{
				IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, a.BitLen())}, Flags: unix.IFA_F_NODAD,
			}))
		}
		lo, err := end.h.LinkByName("lo")
		must(err)
		must(end.h.LinkSetUp(lo))
	}
	return p
}

// echo answers on a TCP and a UDP port of the far end what it is told, and
// gives the port.
func (p pair) echo(t *testing.T, addr netip.Addr) uint16 {
	t.Helper()
	var l net.Listener
	var u net.PacketConn
	within(t, p.far, func() (err error) {
		if l, err = net.Listen("tcp", netip.AddrPortFrom(addr, 0).String()); err != nil {
			return err
		}
		u, err = net.ListenPacket("udp", l.Addr().String())
		return err
	})
	t.Cleanup(func() { _ = l.Close(); _ = u.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			go func() {
				buf := make([]byte, 64)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					if _, err := c.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	go func() {
		buf := make([]byte, 64)
		for {
			n, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = u.WriteTo(buf[:n], from)
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}
