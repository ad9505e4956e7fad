package response

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/wire"
)

// wait bounds a packet's way within the machine; what is blocked shows by an
// error, not by this.
const wait = 5 * time.Second

// dial connects from the near end.
func (p pair) dial(t *testing.T, network string, to netip.AddrPort) (c net.Conn, err error) {
	t.Helper()
	within(t, p.near, func() error {
		d := net.Dialer{Timeout: wait}
		c, err = d.Dial(network, to.String())
		return nil
	})
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// talk sends a word and reads it back.
func talk(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("ping")); err != nil {
		return err
	}
	buf := make([]byte, 8)
	n, err := c.Read(buf)
	if err != nil {
		return err
	}
	if string(buf[:n]) != "ping" {
		return fmt.Errorf("read back %q", buf[:n])
	}
	return nil
}

func connected(t *testing.T, p pair, network string, to netip.AddrPort) net.Conn {
	t.Helper()
	c, err := p.dial(t, network, to)
	if err == nil {
		err = talk(c)
	}
	if err != nil {
		t.Fatalf("%s to %s before any block: %v", network, to, err)
	}
	return c
}

func actIn(t *testing.T, o Options) *bench {
	t.Helper()
	return &bench{t: t, set: NewSet(All(o)...)}
}

// needsFilter skips where the kernel cannot block or cannot end connections.
func needsFilter(t *testing.T, ns int) {
	t.Helper()
	f, err := openFilter(ns)
	if err == nil {
		err = f.prepare()
	}
	if err != nil {
		testneed.Missing(t, fmt.Sprintf("nftables (%v)", err))
	}
	s, err := openSockets(ns)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	nobody := socket{family: unix.AF_INET, proto: unix.IPPROTO_TCP, state: 1}
	if err := s.end(nobody); errors.Is(err, errNoDestroy) {
		testneed.Missing(t, err.Error())
	} else if err != nil {
		t.Fatal(err)
	}
}

func TestBlockEndsConnectionsAndKeepsThemFromBeingMade(t *testing.T) {
	testneed.Root(t)
	p := newPair(t)
	needsFilter(t, p.near)
	b := actIn(t, Options{netns: p.near})
	for _, addr := range farAddrs {
		t.Run(addr.String(), func(t *testing.T) {
			b.t = t
			port, other := p.echo(t, addr), p.echo(t, addr)
			to, beside := netip.AddrPortFrom(addr, port), netip.AddrPortFrom(addr, other)
			open := connected(t, p, "tcp", to)
			spared := connected(t, p, "tcp", beside)
			datagrams := connected(t, p, "udp", to)
			args := BlockConnectionArgs{RemoteAddress: addr.String(), RemotePort: port, Protocol: "tcp", Duration: 600}

			wantOutcome(t, b.run("block_connection", args, true), "planned", "end its 1 open connection")
			if err := talk(open); err != nil {
				t.Fatalf("a dry run ended the connection: %v", err)
			}
			out := b.run("block_connection", args, false)
			wantOutcome(t, out, "done", "1 open connection ended, none is left")
			if err := talk(open); err == nil {
				t.Error("the open connection goes on")
			}
			if _, err := p.dial(t, "tcp", to); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("a new connection: %v, want refused at once", err)
			}
			if err := talk(spared); err != nil {
				t.Errorf("a connection to another port was cut: %v", err)
			}
			if err := talk(datagrams); err != nil {
				t.Errorf("another protocol was cut: %v", err)
			}
			blocks, err := blocksIn(p.near)
			if err != nil || len(blocks) != 2 {
				t.Fatalf("listed %+v, %v; want one out and one in", blocks, err)
			}
			for _, k := range blocks {
				if k.RemoteAddress != addr.String() || k.RemotePort != port || k.Protocol != "tcp" || k.Left < 1 || k.Left > 600 {
					t.Errorf("listed %+v", k)
				}
			}

			// An agent that starts anew finds the block and leaves it.
			if found, err := reconcile(p.near); err != nil || len(found) != 2 {
				t.Errorf("reconciled %+v, %v", found, err)
			}
			if _, err := p.dial(t, "tcp", to); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("a new connection after the agent started anew: %v", err)
			}
			// Again: the time is set anew.
			args.Duration = 6000
			wantOutcome(t, b.run("block_connection", args, false), "done", "0 open connections ended")
			if blocks, err = blocksIn(p.near); err != nil || len(blocks) != 2 || blocks[0].Left <= 600 {
				t.Errorf("blocked again: %+v, %v", blocks, err)
			}

			wantOutcome(t, b.undo(out), "done", "no longer blocked")
			connected(t, p, "tcp", to)
			if blocks, err := blocksIn(p.near); err != nil || len(blocks) != 0 {
				t.Errorf("left after the undo: %+v, %v", blocks, err)
			}
			wantOutcome(t, b.undo(out), "failed", "is not blocked")
		})
	}
}

func TestBlockOfAWholeAddress(t *testing.T) {
	testneed.Root(t)
	p := newPair(t)
	needsFilter(t, p.near)
	b := actIn(t, Options{netns: p.near})
	for _, c := range []struct{ direction, protocol string }{{"", ""}, {"out", "any"}, {"in", "udp"}} {
		for _, addr := range farAddrs {
			t.Run(c.direction+c.protocol+addr.String(), func(t *testing.T) {
				b.t = t
				to := netip.AddrPortFrom(addr, p.echo(t, addr))
				open, datagrams := connected(t, p, "tcp", to), connected(t, p, "udp", to)
				out := b.run("block_connection", BlockConnectionArgs{RemoteAddress: addr.String(), Direction: c.direction, Protocol: c.protocol}, false)
				want := "2 open connections ended"
				if c.protocol == "udp" {
					want = "1 open connection ended"
				}
				wantOutcome(t, out, "done", want)
				if err := talk(datagrams); err == nil {
					t.Error("datagrams still pass on the open socket")
				}
				if c.protocol == "udp" {
					if err := talk(open); err != nil {
						t.Errorf("TCP was cut: %v", err)
					}
				} else if err := talk(open); err == nil {
					t.Error("the open connection goes on")
				}
				if c.direction != "in" {
					if fresh, err := p.dial(t, "udp", to); err == nil && talk(fresh) == nil {
						t.Error("datagrams still pass on a new socket")
					}
				}
				wantOutcome(t, b.undo(out), "done", "no longer blocked")
				connected(t, p, "udp", to)
			})
		}
	}
}

// A socket of both families shows an IPv4 peer as ::ffff:a.b.c.d.
func TestBlockReachesMappedSockets(t *testing.T) {
	testneed.Root(t)
	p := newPair(t)
	needsFilter(t, p.near)
	var l net.Listener
	within(t, p.near, func() (err error) {
		l, err = net.Listen("tcp", "[::]:0")
		return err
	})
	defer l.Close()
	var c net.Conn
	within(t, p.far, func() (err error) {
		c, err = net.Dial("tcp", netip.AddrPortFrom(nearAddrs[0], netip.MustParseAddrPort(l.Addr().String()).Port()).String())
		return err
	})
	defer c.Close()
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	b := actIn(t, Options{netns: p.near})
	out := b.run("block_connection", BlockConnectionArgs{RemoteAddress: "::ffff:10.77.0.2"}, false)
	wantOutcome(t, out, "done", "10.77.0.2 is blocked")
	wantOutcome(t, out, "done", "1 open connection ended")
	if _, err := in.Read(make([]byte, 1)); err == nil {
		t.Error("the connection goes on")
	}
}

func TestBlockReachesTheProcessOfAContainer(t *testing.T) {
	testneed.Root(t)
	p := newPair(t)
	host := newNetns(t)
	needsFilter(t, host)
	to := netip.AddrPortFrom(farAddrs[0], p.echo(t, farAddrs[0]))
	open := connected(t, p, "tcp", to)
	cmd := exec.Command("sleep", "60")
	within(t, p.near, cmd.Start)
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	b := actIn(t, Options{netns: host})
	out := b.run("block_connection", BlockConnectionArgs{RemoteAddress: farAddrs[0].String(), Protocol: "tcp",
		PID: int64(cmd.Process.Pid), StartTime: statOf(t, cmd.Process.Pid).startTicks * tick}, false)
	wantOutcome(t, out, "done", "1 open connection ended")
	if err := talk(open); err == nil {
		t.Error("the connection of the process's namespace goes on")
	}
}

func TestBlockRefuses(t *testing.T) {
	server := netip.MustParseAddr("192.0.2.7")
	b := actIn(t, Options{Server: func(context.Context) ([]netip.Addr, error) { return []netip.Addr{server}, nil }})
	lost := actIn(t, Options{Server: func(context.Context) ([]netip.Addr, error) { return nil, errors.New("no such name") }})
	for name, c := range map[string]struct {
		b           *bench
		args        any
		state, want string
	}{
		"the agent's server":       {b, BlockConnectionArgs{RemoteAddress: "192.0.2.7", RemotePort: 9}, "refused", "reaches its server"},
		"the server, mapped":       {b, BlockConnectionArgs{RemoteAddress: "::ffff:192.0.2.7"}, "refused", "reaches its server"},
		"an unknown server":        {lost, BlockConnectionArgs{RemoteAddress: "192.0.2.8"}, "failed", "no such name; nothing was blocked"},
		"loopback":                 {b, BlockConnectionArgs{RemoteAddress: "127.0.0.5"}, "refused", "this machine itself"},
		"loopback of IPv6":         {b, BlockConnectionArgs{RemoteAddress: "::1"}, "refused", "this machine itself"},
		"everything":               {b, BlockConnectionArgs{RemoteAddress: "0.0.0.0"}, "refused", "no address of one machine"},
		"multicast":                {b, BlockConnectionArgs{RemoteAddress: "ff02::1"}, "refused", "no address of one machine"},
		"a name":                   {b, BlockConnectionArgs{RemoteAddress: "evil.example"}, "failed", "no IPv4 or IPv6 address"},
		"a network":                {b, BlockConnectionArgs{RemoteAddress: "192.0.2.0/24"}, "failed", "no IPv4 or IPv6 address"},
		"an interface":             {b, BlockConnectionArgs{RemoteAddress: "fe80::1%eth0"}, "failed", "leave %eth0 out"},
		"another protocol":         {b, BlockConnectionArgs{RemoteAddress: "192.0.2.8", Protocol: "icmp"}, "failed", "want tcp, udp or any"},
		"another direction":        {b, BlockConnectionArgs{RemoteAddress: "192.0.2.8", Direction: "up"}, "failed", "want out, in or both"},
		"too long":                 {b, BlockConnectionArgs{RemoteAddress: "192.0.2.8", Duration: maxBlock + 1}, "failed", "want between 1 and"},
		"a pid alone":              {b, BlockConnectionArgs{RemoteAddress: "192.0.2.8", PID: 5}, "failed", "needs its start_time_ns"},
		"a port that is none":      {b, map[string]any{"remote_address": "192.0.2.8", "remote_port": 65536}, "failed", "read the arguments"},
		"an argument that is none": {b, map[string]any{"remote_address": "192.0.2.8", "hosts": "all"}, "failed", "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, dry := range []bool{true, false} {
				raw, err := json.Marshal(c.args)
				if err != nil {
					t.Fatal(err)
				}
				out := c.b.set.Run(context.Background(), wire.Respond{Action: "block_connection", Args: raw, DryRun: dry})
				wantOutcome(t, out, c.state, c.want)
			}
		})
	}
}

func TestUnblockWhatIsNotBlocked(t *testing.T) {
	testneed.Root(t)
	b := actIn(t, Options{netns: newNetns(t)})
	wantOutcome(t, b.run("unblock_connection", UnblockConnectionArgs{RemoteAddress: "192.0.2.8"}, false), "failed", "is not blocked")
	if blocks, err := blocksIn(newNetns(t)); err != nil || blocks != nil {
		t.Errorf("a machine without a table has the blocks %v, %v", blocks, err)
	}
}

// Where destinations are translated, a program knows only the address before.
func TestBlockOfATranslatedAddress(t *testing.T) {
	testneed.Root(t)
	nft, err := exec.LookPath("nft")
	if err != nil {
		testneed.Missing(t, "nft")
	}
	p := newPair(t)
	needsFilter(t, p.near)
	var text []byte
	var failed error
	within(t, p.near, func() error {
		cmd := exec.Command(nft, "-f", "-")
		cmd.Stdin = strings.NewReader("table ip lb { chain out { type nat hook output priority -100; ip daddr 10.77.0.99 dnat to 10.77.0.2; }; }")
		text, failed = cmd.CombinedOutput()
		return nil
	})
	if failed != nil {
		testneed.Missing(t, fmt.Sprintf("translation of addresses (%s)", text))
	}
	to := netip.AddrPortFrom(netip.MustParseAddr("10.77.0.99"), p.echo(t, farAddrs[0]))
	open := connected(t, p, "tcp", to)
	b := actIn(t, Options{netns: p.near})
	for _, addr := range []string{"10.77.0.99", "10.77.0.2"} { // as the program sees it, and as the wire does
		out := b.run("block_connection", BlockConnectionArgs{RemoteAddress: addr, Protocol: "tcp"}, false)
		wantOutcome(t, out, "done", "is blocked")
		if _, err := p.dial(t, "tcp", to); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("a new connection while %s is blocked: %v, want refused", addr, err)
		}
		wantOutcome(t, b.undo(out), "done", "no longer blocked")
		connected(t, p, "tcp", to)
	}
	if err := talk(open); err == nil {
		t.Error("the open connection goes on")
	}
}

// The rules are such as the system's own tool can show.
func TestBlocksAreReadableByNft(t *testing.T) {
	testneed.Root(t)
	nft, err := exec.LookPath("nft")
	if err != nil {
		testneed.Missing(t, "nft")
	}
	ns := newNetns(t)
	needsFilter(t, ns)
	b := actIn(t, Options{netns: ns})
	wantOutcome(t, b.run("block_connection", BlockConnectionArgs{RemoteAddress: "2001:db8::9", RemotePort: 443, Protocol: "tcp"}, false), "done", "is blocked")
	wantOutcome(t, b.run("block_connection", BlockConnectionArgs{RemoteAddress: "203.0.113.9", Protocol: "udp"}, false), "done", "is blocked")
	var text []byte
	within(t, ns, func() (err error) {
		text, err = exec.Command(nft, "list", "table", "inet", "edr").CombinedOutput()
		return err
	})
	for _, want := range []string{"2001:db8::9 . tcp . 443 timeout 1h", "203.0.113.9 . udp timeout 1h", "ip6 daddr . meta l4proto . th dport @out6_port",
		"ip saddr . meta l4proto @in4_proto", "reject with tcp reset", "hook forward priority filter - 10"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("nft does not show %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}
}

// A kernel without reject drops instead.
func TestBlockWithoutReject(t *testing.T) {
	testneed.Root(t)
	p := newPair(t)
	needsFilter(t, p.near)
	f, err := openFilter(p.near)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.install(false); err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(farAddrs[1], p.echo(t, farAddrs[1]))
	c := connected(t, p, "udp", to)
	r, err := targetOf(BlockConnectionArgs{RemoteAddress: to.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.change(r, true); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("ping")); !errors.Is(err, unix.EPERM) {
		t.Errorf("a datagram: %v, want not permitted", err)
	}
}

func TestBlocksSideBySide(t *testing.T) {
	testneed.Root(t)
	ns := newNetns(t)
	needsFilter(t, ns)
	set := NewSet(All(Options{netns: ns})...)
	const many = 16
	outs := make(chan wire.Outcome)
	for i := range many {
		go func() {
			raw, _ := json.Marshal(BlockConnectionArgs{RemoteAddress: fmt.Sprintf("192.0.2.%d", i+1), RemotePort: 443})
			outs <- set.Run(context.Background(), wire.Respond{Action: "block_connection", Args: raw})
		}()
	}
	for range many {
		wantOutcome(t, <-outs, "done", "is blocked")
	}
	// Out and in, each for TCP and UDP.
	if blocks, err := blocksIn(ns); err != nil || len(blocks) != 4*many {
		t.Errorf("%d blocks, %v; want %d", len(blocks), err, 4*many)
	}
}

func FuzzParseSocket(f *testing.F) {
	f.Add(make([]byte, diagMsgSize))
	f.Add([]byte{unix.AF_INET, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSocket(b, unix.IPPROTO_TCP)
		if err == nil && (len(b) < diagMsgSize || s.remote.Addr().Is4() != (b[0] == unix.AF_INET)) {
			t.Errorf("%x is read as %+v", b, s)
		}
	})
}

func TestMain(m *testing.M) {
	code := m.Run()
	// Whatever the tests did was in namespaces of their own.
	if os.Geteuid() == 0 {
		if f, err := openFilter(0); err == nil {
			if there, err := f.there(); err == nil && there {
				fmt.Fprintln(os.Stderr, "note: this machine itself has a table inet edr")
			}
		}
	}
	os.Exit(code)
}
