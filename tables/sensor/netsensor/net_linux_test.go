package netsensor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables/bpf"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/procsensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
)

type collector struct {
	mu   sync.Mutex
	got  []*event.Socket
	lost map[string]uint64
}

func (c *collector) Publish(e event.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := e.(*event.Socket); ok {
		c.got = append(c.got, s)
	}
}

func (c *collector) Lost(n uint64, cause string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost[cause] += n
}

// begin starts a mechanism, or ends the test with the reason why it cannot.
func begin(t *testing.T, m sensor.Mechanism) (*collector, sensor.Running) {
	t.Helper()
	c := &collector{lost: map[string]uint64{}}
	run, err := m.Start(context.Background(), c)
	if err != nil {
		var refused *bpf.LoadError
		if errors.As(err, &refused) {
			testneed.Missing(t, m.Name()+": "+err.Error())
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c, run
}

func newTree(t *testing.T) *proctree.Tree {
	t.Helper()
	tree, err := proctree.New(proctree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	return tree
}

// helper is this test's program run as a client: it connects to the address n
// times and closes each connection.
func TestMain(m *testing.M) {
	if addr := os.Getenv("NETSENSOR_TEST_CONNECT"); addr != "" {
		n := 0
		fmt.Sscan(os.Getenv("NETSENSOR_TEST_TIMES"), &n)
		for range n {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			// The server closes first, so that no port waits in TIME_WAIT here.
			_, _ = c.Read(make([]byte, 1))
			_ = c.Close()
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve accepts n connections and closes each.
func serve(t *testing.T, network, addr string, n int) (net.Listener, <-chan struct{}) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		testneed.Missing(t, network+" on loopback: "+err.Error())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range n {
			c, err := l.Accept()
			if err != nil {
				t.Errorf("accept: %v", err)
				return
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return l, done
}

// TestEBPFConnections has another process make 250 connections to this one by
// each family, and wants every end of every one with the right process.
func TestEBPFConnections(t *testing.T) {
	t.Run("by name", func(t *testing.T) { testConnections(t, bpf.AcceptName) })
	t.Run("by system call", func(t *testing.T) { testConnections(t, bpf.AcceptExit) })
}

func testConnections(t *testing.T, accept string) {
	testneed.Root(t)
	tree := newTree(t)
	// The process sensor lets events gather for longer, so that connections
	// would be looked up too early if the tree did not catch up.
	begin(t, procsensor.NewEBPF(procsensor.Options{Tree: tree, Interval: time.Minute}))
	c, run := begin(t, NewEBPF(Options{Tree: tree, Interval: 50 * time.Millisecond, Accept: accept}))
	if d, degraded := run.(sensor.Describer).Describe(); degraded {
		t.Logf("degraded: %s", d)
	}
	const each = 250
	clients := map[int32]int64{} // by server port
	for _, s := range []struct{ network, addr string }{{"tcp4", "127.0.0.1:0"}, {"tcp6", "[::1]:0"}} {
		l, done := serve(t, s.network, s.addr, each)
		pid := connect(t, l.Addr().String(), each)
		<-done
		clients[int32(l.Addr().(*net.TCPAddr).Port)] = pid
	}
	refused, err := net.Listen("tcp4", "127.0.0.1:0")
	for err == nil && clients[int32(refused.Addr().(*net.TCPAddr).Port)] != 0 {
		_ = refused.Close() // the other family's server has that number
		refused, err = net.Listen("tcp4", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	closed := refused.Addr().String()
	_ = refused.Close()
	if _, err := net.Dial("tcp4", closed); err == nil {
		t.Fatal("connected to a closed port")
	}
	// The kernel ends a connection when the last acknowledgement is in, which
	// under load is after both sides have closed and the client has ended.
	settle(c, 4*each*len(clients), clients)
	if err := run.Close(); err != nil {
		t.Fatal(err)
	}

	self := int64(os.Getpid())
	exe, _ := os.Executable()
	type key struct {
		port   int32
		action string
	}
	count := map[key]int{}
	failed := 0
	cookies := map[uint64]string{}
	for _, e := range c.got {
		if e.Action == "connect" && e.Status == "failed" && fmt.Sprintf("127.0.0.1:%d", e.RemotePort) == closed {
			failed++
			if e.PID != self || e.Success != 0 {
				t.Errorf("refused connect %+v", e)
			}
		}
		port := e.RemotePort
		want, ours := clients[port]
		if !ours {
			port = e.LocalPort
			if want, ours = clients[port]; !ours {
				continue
			}
			want = self
		}
		side := "client "
		if want == self {
			side = "server "
		}
		count[key{port, side + e.Action}]++
		if e.PID != want {
			t.Errorf("%s%s by pid %d, want %d", side, e.Action, e.PID, want)
		}
		if e.Path != exe || e.StartTime == 0 {
			t.Errorf("%s%s: path %q start %d", side, e.Action, e.Path, e.StartTime)
		}
		switch e.Action {
		case "close":
			if e.Duration <= 0 {
				t.Errorf("close without duration: %+v", e)
			}
			if opened := cookies[e.Cookie]; opened == "" {
				t.Errorf("close of cookie %d, which was never opened", e.Cookie)
			}
		case "connect", "accept":
			cookies[e.Cookie] = e.Action
			if e.LocalPort == 0 || e.RemotePort == 0 || e.LocalAddress == "" || e.RemoteAddress == "" || e.Status != "succeeded" {
				t.Errorf("%+v", e)
			}
		}
	}
	for port := range clients {
		for action, n := range map[string]int{
			"client connect": each, "client close": each, "server accept": each, "server close": each, "server listen": 1,
		} {
			if got := count[key{port, action}]; got != n {
				t.Errorf("port %d: %d × %s, want %d", port, got, action, n)
			}
		}
	}
	if failed != 1 {
		t.Errorf("%d refused connects, want 1", failed)
	}
	if len(c.lost) != 0 {
		t.Errorf("lost %v", c.lost)
	}
}

// settle waits until n connects, accepts and closes of the servers' ports are
// there, or it is clear that they do not come.
func settle(c *collector, n int, clients map[int32]int64) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		got := 0
		c.mu.Lock()
		for _, e := range c.got {
			_, to := clients[e.RemotePort]
			_, at := clients[e.LocalPort]
			if (to || at) && (e.Action == "connect" || e.Action == "accept" || e.Action == "close") {
				got++
			}
		}
		c.mu.Unlock()
		if got >= n {
			return
		}
	}
}

// TestPoll has a connection stay open over some looks.
func TestPoll(t *testing.T) {
	c, run := begin(t, NewPoll(Options{Tree: newTree(t), Poll: 50 * time.Millisecond}))
	if _, degraded := run.(sensor.Describer).Describe(); !degraded {
		t.Error("polling does not say that it misses things")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	port := int32(l.Addr().(*net.TCPAddr).Port)
	wait := func(action string, n int) {
		t.Helper()
		deadline := time.Now().Add(30 * time.Second)
		for {
			c.mu.Lock()
			got := 0
			for _, e := range c.got {
				if (e.LocalPort == port || e.RemotePort == port) && e.Action == action {
					got++
					if e.PID != int64(os.Getpid()) {
						t.Errorf("%s by pid %d, want %d", action, e.PID, os.Getpid())
					}
				}
			}
			c.mu.Unlock()
			if got == n {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d × %s, want %d", got, action, n)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	wait("listen", 1)
	wait("connect", 1)
	wait("accept", 1)
	_, _ = server.Close(), client.Close() // both ends
	wait("close", 2)
}
