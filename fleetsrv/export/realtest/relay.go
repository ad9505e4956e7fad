package realtest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Relay passes connections on the loopback interface on to a server, and can
// be cut: quicker than to end the server and start it again.
type Relay struct {
	Address string
	to      string

	mu    sync.Mutex
	l     net.Listener
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

// StartRelay starts a relay that ends with the test.
func StartRelay(t *testing.T, to string) *Relay {
	t.Helper()
	r := &Relay{to: to, Address: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	r.Up(t)
	t.Cleanup(func() { r.Down(t) })
	return r
}

// Up listens, at the same address as before.
func (r *Relay) Up(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp4", r.Address)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.l, r.Address = l, l.Addr().String()
	r.mu.Unlock()
	r.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.pass(in) })
		}
	})
}

// Down stops listening and cuts what is open.
func (r *Relay) Down(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	if r.l != nil {
		_ = r.l.Close()
		r.l = nil
	}
	for c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

func (r *Relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.l == nil {
		_ = c.Close()
		return false
	}
	r.conns[c] = true
	return true
}

func (r *Relay) drop(c net.Conn) {
	_ = c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

func (r *Relay) pass(in net.Conn) {
	if !r.keep(in) {
		return
	}
	defer r.drop(in)
	out, err := net.Dial("tcp4", r.to)
	if err != nil || !r.keep(out) {
		return
	}
	defer r.drop(out)
	r.wg.Go(func() {
		_, _ = io.Copy(out, in) // ends when either side is closed
		_ = out.Close()
	})
	_, _ = io.Copy(in, out)
}
