package evidence

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"www.velocidex.com/golang/regparser"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables"
	. "github.com/aiedr/edr/tables/evidence/evidencetest"
	. "github.com/aiedr/edr/tables/tablestest"
)

func software() []byte {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	return HiveFile(`\SystemRoot\System32\Config\SOFTWARE`, HiveKey{Name: "ROOT", Time: at, Keys: []HiveKey{
		{Name: "Classes", Time: at, Values: []HiveValue{SZ("", "default text")}},
		{Name: "Microsoft", Time: at, Keys: []HiveKey{
			{Name: "Windows", Time: at, Keys: []HiveKey{
				{Name: "CurrentVersion", Time: at, Keys: []HiveKey{
					{Name: "Run", Time: at.Add(time.Hour), Values: []HiveValue{
						SZ("Updater", `C:\Users\Public\u.exe -q`), SZ(`C:\odd\name`, "x"), DWORD("n", 0x1f),
						{Name: "q", Type: 11, Data: binary.LittleEndian.AppendUint64(nil, 1<<40)},
						{Name: "m", Type: 7, Data: UTF16("one\x00two\x00\x00")},
						{Name: "b", Type: 3, Data: []byte{1, 2, 0xfe}},
						{Name: "none", Type: 99, Data: nil},
					}},
					{Name: "RunOnce", Time: at},
				}},
			}},
		}},
	}})
}

const run = `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run`

func TestRegistry(t *testing.T) {
	host := evidenceHost(t, map[string][]byte{"/case/anything": software()})
	r := Scan(t, Registry, host, Equals("evidence", "/case/anything"), Equals("key", strings.ToLower(run)))
	if r.Err != nil || len(r.Warnings) > 0 {
		t.Fatal(r.Warnings, r.Err)
	}
	got := map[string][2]any{}
	for _, row := range r.Rows {
		got[row["name"].(string)] = [2]any{row["type"], row["data"]}
		if row["key"] != strings.ToLower(run) || row["path"] != strings.ToLower(run)+`\`+row["name"].(string) {
			t.Errorf("the key is not spelt as asked: %v", row)
		}
		if row["mtime"] != time.Date(2026, 3, 4, 6, 6, 7, 0, time.UTC).Unix() || row["evidence"] != "/case/anything" {
			t.Errorf("mtime or evidence: %v", row)
		}
	}
	for name, want := range map[string][2]any{
		"Updater": {"REG_SZ", `C:\Users\Public\u.exe -q`}, `C:\odd\name`: {"REG_SZ", "x"}, "n": {"REG_DWORD", "31"},
		"q": {"REG_QWORD", "1099511627776"}, "m": {"REG_MULTI_SZ", "one,two"}, "b": {"REG_BINARY", "0102FE"}, "none": {"UNKNOWN", ""},
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if len(got) != 7 {
		t.Errorf("%d values: %v", len(got), got)
	}
}

func TestRegistryPatterns(t *testing.T) {
	host := evidenceHost(t, map[string][]byte{"/case/x": software()})
	cv := `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion`
	for _, c := range []struct {
		con  tables.Constraint
		want int
	}{
		{Equals("key", cv), 2},                                         // Run, RunOnce
		{Equals("path", cv+`\run`), 1},                                 // a subkey
		{Equals("path", run+`\C:\odd\name`), 1},                        // a name with backslashes
		{Equals("key", `HKEY_LOCAL_MACHINE\SYSTEM`), 0},                //
		{Like("key", cv+`\%`), 7},                                      // values of Run
		{Like("key", `HKEY_LOCAL_MACHINE\SOFTWARE\%`), 2},              // Classes' value, Microsoft's subkey
		{Like("key", `HKEY_LOCAL_MACHINE\SOFTWARE\%%`), 2 + 1 + 2 + 7}, // everything below
		{Like("key", `HKEY_LOCAL_MACHINE\Soft%\Micro%\Windows\%`), 2},
		{Like("path", cv+`\Run\U%`), 1},
		{Like("path", run+`\C:\odd%`), 1},
		{Like("path", cv+`\%`), 2},
		{Like("path", cv+`\%%`), 9},
		{Like("key", `%\currentversion\run`), 14}, // SQLite decides: the whole hive
	} {
		r := Scan(t, Registry, host, Equals("evidence", "/case/x"), c.con)
		if r.Err != nil || len(r.Rows) != c.want {
			t.Errorf("%v: %d rows, want %d; %v", c.con, len(r.Rows), c.want, r.Err)
		}
	}
}

func TestHiveRoots(t *testing.T) {
	for _, c := range []struct{ file, embedded, want string }{
		{"/case/x", `emRoot\System32\Config\SAM`, `HKEY_LOCAL_MACHINE\SAM`},
		{"/case/SYSTEM", "", `HKEY_LOCAL_MACHINE\SYSTEM`},
		{"/case/Users/alice/NTUSER.DAT", "", `HKEY_USERS\alice`},
		{"/case/x", `\??\C:\Users\bob\ntuser.dat`, `HKEY_USERS\bob`},
		{"/case/7/NTUSER-7.DAT", "", `HKEY_USERS\NTUSER-7.DAT`},
		{"/case/x", `C:\Users\bob\AppData\Local\Microsoft\Windows\UsrClass.dat`, `HKEY_USERS\bob_Classes`},
		{"/case/Amcache.hve", "", "Amcache.hve"},
		{"/case/default", "", `HKEY_USERS\.DEFAULT`},
	} {
		if got := hiveRoot(c.file, c.embedded); got != c.want {
			t.Errorf("%s, %s: %s, want %s", c.file, c.embedded, got, c.want)
		}
	}
}

func TestDamagedHive(t *testing.T) {
	whole := software()
	log := bytes.Clone(whole)
	log[28] = 1
	for _, c := range []struct {
		name string
		data []byte
		err  error
		rows int
		warn string
	}{
		{"a picture", []byte("\x89PNG\r\n\x1a\n" + strings.Repeat("x", 600)), ErrNotHive, 0, "it is a PNG picture"},
		{"an empty file", nil, ErrNotHive, 0, "it is empty"},
		{"a log", log, ErrNotHive, 0, "transaction log"},
		{"only the header", whole[:4096], ErrNotHive, 0, "cut off after its header"},
		{"cut", whole[:4096+800], nil, -1, "the hive is cut off"},
		{"dirty", func() []byte { b := bytes.Clone(whole); b[4]++; HiveSum(b); return b }(), nil, 14, "copied while it was written"},
		{"checksum", func() []byte { b := bytes.Clone(whole); b[100]++; return b }(), nil, 14, "header of the hive has a wrong checksum"},
		{"the root is its own subkey", circle(whole), nil, -1, "is also another's"},
	} {
		host := evidenceHost(t, map[string][]byte{"/x": c.data})
		r := Scan(t, Registry, host, Equals("evidence", "/x"))
		if !errors.Is(r.Err, c.err) || c.rows >= 0 && len(r.Rows) != c.rows {
			t.Errorf("%s: %d rows, %v", c.name, len(r.Rows), r.Err)
		}
		if c.err != nil && !strings.Contains(r.Err.Error(), c.warn) || c.err == nil && !warned(r, c.warn) {
			t.Errorf("%s: %v, %v; want %q", c.name, r.Warnings, r.Err, c.warn)
		}
	}
}

// circle makes the first subkey of the root the root itself.
func circle(whole []byte) []byte {
	b := bytes.Clone(whole)
	root := binary.LittleEndian.Uint32(b[36:])
	list := binary.LittleEndian.Uint32(b[4096+int(root)+4+28:])
	binary.LittleEndian.PutUint32(b[4096+int(list)+8:], root)
	return b
}

// Every real hive reads as the library's own walk does.
func TestRealHives(t *testing.T) {
	names := Unpack(t, filepath.Join(testneed.Shared(t, "../.."), "evidence.tar.gz"), ".DAT")
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		h, err := OpenHive(name, bytes.NewReader(data), int64(len(data)), func(err error) { t.Errorf("%s: %v", name, err) })
		if err != nil {
			t.Fatal(err)
		}
		var ours, theirs []string
		err = h.Walk(context.Background(), func(k Key) (bool, error) {
			rel := strings.TrimPrefix(strings.TrimPrefix(k.Path, h.Root), `\`)
			ours = append(ours, rel)
			for v := range h.Values(k) {
				if v.Type == "REG_SZ" || v.Type == "REG_EXPAND_SZ" {
					ours = append(ours, rel+" = "+v.Data)
				}
			}
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		reg, err := regparser.NewRegistry(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		var walk func(path string, k *regparser.CM_KEY_NODE)
		walk = func(path string, k *regparser.CM_KEY_NODE) {
			theirs = append(theirs, path)
			for _, v := range k.Values() {
				if d := v.ValueData(); d.Type == 1 || d.Type == 2 {
					text, _, _ := strings.Cut(d.String, "\x00")
					if v.DataLength()&0x80000000 != 0 { // short data, which the library reads beyond its length
						text = text[:min(len(text), int(v.DataLength()&0x7fffffff)/2)]
					}
					theirs = append(theirs, path+" = "+text)
				}
			}
			for _, s := range k.Subkeys() {
				walk(strings.TrimPrefix(path+`\`+s.Name(), `\`), s)
			}
		}
		walk("", reg.OpenKey(""))
		if !slices.Equal(ours, theirs) {
			for i := range min(len(ours), len(theirs)) {
				if ours[i] != theirs[i] {
					t.Errorf("%s: entry %d is %q, the library says %q", name, i, ours[i], theirs[i])
					break
				}
			}
			t.Errorf("%s: %d entries, the library has %d", name, len(ours), len(theirs))
		}
		t.Logf("%s: %s, %d keys and texts", filepath.Base(name), h.Root, len(ours))
	}
}

func FuzzHive(f *testing.F) {
	f.Add(software())
	f.Add(circle(software()))
	f.Fuzz(func(t *testing.T, data []byte) {
		said := 0
		h, err := OpenHive("/x", bytes.NewReader(data), int64(len(data)), func(error) { said++ })
		if err != nil {
			return
		}
		keys := 0
		err = h.Walk(context.Background(), func(k Key) (bool, error) {
			keys++
			n := 0
			for range h.Values(k) {
				if n++; n > 100 {
					break
				}
			}
			return true, nil
		})
		if err != nil && strings.Contains(err.Error(), "internal error") {
			t.Fatal(err)
		}
		if keys > len(data)/8+1 {
			t.Fatalf("%d keys in %d bytes", keys, len(data))
		}
	})
}
