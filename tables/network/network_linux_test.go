package network

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables"
	. "github.com/aiedr/edr/tables/tablestest"
)

const heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func netLine(local, remote, state string, uid, inode int) string {
	return fmt.Sprintf("   0: %s %s %s 00000000:00000000 00:00000000 00000000 %5d        0 %d 1 0 100 0 0 10 0\n", local, remote, state, uid, inode)
}

func machine(t *testing.T) *tables.Host {
	return Host(t, map[string]string{
		"proc/net/tcp": heading + netLine("0100007F:0016", "00000000:0000", "0A", 0, 1001) +
			netLine("0100007F:0016", "0200007F:D431", "01", 33, 1002) + "garbage\n" +
			netLine("0100007F:0016", "0200007F:D432", "06", 0, 0),
		"proc/net/udp":    heading + netLine("00000000:0035", "00000000:0000", "07", 101, 1003),
		"proc/net/udp6":   heading + netLine("00000000000000000000000001000000:0202", "00000000000000000000000001000000:0203", "01", 0, 1004),
		"proc/net/unix":   "Num       RefCount Protocol Flags    Type St Inode Path\n0: 00000002 00000000 00010000 0001 01 1005 /run/x.sock\n0: 3 0 0 0001 03 1006\n",
		"proc/net/raw":    heading + netLine("00000000:0001", "00000000:0000", "07", 0, 1007),
		"proc/net/packet": "sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n0000000000000000 3      3    0003   2     1 0      0      1008\nbroken\n",
		"proc/8/fd/7":     "-> socket:[1008]",
		"proc/7/stat":     "7 (sshd) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 1 1 1",
		"proc/7/cmdline":  "sshd\x00-D\x00",
		"proc/7/cgroup":   "0::/system.slice/ssh.service\n",
		"proc/7/exe":      "-> /usr/sbin/sshd",
		"proc/7/fd/3":     "-> socket:[1001]",
		"proc/7/fd/9":     "-> socket:[1002]",
		"proc/7/fd/4":     "-> socket:[1002]",
		"proc/7/fd/5":     "-> /dev/null",
		"proc/8/stat":     "8 (named) S 1 8 8 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 600 1 1 1",
		"proc/8/cmdline":  "named\x00",
		"proc/8/cgroup":   "0::/\n",
		"proc/8/exe":      "-> /usr/sbin/named",
		"proc/8/fd/1":     "-> socket:[1002]",
		"proc/8/fd/2":     "-> socket:[1003]",
		"proc/8/fd/6":     "-> socket:[1005]",
		"proc/8/ns/net":   "-> net:[broken",
		"proc/9/fd/1":     "-> pipe:[1001]",
		"proc/self/x":     "",
		"proc/net/tcp6/x": "a folder where a file should be",
	})
}

func TestFixture(t *testing.T) {
	r := Scan(t, Connections, machine(t))
	if r.Err != nil || len(r.Rows) != 8 {
		t.Fatalf("%d rows, %v: %v", len(r.Rows), r.Err, r.Rows)
	}
	Want(t, r.Find(t, "state", "LISTEN"), map[string]any{
		"pid": 7, "fd": 3, "socket": 1001, "family": 2, "protocol": 6, "local_address": "127.0.0.1", "local_port": 22,
		"remote_address": "0.0.0.0", "remote_port": 0, "uid": 0, "name": "sshd", "path": "/usr/sbin/sshd",
		"cmdline": "sshd -D", "parent": 1, "start_time_ns": 5_000_000_000, "container_id": "", "net_namespace": "",
	})
	Want(t, r.Find(t, "state", "TIME_WAIT"), map[string]any{
		"pid": nil, "fd": nil, "socket": 0, "uid": nil, "name": nil, "path": nil, "cmdline": nil, "remote_port": 0xd432,
	})
	Want(t, r.Find(t, "socket", 1003), map[string]any{"pid": 8, "protocol": 17, "state": "", "uid": 101, "local_port": 53})
	Want(t, r.Find(t, "socket", 1004), map[string]any{"pid": nil, "family": 10, "local_address": "::1", "remote_port": 0x203, "uid": 0})
	Want(t, r.Find(t, "socket", 1007), map[string]any{"pid": nil, "family": 2, "protocol": 255, "local_port": 1, "state": ""})
	Want(t, r.Find(t, "socket", 1008), map[string]any{"pid": 8, "path": "/usr/sbin/named", "family": 17, "protocol": 3, "local_address": "", "state": "", "uid": 0})
	// A socket of two processes is two rows, one by two descriptors is one.
	Want(t, r.Find(t, "fd", 4), map[string]any{"pid": 7, "socket": 1002, "state": "ESTABLISHED", "uid": 33})
	Want(t, r.Find(t, "fd", 1), map[string]any{"pid": 8, "socket": 1002})
	said := fmt.Sprint(r.Warnings)
	if !strings.Contains(said, "net/tcp: 1 lines") || !strings.Contains(said, "net/tcp6") || !strings.Contains(said, "net/packet: 1 lines") {
		t.Errorf("what is broken was not told: %v", said)
	}

	r = Scan(t, Connections, machine(t), Equals("pid", 8))
	if r.Err != nil || len(r.Rows) != 3 {
		t.Errorf("of process 8: %v, %v", r.Rows, r.Err)
	}
	r = Scan(t, ProcessOpenSockets, machine(t))
	if r.Err != nil || len(r.Rows) != 9 {
		t.Fatalf("process_open_sockets: %d rows, %v", len(r.Rows), r.Err)
	}
	Want(t, r.Find(t, "path", "/run/x.sock"), map[string]any{"pid": 8, "fd": 6, "family": 1, "protocol": 0, "local_address": "", "state": ""})
	Want(t, r.Find(t, "state", "TIME_WAIT"), map[string]any{"pid": -1, "fd": -1})
	if r := Scan(t, ProcessOpenSockets, machine(t), Equals("pid", -1)); len(r.Rows) != 4 {
		t.Errorf("without a process: %d rows, want 4", len(r.Rows))
	}
	r = Scan(t, ListeningPorts, machine(t))
	if r.Err != nil || len(r.Rows) != 4 {
		t.Fatalf("listening_ports: %d rows, %v", len(r.Rows), r.Err)
	}
	Want(t, r.Find(t, "port", 22), map[string]any{"pid": 7, "address": "127.0.0.1"})
	Want(t, r.Find(t, "port", 53), map[string]any{"pid": 8, "address": "0.0.0.0", "protocol": 17})
}

func TestLiveSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	u, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Logf("no IPv6: %v", err)
	} else {
		defer u.Close()
	}
	host := Live(t)
	for _, con := range [][]tables.Constraint{nil, {Equals("pid", os.Getpid())}} {
		r := Scan(t, Connections, host, con...)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		self, _ := os.Executable()
		port := int64(l.Addr().(*net.TCPAddr).Port)
		found := 0
		for _, row := range r.Rows {
			if row["local_port"] == port && row["state"] == "LISTEN" {
				found++
				Want(t, row, map[string]any{"pid": os.Getpid(), "path": self, "local_address": "127.0.0.1", "uid": os.Getuid(), "cmdline": strings.Join(os.Args, " ")})
			}
			if row["remote_port"] == port && row["state"] == "ESTABLISHED" {
				found++
				Want(t, row, map[string]any{"pid": os.Getpid(), "local_port": c.LocalAddr().(*net.TCPAddr).Port, "family": 2, "protocol": 6})
			}
			if u != nil && row["local_port"] == int64(u.LocalAddr().(*net.UDPAddr).Port) && row["protocol"] == int64(17) {
				found++
				Want(t, row, map[string]any{"pid": os.Getpid(), "local_address": "::1", "family": 10, "state": ""})
			}
		}
		want := 3
		if u == nil {
			want = 2
		}
		if found != want {
			t.Errorf("found %d of %d sockets of the test", found, want)
		}
	}
}

// TestSourcesAgree compares sock_diag with /proc/net on sockets of the test.
func TestSourcesAgree(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	d, err := openDiag()
	if err != nil {
		testneed.Missing(t, "sock_diag: "+err.Error())
	}
	defer d.close()
	all, err := d.dump(nil, familyIPv4, protocolTCP)
	if err != nil && !errors.Is(err, errInterrupted) {
		testneed.Missing(t, "sock_diag: "+err.Error())
	}
	data, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.localPort == port && s.state == stateListen {
			if !strings.Contains(string(data), fmt.Sprintf(" %d ", s.inode)) || s.uid != uint32(os.Getuid()) {
				t.Errorf("%+v is not in /proc/net/tcp:\n%s", s, data)
			}
			return
		}
	}
	t.Error("sock_diag did not list the listener")
}

// TestMain lets the test be its own child: one that listens in the network
// namespace that it was started in, until its input ends.
func TestMain(m *testing.M) {
	if os.Getenv("EDR_TEST_LISTEN") == "" {
		os.Exit(m.Run())
	}
	if _, err := net.Listen("tcp4", "0.0.0.0:4321"); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// TestOtherNamespace finds the socket of a process in a network namespace of
// its own, which sock_diag does not list.
func TestOtherNamespace(t *testing.T) {
	testneed.Root(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EDR_TEST_LISTEN=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		testneed.Missing(t, "a network namespace: "+err.Error())
	}
	defer func() {
		stdin.Close()
		_ = cmd.Wait()
	}()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	pid := cmd.Process.Pid
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, con := range [][]tables.Constraint{nil, {Equals("pid", pid)}} {
		row := Scan(t, Connections, Live(t), con...).Find(t, "pid", pid)
		Want(t, row, map[string]any{"local_port": 4321, "state": "LISTEN", "family": 2, "parent": os.Getpid()})
		if got := "net:[" + row["net_namespace"].(string) + "]"; got != theirs {
			t.Errorf("the socket is said to be in %s, not %s", got, theirs)
		}
	}
}

func TestNoProc(t *testing.T) {
	for _, table := range []*tables.Table{Connections, ProcessOpenSockets, ListeningPorts} {
		if r := Scan(t, table, Host(t, map[string]string{"etc/": ""})); r.Err == nil {
			t.Errorf("%s: a machine without /proc has no error", table.Name)
		}
	}
}
