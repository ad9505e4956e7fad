package procfs

import (
	"net/netip"
	"strings"
	"testing"
)

const statLine = "42 (a b) c) S 1 42 40 34816 42 4194304 90 0 0 0 7 5 0 0 20 -5 3 0 250 1089536 210 18446744073709551615 1 2"

func TestParseStat(t *testing.T) {
	var s Stat
	if err := ParseStat([]byte(statLine), &s, nil); err != nil {
		t.Fatal(err)
	}
	want := Stat{
		PID: 42, Comm: "a b) c", State: 'S', PPID: 1, PGroup: 42, Session: 40, TTY: 34816, Flags: 4194304,
		UTime: 7, STime: 5, Nice: -5, Threads: 3, Start: 250, VSize: 1089536, RSS: 210,
	}
	if s != want {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	if s.Kernel() || s.Zombie() {
		t.Error("taken for a kernel thread or a zombie")
	}
	kernel := strings.Replace(statLine, "4194304", "2129984", 1)
	if err := ParseStat([]byte(kernel), &s, nil); err != nil || !s.Kernel() {
		t.Errorf("a kernel thread is not seen: %v", err)
	}
	ending := strings.Replace(statLine, "4194304", "4194308", 1)
	if err := ParseStat([]byte(ending), &s, nil); err != nil || !s.Exiting() || s.Kernel() {
		t.Errorf("an ending process is not seen: %v", err)
	}
	for _, bad := range []string{"", "42", "42 (x", "x (y) S 1", "42 (x) SS 1", "42 (x) S 1 2 3", ") 42 (", strings.Replace(statLine, "250", "2x0", 1)} {
		if ParseStat([]byte(bad), &s, nil) == nil {
			t.Errorf("%q was taken for a stat", bad)
		}
	}
}

func TestStartNS(t *testing.T) {
	if got := StartNS(250, 100); got != 2_500_000_000 {
		t.Errorf("250 ticks = %d ns", got)
	}
	if got := FloorTick(2_509_999_999, 100); got != 2_500_000_000 {
		t.Errorf("the tick of 2.509999999 s is %d ns", got)
	}
	// Ten years of uptime at the finest tick: no overflow.
	if got := StartNS(315_360_000*1000+1, 1000); got != 315_360_000_001_000_000 {
		t.Errorf("ten years = %d ns", got)
	}
}

func TestParseStatus(t *testing.T) {
	text := "Name:\tx\nTgid:\t42\nTracerPid:\t7\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t4294967295\nNSpid:\t42\t9\n" +
		"VmLck:\t       4 kB\nVmSize:\t    1064 kB\nVmRSS:\t     840 kB\nThreads:\t3\nCapEff:\t000001fffeffffff\nSeccomp:\t2\n"
	var s Status
	if err := ParseStatus([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	want := Status{
		UID: 1, EUID: 2, SUID: 3, FSUID: 4, GID: 5, EGID: 6, SGID: 7, FSGID: 4294967295, TGID: 42, Tracer: 7,
		VmSize: 1064 << 10, VmRSS: 840 << 10, VmLck: 4 << 10, Threads: 3, NSPID: 9, CapEff: 0x1fffeffffff, Seccomp: 2,
	}
	if s != want {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	for _, bad := range []string{"", "Name:\tx\n", "Uid:\t1\t2\t3\n", "Uid:\t1\t2\t3\t4294967296\n", "Uid:\t1\t2\t3\t4\nVmRSS:\t9999999999999999 kB\n"} {
		if ParseStatus([]byte(bad), &s) == nil {
			t.Errorf("%q was taken for a status", bad)
		}
	}
}

func TestCmdline(t *testing.T) {
	for raw, want := range map[string]string{
		"a\x00b c\x00\x00": "a b c", "": "", "\x00\x00": "", "title": "title", "a\x00\x00b\x00": "a  b",
	} {
		if got := string(AppendCmdline(nil, []byte(raw))); got != want {
			t.Errorf("%q = %q, want %q", raw, got, want)
		}
	}
	// The same bytes may serve as source and target.
	b := []byte("x\x00y\x00")
	if got := string(AppendCmdline(b[:0], b)); got != "x y" {
		t.Errorf("in place: %q", got)
	}
}

func TestSmall(t *testing.T) {
	var io IO
	if err := ParseIO([]byte("rchar: 1\nread_bytes: 20\nwrite_bytes: 30\ncancelled_write_bytes: 4\n"), &io); err != nil || io != (IO{20, 30, 4}) {
		t.Errorf("io = %+v, %v", io, err)
	}
	if ParseIO([]byte("rchar: 1\n"), &io) == nil || ParseIO([]byte("read_bytes: x\n"), &io) == nil {
		t.Error("broken io was read")
	}
	if up, err := ParseUptime([]byte("350735.47 234388.90\n")); err != nil || up != 350735.47 {
		t.Errorf("uptime = %v, %v", up, err)
	}
	if _, err := ParseUptime([]byte("x")); err == nil {
		t.Error("broken uptime was read")
	}
	if b, err := ParseBootTime([]byte("cpu 1 2\nbtime 1700000000\nprocesses 5\n")); err != nil || b != 1700000000 {
		t.Errorf("btime = %d, %v", b, err)
	}
	if _, err := ParseBootTime([]byte("cpu 1 2\n")); err == nil {
		t.Error("a stat without btime was read")
	}
	if m, err := ParseMemTotal([]byte("MemTotal:       16384 kB\nMemFree: 1 kB\n")); err != nil || m != 16<<20 {
		t.Errorf("MemTotal = %d, %v", m, err)
	}
	if _, err := ParseMemTotal([]byte("MemFree: 1 kB\n")); err == nil {
		t.Error("a meminfo without MemTotal was read")
	}
}

const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestCgroup(t *testing.T) {
	for text, want := range map[string]string{
		"0::/system.slice/ssh.service\n":                              "/system.slice/ssh.service",
		"9:name=systemd:/user.slice\n4:memory:/deep/er\n0::/\n":       "/user.slice",
		"9:name=systemd:/\n8:pids:/a\n4:memory:/a/b\n3:cpu:/\n0::/\n": "/a/b",
		"9:name=systemd:/\n0::/\n":                                    "/",
		"4:memory:/docker/" + id + "\n":                               "/docker/" + id,
		"":                                                            "",
		"broken\n:\n::\n":                                             "",
		"0::/a:b:c":                                                   "/a:b:c",
	} {
		if got := string(CgroupPath([]byte(text))); got != want {
			t.Errorf("%q = %q, want %q", text, got, want)
		}
	}
}

func TestContainerID(t *testing.T) {
	for path, want := range map[string]string{
		"/docker/" + id:                                                                       id,
		"/system.slice/docker-" + id + ".scope":                                               id,
		"/system.slice/docker-" + id + ".scope/init":                                          id,
		"/machine.slice/libpod-" + id + ".scope/container":                                    id,
		"/machine.slice/libpod-conmon-" + id + ".scope":                                       "",
		"/kubepods/burstable/pod0b6e6d4c-4f6f-4c9b-9c2b-0123456789ab/" + id:                   id,
		"/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope":                 id,
		"/kubepods.slice/kubepods-pod1.slice/crio-" + id + ".scope":                           id,
		"/system.slice/containerd.service/kubepods-burstable-pod1.slice:cri-containerd:" + id: id,
		"/lxc/web/init.scope":                                                                 "web",
		"/lxc.payload.web/system.slice":                                                       "web",
		"/lxc.monitor.web":                                                                    "",
		"/user.slice/user-0.slice":                                                            "",
		"/":                                                                                   "",
		"":                                                                                    "",
		"/docker/" + id[:63]:                                                                  "",
		"/docker/" + "g" + id[1:]:                                                             "",
		"/system.slice/snap-" + id[:10]:                                                       "",
	} {
		if got := string(ContainerID([]byte(path))); got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
}

func TestParseNet(t *testing.T) {
	var s NetSocket
	line := "   0: 0100007F:0035 0A00000A:01BB 01 00000000:00000000 00:00000000 00000000   101        0 20001 1 0000000000000000 100 0 0 10 0"
	if err := ParseNet([]byte(line), &s); err != nil {
		t.Fatal(err)
	}
	want := NetSocket{
		Local: netip.MustParseAddr("127.0.0.1"), Remote: netip.MustParseAddr("10.0.0.10"),
		LocalPort: 53, RemotePort: 443, State: 1, UID: 101, Inode: 20001,
	}
	if s != want {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	six := "  12: 00000000000000000000000001000000:1F90 B80D01200000000000000000EFBEADDE:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7"
	if err := ParseNet([]byte(six), &s); err != nil {
		t.Fatal(err)
	}
	if s.Local.String() != "::1" || s.LocalPort != 8080 || s.Remote.String() != "2001:db8::dead:beef" || s.Inode != 7 {
		t.Errorf("IPv6: %+v", s)
	}
	if !NetHeader([]byte("  sl  local_address rem_address   st")) || NetHeader([]byte(line)) {
		t.Error("the heading is not told from a line")
	}
	for _, bad := range []string{"", "x", "0: 0100007F:0035", strings.Replace(line, "0100007F", "0100007G", 1), strings.Replace(line, "20001", "x", 1), line[:60]} {
		if ParseNet([]byte(bad), &s) == nil {
			t.Errorf("%q was taken for a socket", bad)
		}
	}
}

func TestParseUnix(t *testing.T) {
	var s UnixSocket
	if err := ParseUnix([]byte("ffff9a5b: 00000002 00000000 00010000 0001 01 24552 /run/a b.sock"), &s); err != nil {
		t.Fatal(err)
	}
	if s.Inode != 24552 || string(s.Path) != "/run/a b.sock" || s.Type != 1 || s.State != 1 {
		t.Errorf("got %+v", s)
	}
	if err := ParseUnix([]byte("0: 00000002 00000000 00000000 0002 03 5"), &s); err != nil || len(s.Path) != 0 || s.Inode != 5 {
		t.Errorf("without a path: %+v, %v", s, err)
	}
	if ParseUnix([]byte("0: 1 2"), &s) == nil {
		t.Error("a short line was taken for a socket")
	}
	if n, ok := SocketInode([]byte("socket:[12]")); !ok || n != 12 {
		t.Errorf("socket:[12] = %d, %v", n, ok)
	}
	for _, bad := range []string{"", "socket:[", "socket:[]", "socket:[x]", "pipe:[1]", "socket:[1"} {
		if _, ok := SocketInode([]byte(bad)); ok {
			t.Errorf("%q was taken for a socket", bad)
		}
	}
}

// FuzzParsers holds every parser to not panicking, whatever the bytes are.
func FuzzParsers(f *testing.F) {
	for _, seed := range []string{
		statLine, "Uid:\t1\t2\t3\t4\nCapEff:\tff\n", "a\x00b\x00", "0::/docker/" + id + "\n", "read_bytes: 1\n",
		"1.5 2", "btime 3\n", "MemTotal: 4 kB", "0: 0100007F:0035 00000000:0000 0A 0 0 0 0 0 7",
		"0: 2 0 1 0001 01 24 /p", "0 3 3 0003 2 1 0 0 8", "socket:[1]", "", "\n", ":", "(", ")(",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var (
			stat   Stat
			status Status
			io     IO
			sock   NetSocket
			usock  UnixSocket
			psock  PacketSocket
		)
		_ = ParsePacket(b, &psock)
		if ParseStat(b, &stat, nil) == nil && !strings.Contains(string(b), "("+stat.Comm+")") {
			t.Errorf("the name %q is not in %q", stat.Comm, b)
		}
		_ = ParseStatus(b, &status)
		_ = ParseIO(b, &io)
		if ParseNet(b, &sock) == nil && (!sock.Local.IsValid() || !sock.Remote.IsValid()) {
			t.Errorf("a socket without addresses of %q", b)
		}
		_ = ParseUnix(b, &usock)
		_, _ = ParseUptime(b)
		_, _ = ParseBootTime(b)
		_, _ = ParseMemTotal(b)
		SocketInode(b)
		if m, err := ParseMount(b); err == nil && (m.Path == "" || len(m.Path) > len(b)) {
			t.Errorf("a mount at %q of %q", m.Path, b)
		}
		_, _ = ParseLimit(b)
		c := ContainerID(CgroupPath(b))
		if !strings.Contains(string(b), string(c)) {
			t.Errorf("the container %q is not in %q", c, b)
		}
		if got := AppendCmdline(nil, b); len(got) > len(b) {
			t.Errorf("the command line grew")
		}
	})
}

func TestParsePacket(t *testing.T) {
	var s PacketSocket
	line := "00000000abcdef01 3      3    0003   2     1 0      1000   81234 "
	if err := ParsePacket([]byte(line), &s); err != nil || s != (PacketSocket{Type: 3, Protocol: 3, Interface: 2, UID: 1000, Inode: 81234}) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", "sk       RefCnt Type Proto  Iface R Rmem   User   Inode", "0 3 3 zz 2 1 0 0 8", "0 3 300 0003 2 1 0 0 8", "0 3 3 0003 2 1 0 0"} {
		if err := ParsePacket([]byte(bad), &s); err == nil {
			t.Errorf("%q was read as %+v", bad, s)
		}
	}
}
