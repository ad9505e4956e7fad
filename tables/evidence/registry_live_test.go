package evidence

import (
	"context"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aiedr/edr/tables"
	. "github.com/aiedr/edr/tables/tablestest"
	"github.com/aiedr/edr/tables/winreg"
	"github.com/aiedr/edr/tables/winreg/winregtest"
)

// over is the table registry over a made registry.
func over(tree winreg.Tree) *tables.Table {
	return tables.New(tables.Spec[RegistryValue]{
		Name: "registry", Doc: "A made registry.", Platforms: tables.AllPlatforms,
		Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[RegistryValue, error] {
			return scanTree(ctx, q, tree)
		},
	})
}

func madeRegistry() *winregtest.Tree {
	const cv = `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion`
	t := winregtest.New(cv+`\Run\OptionalComponents`, cv+`\RunOnce`, `HKEY_USERS\S-1-5-18\Environment`, `HKEY_USERS\S-1-5-21\Environment`)
	t.Set(cv+`\Run`, "", winreg.TypeString, winregtest.Text("nameless"))
	t.Set(cv+`\Run`, "Updater", winreg.TypeString, winregtest.Text(`C:\Temp\up.exe -q`))
	t.Set(cv+`\Run`, `odd\name`, winreg.TypeDWord, []byte{7, 0, 0, 0})
	t.Set(`HKEY_USERS\S-1-5-18\Environment`, "TEMP", winreg.TypeExpandString, winregtest.Text(`%SystemRoot%\Temp`))
	t.Set(`HKEY_USERS\S-1-5-21\Environment`, "TEMP", winreg.TypeExpandString, winregtest.Text(`C:\Users\x\Temp`))
	return t
}

func TestLiveRegistryRows(t *testing.T) {
	const cv = `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion`
	for name, c := range map[string]struct {
		by   tables.Constraint
		want []string // path=data, or path alone for a subkey
	}{
		"a key": {Equals("key", cv+`\Run`), []string{cv + `\Run\(Default)=nameless`, cv + `\Run\OptionalComponents`,
			cv + `\Run\Updater=C:\Temp\up.exe -q`, cv + `\Run\odd\name=7`}},
		"a key in another case, which the row repeats": {Equals("key", `hklm\software\MICROSOFT\windows`),
			[]string{`hklm\software\MICROSOFT\windows\CurrentVersion`}},
		"a path":                     {Equals("path", cv+`\run\UPDATER`), []string{cv + `\run\UPDATER=C:\Temp\up.exe -q`}},
		"a name with a backslash":    {Equals("path", cv+`\Run\odd\name`), []string{cv + `\Run\odd\name=7`}},
		"one level":                  {Like("path", `HKEY_USERS\%\Environment\TEMP`), []string{`HKEY_USERS\S-1-5-18\Environment\TEMP=%SystemRoot%\Temp`, `HKEY_USERS\S-1-5-21\Environment\TEMP=C:\Users\x\Temp`}},
		"keys by a pattern":          {Like("key", `HKEY_USERS\S-1-5-2%`), []string{`HKEY_USERS\S-1-5-21\Environment`}},
		"all below":                  {Like("key", `HKEY_USERS\%%`), []string{`HKEY_USERS\S-1-5-18\Environment`, `HKEY_USERS\S-1-5-18\Environment\TEMP=%SystemRoot%\Temp`, `HKEY_USERS\S-1-5-21\Environment`, `HKEY_USERS\S-1-5-21\Environment\TEMP=C:\Users\x\Temp`}},
		"paths at any depth":         {Like("path", cv+`\%%`), []string{cv + `\Run`, cv + `\Run\(Default)=nameless`, cv + `\Run\OptionalComponents`, cv + `\Run\Updater=C:\Temp\up.exe -q`, cv + `\Run\odd\name=7`, cv + `\RunOnce`}},
		"no such hive":               {Equals("key", `HKEY_NOTHING\X`), nil},
		"no such key":                {Equals("key", `HKEY_USERS\nobody`), nil},
		"a path without a backslash": {Equals("path", `HKEY_USERS`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := Scan(t, over(madeRegistry()), Live(t), c.by)
			if r.Err != nil || len(r.Warnings) > 0 {
				t.Fatalf("%v, warnings %v", r.Err, r.Warnings)
			}
			var got []string
			for _, row := range r.Rows {
				line := row["path"].(string)
				if row["type"] != subkeyType {
					line += "=" + row["data"].(string)
				}
				got = append(got, line)
				if row["path"] != row["key"].(string)+`\`+row["name"].(string) {
					t.Errorf("path is not key and name: %v", row)
				}
				if row["mtime"].(int64) != 1_700_000_000 {
					t.Errorf("mtime: %v", row)
				}
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
	r := Scan(t, over(madeRegistry()), Live(t))
	if len(r.Rows) != 3 { // SOFTWARE and two users
		t.Errorf("without a constraint: %v", r.Rows)
	}
}

func TestLiveRegistrySaysWhatItCannotRead(t *testing.T) {
	tree := madeRegistry()
	tree.Deny(`HKEY_USERS\S-1-5-21\Environment`)
	r := Scan(t, over(tree), Live(t), Equals("key", `HKEY_USERS\S-1-5-21\Environment`))
	if r.Err != nil || len(r.Rows) != 0 || len(r.Warnings) == 0 {
		t.Errorf("%v, %d rows, warnings %v", r.Err, len(r.Rows), r.Warnings)
	}
}

func TestLiveRegistryOfThisMachine(t *testing.T) {
	if runtime.GOOS != "windows" {
		t.Skip("there is no registry here")
	}
	const key = `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion`
	r := Scan(t, Registry, Live(t), Equals("path", key+`\CurrentVersion`))
	if r.Err != nil || len(r.Rows) != 1 || r.Rows[0]["type"] != "REG_SZ" || r.Rows[0]["data"] == "" {
		t.Errorf("%v %v, warnings %v", r.Rows, r.Err, r.Warnings)
	}
}
