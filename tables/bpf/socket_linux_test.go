package bpf

import (
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/internal/testneed"
)

func socketRecords(t *testing.T, opts SocketOptions, during func(s *SocketPrograms)) []Socket {
	t.Helper()
	testneed.Root(t)
	s, err := LoadSocket(opts)
	var refused *LoadError
	if errors.As(err, &refused) {
		testneed.Missing(t, "eBPF: "+err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("accept by %s, cgroup %q (%v)", s.Accept, s.Cgroup, s.NoCgroup)
	var (
		mu  sync.Mutex
		got []Socket
	)
	done := make(chan error, 1)
	go func() {
		done <- s.Run(func(raw []byte) {
			var r Socket
			if err := DecodeSocket(raw, &r); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			got = append(got, r)
			mu.Unlock()
		}, func(l []Loss) {
			if len(l) > 0 {
				t.Errorf("lost %v", l)
			}
		})
	}()
	during(s)
	if err := s.Detach(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return got
}

func testSocketRecords(t *testing.T, opts SocketOptions) {
	opts.Interval = 20 * time.Millisecond
	var port uint16
	got := socketRecords(t, opts, func(*SocketPrograms) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port = uint16(l.Addr().(*net.TCPAddr).Port)
		accepted := make(chan net.Conn, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- c
		}()
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		a := <-accepted
		_ = c.Close()
		_ = a.Close()
		_ = l.Close()
		if _, err := net.Dial("tcp4", l.Addr().String()); err == nil {
			t.Fatal("connected to a closed port")
		}
	})
	count := map[uint16]int{}
	for _, r := range got {
		if r.Local.Port() != port && r.Remote.Port() != port {
			continue
		}
		count[r.Type]++
		if int(r.PID) != os.Getpid() && r.Type != TypeIncoming {
			t.Errorf("record %+v: pid %d, want %d", r.Header, r.PID, os.Getpid())
		}
		if r.Type == TypeClose && (r.Opened == 0 || r.Opened > r.Time) {
			t.Errorf("close at %d of a connection opened at %d", r.Time, r.Opened)
		}
		if r.Cookie == 0 {
			t.Errorf("record of type %d without cookie", r.Type)
		}
	}
	for kind, n := range map[uint16]int{TypeAttempt: 2, TypeConnected: 1, TypeFailed: 1, TypeAccept: 1, TypeListen: 1, TypeClose: 2} {
		if count[kind] != n {
			t.Errorf("%d records of type %d, want %d", count[kind], kind, n)
		}
	}
}

func TestSocketRecords(t *testing.T) { testSocketRecords(t, SocketOptions{}) }

func TestSocketRecordsByName(t *testing.T) { testSocketRecords(t, SocketOptions{Accept: AcceptName}) }

func TestSocketRecordsBySystemCall(t *testing.T) {
	testSocketRecords(t, SocketOptions{Accept: AcceptExit})
}
