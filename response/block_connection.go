package response

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// BlockConnectionArgs name the other end of connections that are to end, and
// for how long none may be made again.
type BlockConnectionArgs struct {
	// RemoteAddress is an IPv4 or IPv6 address.
	RemoteAddress string `json:"remote_address" doc:"IPv4 or IPv6 address of the other end."`
	// RemotePort is the other end's port; 0 for any.
	RemotePort uint16 `json:"remote_port,omitempty" doc:"Port of the other end; 0 or none for every port."`
	// Protocol is tcp, udp or any; empty for any.
	Protocol string `json:"protocol,omitempty" doc:"tcp, udp or any; any if left out."`
	// Direction is out (what goes to the address), in (what comes from it) or
	// both; empty for both. It is that of packets: a TCP connection needs both.
	Direction string `json:"direction,omitempty" doc:"Packets that go out to the address, come in from it, or both; both if left out."`
	// PID and StartTime (nanoseconds since boot) may name a process whose
	// connections are ended also where it has a network namespace of its own,
	// as in a container.
	PID       int64 `json:"pid,omitempty" doc:"A process whose connections are ended also in a network namespace of its own, as in a container."`
	StartTime int64 `json:"start_time_ns,omitempty" doc:"Start of that process in nanoseconds since boot; needed with pid."`
	// Duration is in seconds; 0 for an hour.
	Duration int64 `json:"duration_s,omitempty" doc:"How long the block holds, in seconds; an hour if left out, 30 days at most."`
}

// UnblockConnectionArgs name a block as block_connection set it.
type UnblockConnectionArgs struct {
	RemoteAddress string `json:"remote_address" doc:"IPv4 or IPv6 address of the other end."`
	RemotePort    uint16 `json:"remote_port,omitempty" doc:"Port of the other end; 0 or none for every port."`
	Protocol      string `json:"protocol,omitempty" doc:"tcp, udp or any; any if left out."`
	Direction     string `json:"direction,omitempty" doc:"Packets that go out to the address, come in from it, or both; both if left out."`
}

// Block is a block in force.
type Block struct {
	RemoteAddress string `json:"remote_address"`
	RemotePort    uint16 `json:"remote_port,omitempty"` // 0 for any
	Protocol      string `json:"protocol"`              // tcp, udp or any
	Direction     string `json:"direction"`             // out or in
	// Left is how long it still holds, in seconds.
	Left int64 `json:"left_s"`
}

const (
	defaultBlock = int64(time.Hour / time.Second)
	maxBlock     = int64(30 * 24 * time.Hour / time.Second)
)

// blocker keeps connections from being made.
type blocker struct {
	server func(context.Context) ([]netip.Addr, error)
	netns  int
	mu     sync.Mutex // one change at a time
}

func newBlocker(o Options) *blocker { return &blocker{server: o.Server, netns: o.netns} }

func (b *blocker) blockConnection() Action {
	return New(Spec[BlockConnectionArgs]{
		Name: "block_connection",
		Doc: "Ends the connections with a remote address and lets no packet to it or from it through for a time, by the machine's packet filter; " +
			"checks that the block stands and that no such connection is left. Never the agent's own server nor the machine itself.",
		Example:  `{"remote_address":"203.0.113.9","remote_port":443,"protocol":"tcp","duration_s":3600}`,
		UndoneBy: "unblock_connection",
		Check: func(a BlockConnectionArgs) error {
			_, err := targetOf(a)
			return err
		},
		Plan: b.planBlock,
		Do:   b.doBlock,
	})
}

func (b *blocker) unblockConnection() Action {
	return New(Spec[UnblockConnectionArgs]{
		Name:    "unblock_connection",
		Doc:     "Takes a block of block_connection away and checks that it is gone. Connections that it ended stay ended.",
		Example: `{"remote_address":"203.0.113.9","remote_port":443,"protocol":"tcp"}`,
		Check: func(a UnblockConnectionArgs) error {
			_, err := targetOf(a.block())
			return err
		},
		Plan: b.planUnblock,
		Do:   b.doUnblock,
	})
}

func (a UnblockConnectionArgs) block() BlockConnectionArgs {
	return BlockConnectionArgs{RemoteAddress: a.RemoteAddress, RemotePort: a.RemotePort, Protocol: a.Protocol, Direction: a.Direction}
}

// remote is the other end of connections, checked.
type remote struct {
	addr  netip.Addr // never IPv4 in IPv6
	port  uint16     // 0 for any
	proto string     // tcp, udp or any
	in    bool       // what comes from it
	out   bool       // what goes to it
	span  time.Duration
	pid   int64
	start int64
}

func (r remote) String() string {
	s := r.addr.String()
	if r.port != 0 {
		s = netip.AddrPortFrom(r.addr, r.port).String()
	}
	if r.proto != "any" {
		s = r.proto + " " + s
	}
	switch {
	case !r.in:
		s += " (outgoing packets)"
	case !r.out:
		s += " (incoming packets)"
	}
	return s
}

func targetOf(a BlockConnectionArgs) (remote, error) {
	addr, err := netip.ParseAddr(a.RemoteAddress)
	if err != nil {
		return remote{}, fmt.Errorf("remote_address %q is no IPv4 or IPv6 address", a.RemoteAddress)
	}
	r := remote{addr: addr.Unmap(), port: a.RemotePort, proto: a.Protocol, pid: a.PID, start: a.StartTime}
	if r.addr.Zone() != "" {
		return r, fmt.Errorf("remote_address %q: leave %%%s out, a block holds on every interface", a.RemoteAddress, r.addr.Zone())
	}
	switch r.proto {
	case "":
		r.proto = "any"
	case "any", "tcp", "udp":
	default:
		return r, fmt.Errorf("protocol %q: want tcp, udp or any", a.Protocol)
	}
	switch a.Direction {
	case "", "both":
		r.in, r.out = true, true
	case "in":
		r.in = true
	case "out":
		r.out = true
	default:
		return r, fmt.Errorf("direction %q: want out, in or both", a.Direction)
	}
	switch {
	case a.Duration < 0 || a.Duration > maxBlock:
		return r, fmt.Errorf("duration_s %d: want between 1 and %d, or 0 for %d", a.Duration, maxBlock, defaultBlock)
	case a.PID < 0 || a.PID > 0 && a.StartTime <= 0:
		return r, errors.New("a pid needs its start_time_ns, because a pid is used again")
	}
	r.span = time.Duration(a.Duration) * time.Second
	if a.Duration == 0 {
		r.span = time.Duration(defaultBlock) * time.Second
	}
	return r, nil
}

// allowed refuses what would cut the machine or the agent off.
func (b *blocker) allowed(ctx context.Context, r remote) error {
	switch {
	case r.addr.IsLoopback():
		return &RefusedError{fmt.Sprintf("%s is this machine itself", r.addr)}
	case r.addr.IsUnspecified() || r.addr.IsMulticast() || r.addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return &RefusedError{fmt.Sprintf("%s is no address of one machine", r.addr)}
	}
	if b.server == nil {
		return nil
	}
	servers, err := b.server(ctx)
	if err != nil {
		return fmt.Errorf("make sure that %s is not the agent's own server: %w; nothing was blocked", r.addr, err)
	}
	for _, s := range servers {
		if s.Unmap().WithZone("") == r.addr {
			return &RefusedError{fmt.Sprintf("%s is the address by which this agent reaches its server", r.addr)}
		}
	}
	return nil
}
