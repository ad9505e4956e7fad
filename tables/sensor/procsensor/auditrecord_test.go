package procsensor

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// auditOf puts an execution together from records as the kernel sends them.
func auditOf(t *testing.T, records ...string) *auditExec {
	t.Helper()
	e := &auditExec{}
	for _, line := range records {
		var kind uint16
		var text string
		name, text, _ := strings.Cut(line, " ")
		if _, err := fmt.Sscan(name, &kind); err != nil {
			t.Fatal(err)
		}
		at, serial, body, err := auditStamp([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if serial != 456 || !at.Equal(time.Unix(1700000000, 123e6)) {
			t.Fatalf("stamp %v %d", at, serial)
		}
		e.add(kind, body)
	}
	return e
}

const (
	auditStampText = "audit(1700000000.123:456): "
	auditCallText  = "1300 " + auditStampText + `arch=c000003e syscall=59 success=yes exit=0 a0=5 a1=6 a2=7 a3=8 items=2 ppid=41 pid=42 auid=4294967295 uid=1000 gid=1001 euid=0 suid=2 fsuid=3 egid=4 sgid=5 fsgid=6 tty=(none) ses=4294967295 comm="my tool" exe="/usr/bin/true" key="edr"`
)

func TestAuditRecords(t *testing.T) {
	call := strings.Replace(auditCallText, `comm="my tool"`, "comm="+strings.ToUpper(hex.EncodeToString([]byte("my tool"))), 1)
	e := auditOf(t,
		call,
		"1309 "+auditStampText+`argc=6 a0="true" a1="" a2=C3BC20C39F a3="`+"(null)"+`" a4=0A a5=""`,
		"1307 "+auditStampText+`cwd=2F746D702F6120`,
		"1302 "+auditStampText+`item=0 name="/usr/bin/true" inode=9 dev=00:1f mode=0100755 ouid=7 ogid=8 rdev=00:00 nametype=NORMAL`,
		"1302 "+auditStampText+`item=1 name="/lib64/ld.so" inode=10 dev=00:1f mode=0100644 ouid=0 ogid=0 nametype=NORMAL`,
	)
	if !e.whole() || !e.Success {
		t.Fatalf("%+v is not whole", e)
	}
	want := []string{"true", "", "ü ß", "(null)", "\n", ""}
	if got := e.strings(); !slices.Equal(got, want) || e.Argc != 6 || e.Cut {
		t.Errorf("argv %q of %d, want %q", got, e.Argc, want)
	}
	if size := int64(len(strings.Join(want, " ")) + 1); e.Size != size {
		t.Errorf("size %d, want %d", e.Size, size)
	}
	if e.PID != 42 || e.PPID != 41 || e.AUID != 4294967295 || e.UID != 1000 || e.GID != 1001 || e.EUID != 0 || e.SUID != 2 ||
		e.FSUID != 3 || e.EGID != 4 || e.SGID != 5 || e.FSGID != 6 {
		t.Errorf("%+v", e)
	}
	if e.Comm != "my tool" || e.Exe != "/usr/bin/true" || e.CWD != "/tmp/a " || e.Mode != "0100755" || e.OwnerUID != 7 || e.OwnerGID != 8 {
		t.Errorf("%+v", e)
	}
}

// TestAuditLongArguments has an argument in pieces and a list in two records.
func TestAuditLongArguments(t *testing.T) {
	long := strings.Repeat("x", 9000)
	e := auditOf(t, auditCallText,
		"1309 "+auditStampText+`argc=4 a0="sh" a1_len=9000 a1[0]="`+long[:7000]+`"`,
		"1309 "+auditStampText+`a1[1]="`+long[7000:]+`" a2="" a3="end"`)
	if got := e.strings(); !slices.Equal(got, []string{"sh", long, "", "end"}) || e.Cut {
		t.Errorf("%d arguments, cut %v", len(got), e.Cut)
	}
	if e.Size != 3+9001+1+4 {
		t.Errorf("size %d", e.Size)
	}
}

func TestAuditTooLong(t *testing.T) {
	e := auditOf(t, auditCallText, "1309 "+auditStampText+`argc=3 a0="sh" a1="`+strings.Repeat("x", auditArgvMax)+`" a2="end"`)
	if !e.Cut || e.Size != 3+auditArgvMax+1+4 {
		t.Errorf("cut %v, size %d", e.Cut, e.Size)
	}
}

func TestAuditStampBroken(t *testing.T) {
	for _, s := range []string{"", "audit(", "audit(1:2): ", "audit(1.2000:3): ", "audit(x.1:2): ", "audit(1.1:y): "} {
		if _, _, _, err := auditStamp([]byte(s)); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

func FuzzAuditRecord(f *testing.F) {
	f.Add(uint16(auditExecve), auditStampText+`argc=3 a0="sh" a1[1]=41 a2_len=3 a=5 a99999999999999999999=1`)
	f.Add(uint16(auditSyscall), auditCallText)
	f.Add(uint16(auditPath), auditStampText+"item=0 mode= ouid=x")
	f.Fuzz(func(t *testing.T, kind uint16, text string) {
		_, _, body, err := auditStamp([]byte(text))
		if err != nil {
			return
		}
		var e auditExec
		e.add(kind, body)
		e.add(kind, body)
		if len(e.Argv) > auditArgcMax || e.kept > auditArgvMax {
			t.Errorf("kept %d arguments of %d bytes", len(e.Argv), e.kept)
		}
		_ = argvJSON(e.strings())
	})
}

func TestAuditSerials(t *testing.T) {
	var s serials
	want := func(step string, n uint64) {
		t.Helper()
		if got := s.missing(); got != n {
			t.Errorf("%s: %d missing, want %d", step, got, n)
		}
	}
	want("nothing yet", 0)
	for _, n := range []uint64{100, 100, 101, 103} {
		s.saw(n)
	}
	want("102 may be late", 0)
	s.saw(102)
	s.saw(103)
	want("it was", 0)
	s.saw(110)
	want("six more may be late", 0)
	want("they are lost", 6)
	want("told once", 0)
	for n := uint64(111); n < 111+3*serialsKept; n++ {
		s.saw(n)
	}
	want("many in order", 0)
	want("nothing new", 0)
}
