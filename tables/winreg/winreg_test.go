package winreg_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aiedr/edr/tables"
	. "github.com/aiedr/edr/tables/winreg"
	"github.com/aiedr/edr/tables/winreg/winregtest"
)

func TestText(t *testing.T) {
	for _, c := range []struct {
		typ  uint32
		data []byte
		want string
	}{
		{TypeString, winregtest.Text(`C:\a b\é.exe`), `C:\a b\é.exe`},
		{TypeString, append(winregtest.Text("seen"), winregtest.Text("behind the end")...), "seen"},
		{TypeExpandString, []byte{'%', 0, 'x'}, "%"},
		{TypeMultiString, append(winregtest.Text("one"), append(winregtest.Text("two"), 0, 0)...), "one,two"},
		{TypeDWord, []byte{1, 2, 0, 0}, "513"},
		{TypeDWordBigEndian, []byte{0, 0, 2, 1}, "513"},
		{TypeDWord, []byte{1, 2}, "0102"},
		{TypeQWord, []byte{0, 0, 0, 0, 1, 0, 0, 0}, "4294967296"},
		{TypeBinary, []byte{0xde, 0xad}, "DEAD"},
		{TypeNone, nil, ""},
		{99, []byte{1}, "01"},
	} {
		if got := Text(c.typ, c.data); got != c.want {
			t.Errorf("%s % x: %q, want %q", TypeName(c.typ), c.data, got, c.want)
		}
	}
	if TypeName(4) != "REG_DWORD" || TypeName(11) != "REG_QWORD" || TypeName(77) != "REG_77" {
		t.Error("names of types")
	}
}

func FuzzText(f *testing.F) {
	f.Add(uint32(1), []byte("a\x00\x00"))
	f.Add(uint32(7), []byte{0, 0xd8, 'x', 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, typ uint32, data []byte) {
		if s := Text(typ, data); !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			t.Errorf("%d % x gives %q", typ, data, s)
		}
	})
}

func TestSplit(t *testing.T) {
	for in, want := range map[string]string{
		`HKLM\SOFTWARE\`:            `HKEY_LOCAL_MACHINE\SOFTWARE`,
		`hkey_users`:                `HKEY_USERS`,
		`hkcu\Software\Microsoft\X`: `HKEY_CURRENT_USER\Software\Microsoft\X`,
	} {
		if got, err := Clean(in); err != nil || got != want {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
	for _, in := range []string{"", `SOFTWARE\X`, `C:\Windows`} {
		if got, err := Clean(in); err == nil || !strings.Contains(err.Error(), "HKEY_LOCAL_MACHINE") {
			t.Errorf("%q: %s, %v", in, got, err)
		}
	}
}

func TestGlob(t *testing.T) {
	tree := winregtest.New(`HKEY_LOCAL_MACHINE\Software\Microsoft\Windows`, `HKEY_LOCAL_MACHINE\Software\Micraft\Windows`,
		`HKEY_LOCAL_MACHINE\Software\Other`, `HKEY_USERS\S-1-5-18\Software`, `HKEY_USERS\S-1-5-21\Software`)
	tree.Deny(`HKEY_LOCAL_MACHINE\Software\Other`)
	for _, c := range []struct {
		pattern string
		want    []string
		warned  int
	}{
		{`HKEY_USERS\%\Software`, []string{`HKEY_USERS\S-1-5-18\Software`, `HKEY_USERS\S-1-5-21\Software`}, 0},
		{`hklm\software\micr%ft\%`, []string{`HKEY_LOCAL_MACHINE\software\Micraft\Windows`, `HKEY_LOCAL_MACHINE\software\Microsoft\Windows`}, 0},
		{`HKLM\Software\_icr_ft`, []string{`HKEY_LOCAL_MACHINE\Software\Micraft`}, 0},
		{`HKEY_LOCAL_MACHINE\Software\%%`, []string{`HKEY_LOCAL_MACHINE\Software\Micraft`, `HKEY_LOCAL_MACHINE\Software\Micraft\Windows`,
			`HKEY_LOCAL_MACHINE\Software\Microsoft`, `HKEY_LOCAL_MACHINE\Software\Microsoft\Windows`, `HKEY_LOCAL_MACHINE\Software\Other`}, 1},
		{`HKEY_LOCAL_MACHINE\Software\Other\%`, nil, 1},
		{`HKEY_LOCAL_MACHINE\Nowhere\%`, nil, 0},
		{`HKEY_%E`, []string{"HKEY_LOCAL_MACHINE"}, 0},
		{`NOTHING\%`, nil, 0},
		{``, nil, 0},
	} {
		warned := 0
		got, err := Glob(context.Background(), tree, c.pattern, func(error) { warned++ })
		if err != nil || !slices.Equal(got, c.want) || warned != c.warned {
			t.Errorf("%s: %q, %d warnings, %v; want %q, %d", c.pattern, got, warned, err, c.want, c.warned)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Glob(ctx, tree, `HKEY_LOCAL_MACHINE\%%`, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}

func TestGlobIsBounded(t *testing.T) {
	path := LocalMachine
	for i := range 40 {
		path = Join(path, fmt.Sprint(i))
	}
	var warned []error
	got, err := Glob(context.Background(), winregtest.New(path), LocalMachine+`\%%`, func(err error) { warned = append(warned, err) })
	if err != nil || len(got) == 0 || len(got) > 33 || len(warned) != 1 || !strings.Contains(warned[0].Error(), "deep") {
		t.Errorf("%d keys, warned %v, %v", len(got), warned, err)
	}
}

func TestLive(t *testing.T) {
	tree, err := Live()
	if errors.Is(err, tables.ErrNotSupported) {
		t.Skip("no registry here, and it says so")
	}
	if err != nil {
		t.Fatal(err)
	}
	path := LocalMachine + `\SOFTWARE\Microsoft\Windows NT\CurrentVersion`
	values, err := tree.Values(path, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, v := range values {
		found = found || v.Label() == "CurrentVersion" && Text(v.Type, v.Data) != ""
	}
	if !found {
		t.Errorf("no CurrentVersion among %d values", len(values))
	}
	if _, err := tree.Values(LocalMachine+`\SOFTWARE\No such key`, nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("a key that is not there: %v", err)
	}
	if at, err := tree.ModTime(path); err != nil || at.Year() < 2000 {
		t.Errorf("last write %v, %v", at, err)
	}
}
