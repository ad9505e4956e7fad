package bpf

import (
	"encoding/binary"
	"slices"
	"testing"
)

func TestSplitArgv(t *testing.T) {
	for _, c := range []struct {
		area string
		want []string
	}{
		{"", nil},
		{"\x00", []string{""}},
		{"a\x00", []string{"a"}},
		{"a\x00\x00b c\x00\x00", []string{"a", "", "b c", ""}},
		{"a\x00cut of", []string{"a", "cut of"}},
	} {
		if got := SplitArgv([]byte(c.area)); !slices.Equal(got, c.want) {
			t.Errorf("SplitArgv(%q) = %q, want %q", c.area, got, c.want)
		}
	}
}

func TestJoinPath(t *testing.T) {
	for _, c := range []struct {
		names string
		cut   bool
		want  string
	}{
		{"", false, "/"},
		{"", true, ""},
		{"true\x00bin\x00usr\x00", false, "/usr/bin/true"},
		{"true\x00bin\x00", true, "…/bin/true"},
		{"memfd:x\x00", false, "/memfd:x"},
		{"b\nc\x00a b\x00", false, "/a b/b\nc"},
	} {
		if got := joinPath([]byte(c.names), c.cut); got != c.want {
			t.Errorf("joinPath(%q) = %q, want %q", c.names, got, c.want)
		}
	}
}

// execRecord is a record as the program writes it.
func execRecord(argv, filename, exe, cwd string) []byte {
	b := make([]byte, execFixed)
	b[0] = TypeExec
	binary.LittleEndian.PutUint32(b[4:], 1)
	binary.LittleEndian.PutUint64(b[8:], 77)
	copy(b[headerSize+88:], "comm")
	for i, s := range []string{argv, filename, exe, cwd} {
		binary.LittleEndian.PutUint16(b[headerSize+identitySize+56+2*i:], uint16(len(s)))
		b = append(b, s...)
	}
	return b
}

func TestDecodeExec(t *testing.T) {
	raw := execRecord("sh\x00\x00", "./x\x00", "dash\x00bin\x00", "")
	var e Exec
	if err := DecodeExec(raw, &e); err != nil {
		t.Fatal(err)
	}
	if e.Filename != "./x" || e.Exe != "/bin/dash" || e.CWD != "/" || e.Comm != "comm" || e.Seq != 77 || e.CPU != 1 {
		t.Errorf("%+v", e)
	}
	if err := DecodeExec(raw[:len(raw)-1], &e); err == nil {
		t.Error("a record without its end was taken")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(execRecord("sh\x00\x00", "./x\x00", "dash\x00bin\x00", ""))
	f.Add(make([]byte, exitSize))
	socket := make([]byte, socketSize)
	socket[0], socket[headerSize+identitySize+52] = TypeClose, 10
	f.Add(socket)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var (
			e Exec
			x Exit
			k Fork
			s Socket
		)
		if DecodeExec(raw, &e) == nil {
			if len(e.Argv)+len(e.Filename)+execFixed > len(raw) {
				t.Error("more came out than went in")
			}
			SplitArgv(e.Argv)
		}
		_ = DecodeExit(raw, &x)
		_ = DecodeFork(raw, &k)
		if DecodeSocket(raw, &s) == nil && (!s.Local.IsValid() || !s.Remote.IsValid()) {
			t.Errorf("a socket without addresses: %+v", s)
		}
	})
}

func TestGaps(t *testing.T) {
	var g gaps
	see := func(cpu uint32, seqs ...uint64) {
		for _, s := range seqs {
			g.saw(cpu, s)
		}
	}
	want := func(step string, cpu uint32, dropped, n uint64) {
		t.Helper()
		if got := g.unexplained(cpu, dropped); got != n {
			t.Errorf("%s: %d unexplained on cpu %d, want %d", step, got, cpu, n)
		}
	}
	want("nothing yet", 0, 0, 0)
	see(0, 0, 1, 2)
	want("no gap", 0, 0, 0)
	see(0, 4)
	want("3 may be late", 0, 0, 0)
	see(0, 3)
	want("and it was", 0, 0, 0)
	want("so nothing is missing", 0, 0, 0)
	see(0, 8)
	want("three missing, all counted as dropped", 0, 3, 0)
	want("and still", 0, 3, 0)
	see(0, 11)
	want("two more, perhaps late", 0, 3, 0)
	want("no: lost", 0, 3, 2)
	want("told once", 0, 3, 0)
	see(0, 20)
	want("eight more", 0, 3, 0)
	want("lost as well", 0, 3, 8)
	see(1, 5)
	want("the other cpu's own", 1, 0, 0)
	want("five were before", 1, 0, 5)
}
