package content

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/queries/document"
	"github.com/aiedr/edr/queries/pack"
	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/engine"
	"github.com/aiedr/edr/wire"
)

func load(t *testing.T, name string) *document.Node {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	roots, p := document.Parse(name, text)
	if p != nil {
		t.Fatal(p)
	}
	return roots[0]
}

// toEvent makes an event of a type from a line of testdata.
func toEvent(t *testing.T, file string, typ rule.Type, n *document.Node) *rule.Event {
	t.Helper()
	d := document.NewReader(file, n)
	ev := &rule.Event{Type: typ, Action: d.Text("action"), Time: time.Date(2026, 3, 2, 14, 0, 0, 0, time.UTC)}
	if typ == rule.TypeAttack {
		ev.Type = rule.TypeProcess
	}
	if ev.Type == rule.TypeProcess && ev.Action == "" {
		ev.Action = "exec"
	}
	if s := d.Text("time"); s != "" {
		at, err := time.Parse("2006-01-02T15:04:05", s)
		if err != nil {
			t.Fatal(err)
		}
		ev.Time = at
	}
	ev.Process = rule.Process{PID: 500, PPID: 400, UID: d.Int("uid", 1000), Name: d.Text("name"), Path: d.Text("path"), Command: d.Text("command"), User: d.Text("user")}
	if parents := d.Get("parents"); parents != nil {
		for _, p := range parents.Items {
			if p.Kind == document.String {
				ev.Ancestors = append(ev.Ancestors, rule.Process{Name: p.Text, Command: p.Text})
				continue
			}
			pd := document.NewReader(file, p)
			ev.Ancestors = append(ev.Ancestors, rule.Process{Name: pd.Text("name"), Path: pd.Text("path"), Command: pd.Text("command")})
		}
	}
	ev.File.Path = d.Text("file")
	ev.Network = rule.Network{Protocol: d.Text("protocol"), RemoteAddress: d.Text("remote_address"), RemotePort: d.Int("remote_port", -1)}
	ev.Registry = rule.Registry{Key: d.Text("key"), Value: d.Text("value"), Data: d.Text("data")}
	ev.Log = rule.Log{EventID: d.Int("event_id", -1), Channel: d.Text("channel"), Provider: d.Text("provider"), Message: d.Text("message")}
	if data := d.Get("log_data"); data != nil {
		ev.Log.Data = map[string]string{}
		for i, k := range data.Keys {
			ev.Log.Data[k.Text] = data.Items[i].Text
		}
	}
	for _, k := range d.Unknown() {
		t.Errorf("%s:%d: the test does not know %q", file, k.Line, k.Text)
	}
	return ev
}

func TestRulesMatchWhatTheyMust(t *testing.T) {
	rules, err := LoadRules()
	if err != nil {
		t.Fatal(err)
	}
	if len(rules) < 12 {
		t.Fatalf("only %d rules", len(rules))
	}
	cases := map[string]*document.Node{}
	for _, r := range rules {
		name := filepath.Base(r.File)
		if cases[name] == nil {
			cases[name] = load(t, filepath.Join("testdata", name))
		}
		c := cases[name].Get(r.ID)
		if c == nil {
			t.Errorf("rule %s has no events in testdata/%s", r.ID, name)
			continue
		}
		for _, want := range []bool{true, false} {
			key := map[bool]string{true: "match", false: "no_match"}[want]
			list := c.Get(key)
			if list == nil || len(list.Items) == 0 {
				t.Errorf("rule %s has no %s events", r.ID, key)
				continue
			}
			for _, n := range list.Items {
				if got := r.Match(toEvent(t, name, r.Type, n)); got != want {
					t.Errorf("rule %s: testdata/%s:%d: match is %v, want %v", r.ID, name, n.Line, got, want)
				}
			}
		}
		if len(r.Attack) == 0 || r.Description == "" {
			t.Errorf("rule %s lacks a technique or a description", r.ID)
		}
	}
	for name, c := range cases {
		for _, k := range c.Keys {
			if !slices.ContainsFunc(rules, func(r *rule.Rule) bool { return r.ID == k.Text }) {
				t.Errorf("testdata/%s:%d: no rule %s", name, k.Line, k.Text)
			}
		}
	}
}

func TestMinerInTemporaryFolderIsHigh(t *testing.T) {
	rules, err := LoadRules()
	if err != nil {
		t.Fatal(err)
	}
	ev := &rule.Event{Type: rule.TypeProcess, Action: "exec", Time: time.Now(),
		Process: rule.Process{PID: 5, Name: "xmrig", Path: "/tmp/xmrig", Command: "/tmp/xmrig 300"}}
	high := false
	var hits []string
	rule.NewSet(rules, "linux").Match(ev, func(r *rule.Rule) {
		hits = append(hits, r.ID)
		high = high || r.Severity == wire.High || r.Severity == wire.Critical
	})
	if !high || len(hits) != 2 {
		t.Errorf("hits %v, high %v", hits, high)
	}
}

// TestOrdinaryCommandsAreQuiet runs what any host runs all day.
func TestOrdinaryCommandsAreQuiet(t *testing.T) {
	rules, err := LoadRules()
	if err != nil {
		t.Fatal(err)
	}
	set := rule.NewSet(rules, "")
	for _, line := range []string{
		"/usr/sbin/sshd -D", "ls -la /etc", "git status", "apt-get update", "/usr/bin/python3 /usr/bin/unattended-upgrade",
		"curl -sS https://example.net/health", "systemctl restart nginx", "docker run --rm alpine echo hi", "make -j2 test",
		"/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/15/main", "tar czf backup.tar.gz /srv", "ps aux",
		"nc -zv localhost 22", "bash -c for i in 1 2 3; do echo $i; done", "/usr/sbin/cron -f", "run-parts /etc/cron.hourly",
	} {
		name, _, _ := strings.Cut(line, " ")
		ev := &rule.Event{Type: rule.TypeProcess, Action: "exec", Time: time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC),
			Process:   rule.Process{PID: 5, UID: 0, Name: filepath.Base(name), Path: "/usr/bin/" + filepath.Base(name), Command: line, User: "root"},
			Ancestors: []rule.Process{{Name: "bash", Path: "/usr/bin/bash"}, {Name: "sshd", Path: "/usr/sbin/sshd"}}}
		set.Match(ev, func(r *rule.Rule) { t.Errorf("%s hits %s", line, r.ID) })
	}
}

// TestOrdinaryWindowsIsQuiet does what any Windows host does all day. Only
// what is kept for the record may match, not what asks for attention.
func TestOrdinaryWindowsIsQuiet(t *testing.T) {
	rules, err := LoadRules()
	if err != nil {
		t.Fatal(err)
	}
	set := rule.NewSet(rules, "windows")
	at := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)
	quiet := func(ev *rule.Event, what string) {
		ev.Time = at
		set.Match(ev, func(r *rule.Rule) {
			if !slices.Equal(r.Actions, []string{"log"}) {
				t.Errorf("%s hits %s", what, r.ID)
			}
		})
	}
	const sys = `C:\Windows\System32\`
	for _, c := range [][3]string{
		{sys + "svchost.exe", sys + "svchost.exe -k netsvcs -p -s Schedule", sys + "services.exe"},
		{sys + "taskhostw.exe", "taskhostw.exe", sys + "svchost.exe"},
		{sys + "cmd.exe", `"C:\Windows\system32\cmd.exe"`, `C:\Windows\explorer.exe`},
		{sys + `WindowsPowerShell\v1.0\powershell.exe`, `powershell.exe -NoProfile -ExecutionPolicy Bypass -File C:\Scripts\backup.ps1`, `C:\Windows\explorer.exe`},
		{sys + "rundll32.exe", `rundll32.exe shell32.dll,Control_RunDLL desk.cpl`, `C:\Windows\explorer.exe`},
		{sys + "net.exe", `net use Z: \\server\share`, sys + "cmd.exe"},
		{sys + "reg.exe", `reg query HKLM\SOFTWARE\Microsoft`, sys + "cmd.exe"},
		{sys + "vssadmin.exe", `vssadmin list shadows`, sys + "cmd.exe"},
		{sys + "schtasks.exe", `schtasks /query`, sys + "cmd.exe"},
		{sys + "wbem\\WMIC.exe", `wmic os get caption`, sys + "cmd.exe"},
		{`C:\Program Files\Google\Chrome\Application\chrome.exe`, `"C:\Program Files\Google\Chrome\Application\chrome.exe" --type=renderer`, `C:\Program Files\Google\Chrome\Application\chrome.exe`},
		{`C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE`, `WINWORD.EXE /n "C:\Users\bob\a.docx"`, `C:\Windows\explorer.exe`},
		{sys + "msiexec.exe", `msiexec /i C:\x.msi /qn`, sys + "services.exe"},
	} {
		name := func(p string) string { return p[strings.LastIndexByte(p, '\\')+1:] }
		quiet(&rule.Event{Type: rule.TypeProcess, Action: "exec",
			Process:   rule.Process{PID: 5, UID: -1, Name: name(c[0]), Path: c[0], Command: c[1], User: `PC\bob`},
			Ancestors: []rule.Process{{Name: name(c[2]), Path: c[2]}}}, c[1])
	}
	for _, c := range [][3]string{
		{`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon`, "Shell", "explorer.exe"},
		{`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon`, "Userinit", `C:\Windows\system32\userinit.exe,`},
		{`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Windows`, "AppInit_DLLs", ""},
		{`HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\Dnscache`, "ImagePath", `%SystemRoot%\system32\svchost.exe -k NetworkService -p`},
		{`HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\disk`, "ImagePath", `System32\drivers\disk.sys`},
		{`HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Control\Lsa`, "Notification Packages", "scecli"},
		{`HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Control\Lsa`, "Authentication Packages", "msv1_0"},
		{`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System`, "EnableLUA", "1"},
	} {
		quiet(&rule.Event{Type: rule.TypeRegistry, Registry: rule.Registry{Key: c[0], Value: c[1], Data: c[2]}}, c[0]+" "+c[1])
	}
	for _, c := range []rule.Log{
		{EventID: 4624, Channel: "Security", Data: map[string]string{"LogonType": "5", "TargetUserSid": "S-1-5-18", "IpAddress": "-"}},
		{EventID: 4624, Channel: "Security", Data: map[string]string{"LogonType": "2", "TargetUserSid": "S-1-5-21-1-2-3-1001", "IpAddress": "127.0.0.1"}},
		{EventID: 4634, Channel: "Security"}, {EventID: 4672, Channel: "Security", Data: map[string]string{"SubjectUserSid": "S-1-5-18"}},
		{EventID: 7036, Channel: "System", Provider: "Service Control Manager", Data: map[string]string{"param1": "Windows Update", "param2": "running"}},
		{EventID: 7045, Channel: "System", Data: map[string]string{"ImagePath": `C:\Program Files\App\svc.exe`}},
		{EventID: 1100, Channel: "Security"}, {EventID: 6005, Channel: "System", Provider: "EventLog"},
		{EventID: 4104, Channel: "Microsoft-Windows-PowerShell/Operational", Data: map[string]string{"ScriptBlockText": "Get-Service | Where-Object Status -eq Running"}},
		{EventID: 4769, Channel: "Security", Data: map[string]string{"TicketEncryptionType": "0x12", "Status": "0x0", "ServiceName": "sqlsvc"}},
		{EventID: 1000, Channel: "Application", Provider: "Application Error", Data: map[string]string{"param1": "game.exe"}},
	} {
		quiet(&rule.Event{Type: rule.TypeEventLog, Log: c}, strconv.FormatInt(c.EventID, 10))
	}
}

func TestPacks(t *testing.T) {
	config, err := LoadPacks()
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := tables.Schemas()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, s := range schemas {
		known[s.Name] = true
	}
	e, err := engine.NewFromSchema(schemas, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cases := load(t, "testdata/packs.yaml")
	snapshots, differences := 0, 0
	for _, p := range config.Packs {
		for _, q := range p.Queries {
			if q.Snapshot {
				snapshots++
			} else {
				differences++
			}
			info, err := e.Check(context.Background(), q.SQL, engine.AllClasses())
			if err != nil {
				t.Errorf("query %s (%s:%d): %v", q.Name, q.File, q.Line, err)
				continue
			}
			if !q.Hits() {
				continue
			}
			columns := make([]string, len(info.Columns))
			for i, c := range info.Columns {
				columns[i] = c.Name
			}
			checkRows(t, q, columns, cases.Get(q.Name))
		}
	}
	if snapshots == 0 || differences == 0 {
		t.Errorf("%d snapshot and %d differential queries", snapshots, differences)
	}
}

func checkRows(t *testing.T, q *pack.Query, columns []string, c *document.Node) {
	t.Helper()
	if c.Get("match") == nil || (q.When != "" && c.Get("no_match") == nil) {
		t.Errorf("query %s lacks rows that must and must not match in testdata/packs.yaml", q.Name)
		return
	}
	if q.When == "" {
		return
	}
	w, serr := rule.CompileWhen(q.When, columns)
	if serr != nil {
		t.Errorf("query %s: when: %v", q.Name, serr)
		return
	}
	for _, want := range []bool{true, false} {
		list := c.Get(map[bool]string{true: "match", false: "no_match"}[want])
		for _, n := range list.Items {
			row := make(wire.Row, len(columns))
			for i, k := range n.Keys {
				at := slices.Index(columns, k.Text)
				if at < 0 {
					t.Errorf("testdata/packs.yaml:%d: query %s has no column %s", k.Line, q.Name, k.Text)
					continue
				}
				row[at] = wire.ValueOf(n.Items[i].Text)
				if v, err := strconv.ParseInt(n.Items[i].Text, 10, 64); err == nil && n.Items[i].Kind == document.Number {
					row[at] = wire.ValueOf(v)
				}
			}
			if got, err := w.Match(row); err != nil || got != want {
				t.Errorf("query %s, testdata/packs.yaml:%d: match is %v, %v; want %v", q.Name, n.Line, got, err, want)
			}
		}
	}
}

func TestDocumentsLoadAgain(t *testing.T) {
	rules, err := LoadRules()
	if err != nil {
		t.Fatal(err)
	}
	docs, err := Rules()
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, d := range docs {
		if !json.Valid(d.Text) {
			t.Errorf("%s is no JSON", d.Name)
		}
		again, problems := rule.Load(d.Name, d.Text)
		if len(problems) > 0 {
			t.Errorf("%v", problems)
		}
		for _, r := range again {
			versions[r.ID] = r.Version
		}
	}
	for _, r := range rules {
		if versions[r.ID] != r.Version {
			t.Errorf("rule %s has another version over the wire", r.ID)
		}
	}
	packs, err := Packs()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range packs {
		c, problems := pack.Load(d.Name, d.Text, nil)
		if len(problems) > 0 || len(c.Packs) == 0 {
			t.Errorf("%s: %v", d.Name, problems)
		}
	}
}
