package procsensor

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/tables/sensor"
)

func connector(o Options) sensor.Mechanism { return NewConnector(o) }

func TestConnectorExits(t *testing.T) { testExits(t, connector) }

// TestConnectorExecs has programs that live long enough to be read, and wants
// those that do not to be counted.
func TestConnectorExecs(t *testing.T) {
	c, _, _ := begin(t, connector, Options{})
	var want []*exec.Cmd
	for range 20 {
		cmd := exec.Command("/bin/sleep", "600")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		want = append(want, cmd)
		defer func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}()
	}
	short := spawn(t, 50)
	c.wait(t, "all executions", func() bool {
		for _, cmd := range want {
			if len(c.execs[int64(cmd.Process.Pid)]) == 0 {
				return false
			}
		}
		for pid := range short {
			if len(c.execs[pid]) == 0 {
				return false
			}
		}
		return true
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cmd := range want {
		e := c.execs[int64(cmd.Process.Pid)][0]
		if e.Cmdline != "/bin/sleep 600" || e.Argv != `["/bin/sleep","600"]` || !strings.HasSuffix(e.Path, "/sleep") || e.Parent != int64(os.Getpid()) || e.StartTime == 0 {
			t.Errorf("%+v", e)
		}
	}
	var unread uint64
	for pid, argv := range short {
		e := c.execs[pid][0]
		var got []string
		if e.Argv != "" {
			if err := json.Unmarshal([]byte(e.Argv), &got); err != nil {
				t.Error(err)
			}
		}
		switch {
		case len(got) == 0:
			unread++
			if !e.Truncated {
				t.Errorf("pid %d has no arguments and does not say so", pid)
			}
		case strings.Join(got, " ") != strings.Join(argv, " "):
			t.Errorf("pid %d: argv %q, want %q", pid, got, argv)
		}
	}
	if counted := c.lost["ended before /proc was read"]; counted < unread {
		t.Errorf("%d executions could not be read, %d were counted", unread, counted)
	}
	for cause := range c.lost {
		if cause != "ended before /proc was read" {
			t.Errorf("lost %v", c.lost)
		}
	}
}

// TestConnectorGap feeds numbered messages and wants the missing ones counted.
func TestConnectorGap(t *testing.T) {
	c := newCollector()
	r := &connectorRun{next: map[uint32]uint32{}, out: c, tree: treeOfNothing(t), asked: time.Now()}
	for _, m := range []struct{ cpu, seq uint32 }{{0, 7}, {0, 8}, {1, 100}, {0, 11}, {1, 101}, {1, 102}, {1, 110}} {
		r.event(&connectorEvent{Kind: connectorFork, CPU: m.cpu, Seq: m.seq, PID: 2, TGID: 3})
	}
	if c.lost["sequence gap on cpu 0"] != 2 || c.lost["sequence gap on cpu 1"] != 7 {
		t.Errorf("lost %v", c.lost)
	}
}

func connectorMessage(kind uint32, words ...uint32) []byte {
	var body []byte
	body = binary.NativeEndian.AppendUint32(body, kind)
	body = binary.NativeEndian.AppendUint32(body, 1)   // cpu
	body = binary.NativeEndian.AppendUint64(body, 123) // time
	for _, w := range words {
		body = binary.NativeEndian.AppendUint32(body, w)
	}
	var b []byte
	for _, w := range []uint32{connectorIndex, connectorValue, 9, 0} {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	b = binary.NativeEndian.AppendUint16(b, uint16(len(body)))
	b = binary.NativeEndian.AppendUint16(b, 0)
	return append(b, body...)
}

func TestParseConnector(t *testing.T) {
	e, ok, err := parseConnector(connectorMessage(connectorExit, 10, 11, 9, 17, 4, 5))
	if err != nil || !ok || e.TGID != 11 || e.Code != 9 || e.ParentTGID != 5 || e.Seq != 9 || e.CPU != 1 || e.Time != 123 {
		t.Errorf("%+v %v %v", e, ok, err)
	}
	if _, _, err := parseConnector(connectorMessage(connectorFork, 1, 2)); err == nil {
		t.Error("a birth without its child was taken")
	}
	other := connectorMessage(connectorExec, 1, 2)
	other[0] = 9
	if _, ok, err := parseConnector(other); ok || err != nil {
		t.Errorf("another connector's message: %v %v", ok, err)
	}
}

func FuzzParseConnector(f *testing.F) {
	f.Add(connectorMessage(connectorExit, 10, 11, 9, 17, 4, 5))
	f.Add(connectorMessage(connectorFork, 1, 2, 3, 4))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, rest, err := nextMessage(b)
		if err == nil && len(m.Data)+len(rest) > len(b) {
			t.Error("more came out than went in")
		}
		_, ok, err := parseConnector(b)
		if ok && err != nil {
			t.Error("taken and refused at once")
		}
	})
}
