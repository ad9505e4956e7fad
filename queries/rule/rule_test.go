package rule

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func event() *Event {
	return &Event{
		Type: TypeProcess, Time: time.Date(2026, 3, 2, 3, 30, 0, 0, time.UTC), Action: "exec",
		Process: Process{PID: 4242, PPID: 100, UID: 33, Name: "Bash", Path: "/usr/bin/bash",
			Command: `bash -c "echo C:\Temp\a"`, User: "www-data"},
		Ancestors: []Process{{PID: 100, Name: "apache2", Path: "/usr/sbin/apache2", Command: "/usr/sbin/apache2 -k start"}, {PID: 1, Name: "systemd", Path: "/lib/systemd/systemd"}},
	}
}

func one(t *testing.T, typ Type, condition string) (*Rule, []Problem) {
	t.Helper()
	text, _ := json.Marshal(map[string]any{"id": 1, "name": "x", "type": typ, "severity": "high", "conditions": []string{condition}})
	rules, problems := Load("x.json", text)
	if len(rules) == 1 {
		return rules[0], problems
	}
	return nil, problems
}

func TestOperators(t *testing.T) {
	for condition, want := range map[string]bool{
		`name = 'bash'`:                                        true,
		`name == 'BASH'`:                                       true,
		`name != 'bash'`:                                       false,
		`name in ('sh', 'bash')`:                               true,
		`name in ['sh', 'dash']`:                               false,
		`name not in ['sh', 'dash']`:                           true,
		`name in 'bash'`:                                       true,
		`pid = 4242`:                                           true,
		`pid = '4242'`:                                         true,
		`pid > 4241 and pid < 4243`:                            true,
		`pid >= 4242 and pid <= 4242`:                          true,
		`pid > 4242.5`:                                         false,
		`pid in (1, 2, 4242)`:                                  true,
		`pid != -1`:                                            true,
		`command contains 'c:\temp'`:                           true,
		`command contains ('zzz', 'ECHO')`:                     true,
		`path startswith '/USR/'`:                              true,
		`path startswith ('/tmp/', '/dev/shm/')`:               false,
		`path endswith 'BASH'`:                                 true,
		`path not endswith 'bash'`:                             false,
		`name matches '^Bash$'`:                                true,
		`name matches '^bash$'`:                                false,
		`name matches '(?i)^bash$'`:                            true,
		`parent_name = 'apache2'`:                              true,
		`parent_command contains "-k start"`:                   true,
		`ancestors contains 'systemd'`:                         true,
		`ancestors = 'apache2'`:                                true,
		`ancestors = 'winword.exe'`:                            false,
		`ancestors != 'winword.exe'`:                           true,
		`ancestors not in ('winword.exe')`:                     true,
		`hour = 3 and weekday = 'monday'`:                      true,
		`time >= '03:00' and time < '04:00'`:                   true,
		`uid = 0 or user = 'www-data'`:                         true,
		`not (name = 'bash' and not pid = 1)`:                  false,
		`NOT name = 'sh' AND (uid = 33 OR uid = 34)`:           true,
		`name = 'x' or name = 'y' and pid = 4242`:              false,
		`(name = 'bash' or name = 'y') and pid = 4242`:         true,
		`cmdline contains 'echo'`:                              true,
		`container = ''`:                                       true,
		`user = 'it''s'`:                                       false,
		`name in ('a','b','c','d','e','f','g','h','i','bash')`: true,
	} {
		r, problems := one(t, TypeProcess, condition)
		if r == nil {
			t.Errorf("%s: %v", condition, problems)
			continue
		}
		if got := r.Match(event()); got != want {
			t.Errorf("%s = %v, want %v", condition, got, want)
		}
	}
}

func TestUnknownNumberDiffersFromNothing(t *testing.T) {
	ev := event()
	ev.Process.UID = -1
	for _, c := range []string{"uid != 0", "uid = 0", "uid < 5", "uid in (1, 2)"} {
		r, problems := one(t, TypeProcess, c)
		if r == nil {
			t.Fatal(problems)
		}
		if r.Match(ev) {
			t.Errorf("%s holds for an unknown uid", c)
		}
	}
}

func TestTypesOfEvents(t *testing.T) {
	net := event()
	net.Type, net.Action = TypeNetwork, "connect"
	net.Network = Network{Protocol: "tcp", Direction: "outbound", RemoteAddress: "198.51.100.7", RemotePort: 4444}
	file := event()
	file.Type, file.Action, file.File = TypeFile, "CREATED", File{Path: "/etc/cron.d/X", Size: 12, UID: 0}
	reg := &Event{Type: TypeRegistry, Registry: Registry{Key: `HKLM\Software\Run`, Value: "x", Data: "y.exe"}}
	log := &Event{Type: TypeEventLog, Log: Log{EventID: 4625, Channel: "Security", Data: map[string]string{"TargetUserName": "Admin"}}}
	for _, c := range []struct {
		ev        *Event
		condition string
	}{
		{net, "remote_port in (4444, 1337) and name = 'bash' and remote_scope = 'public' and parent_name = 'apache2'"},
		{file, "file_path startswith '/etc/cron' and file_name = 'x' and action = 'created' and size < 100 and name = 'bash'"},
		{reg, `key endswith '\run' and data contains '.exe'`},
		{log, "event_id = 4625 and channel = 'security' and data.targetusername = 'admin' and data.TargetUserName matches '^A'"},
	} {
		r, problems := one(t, c.ev.Type, c.condition)
		if r == nil {
			t.Errorf("%s: %v", c.condition, problems)
		} else if !r.Match(c.ev) {
			t.Errorf("%s does not hold", c.condition)
		}
	}
}

func TestBadConditionsSayWhereAndWhat(t *testing.T) {
	for _, c := range []struct {
		condition, msg, next string
		column               int // in the condition, from 1
	}{
		{"comand = 'x'", "unknown field", "did you mean command?", 1},
		{"name = 'a' and remote_port = 1", "unknown field", "the fields are name path command", 16},
		{"name like 'a'", "unknown operator", "startswith", 6},
		{"name <> 'a'", "unknown operator", "!=", 6},
		{"name = 'a' && pid = 1", "unknown operator", "write and", 12},
		{"name matches '(?!x)'", "bad regular expression", "RE2", 14},
		{"name matches '('", "bad regular expression", "RE2", 14},
		{"pid = 12x", "bad number", "", 7},
		{"pid = 'abc'", "bad number", "", 7},
		{"pid contains 1", "is a number", "in", 1},
		{"name > 'a'", "is a text", "contains", 1},
		{"name = 'a", "no closing quote", "close it", 8},
		{"name = a", "bare word", "'a'", 8},
		{"name = ", "missing", "", 8},
		{"name", "operator is missing", "", 5},
		{"(name = 'a'", "bracket opened", "", 12},
		{"name = 'a')", "unexpected", "", 11},
		{"name in ('a'; 'b')", "unexpected character", "", 13},
		{"name in ('a', )", "comma", "", 13},
		{"name = ('a')", "takes one value", "use in", 8},
		{"name contains ''", "holds always", "", 15},
		{"", "empty", "", 1},
		{"name = 'a\tb'", "control character", "twice", 10},
	} {
		r, problems := one(t, TypeProcess, c.condition)
		if r != nil || len(problems) != 1 {
			t.Errorf("%q: rule %v, problems %v", c.condition, r != nil, problems)
			continue
		}
		p := problems[0]
		if !strings.Contains(p.Msg, c.msg) || !strings.Contains(p.Next, c.next) {
			t.Errorf("%q: %v", c.condition, p)
		}
		_, err := Parse(c.condition)
		if err == nil {
			e, _ := Parse(c.condition)
			_, err = compileExpr(e, eventSource{TypeProcess})
		}
		if err == nil || err.Offset+1 != c.column {
			t.Errorf("%q: error at %v, want column %d", c.condition, err, c.column)
		}
	}
}

const sample = `[
  {"id": 1001, "name": "backdoor", "description": "d", "type": "process", "severity": "high", "enabled": true,
   "conditions": ["name contains 'backdoor'", "name contains 'trojan'", "name contains 'keylogger'"],
   "actions": ["alert", "terminate_process"]},
  {"id": "ps-1", "name": "ps", "type": "attack", "severity": "high",
   "conditions": ["command matches 'powershell.*-[eE].*[Ee]ncoded[Cc]ommand'"], "actions": ["alert"]},
  {"id": 3, "name": "bad", "type": "process", "severity": "urgent", "colour": 1,
   "conditions": ["nmae = 'x'"], "actions": ["kill"]},
  {"id": 4, "name": "all", "type": "process", "severity": "low", "match": "all",
   "conditions": ["name = 'bash'", "uid = 33"]}
]`

func TestFirstRuleFormat(t *testing.T) {
	rules, problems := Load("rules.json", []byte(sample))
	if len(rules) != 3 {
		t.Fatalf("%d rules: %v", len(rules), problems)
	}
	if len(problems) != 4 {
		t.Errorf("want 4 problems of the one bad rule: %v", problems)
	}
	for _, p := range problems {
		if p.File != "rules.json" || p.Line < 7 || p.Line > 8 || p.Next == "" {
			t.Errorf("place or next step: %+v", p)
		}
	}
	if p := problems[3]; p.Line != 8 || p.Column != 20 {
		t.Errorf("the misspelt field is at 8:20, said %d:%d", p.Line, p.Column)
	}
	hits := []string{}
	set := NewSet(rules, "linux")
	set.Match(event(), func(r *Rule) { hits = append(hits, r.ID) })
	ev := event()
	ev.Process.Name = "MyTrojan"
	set.Match(ev, func(r *Rule) { hits = append(hits, r.ID) })
	ev = event()
	ev.Process.Command = "powershell.exe -e EncodedCommand"
	set.Match(ev, func(r *Rule) { hits = append(hits, r.ID) })
	if got := fmt.Sprint(hits); got != "[4 1001 ps-1 4]" {
		t.Errorf("hits %s", got)
	}
	if set.Failed() != 0 {
		t.Error("evaluations failed")
	}
}

func TestVersionIsOfTheText(t *testing.T) {
	a, _ := Load("a.json", []byte(`{"id":1,"name":"n","type":"process","severity":"high","conditions":["name = 'a'"]}`))
	b, problems := Load("b.yaml", []byte("id: '1'\nname: n\nenabled: false\nseverity: HIGH\ntype: process\nconditions: [\"name = 'a'\"]\n"))
	if len(problems) > 0 || a[0].Version != b[0].Version {
		t.Errorf("the same rule has two versions: %v", problems)
	}
	c, _ := Load("c.json", []byte(`{"id":1,"name":"n","type":"process","severity":"high","conditions":["name = 'b'"]}`))
	if a[0].Version == c[0].Version {
		t.Error("another rule has the same version")
	}
	text, err := json.Marshal(a[0])
	if err != nil {
		t.Fatal(err)
	}
	if again, problems := Load("d.json", text); len(problems) > 0 || again[0].Version != a[0].Version {
		t.Errorf("written and read again: %v", problems)
	}
}

func TestLoneBackslashInJSON(t *testing.T) {
	_, problems := Load("r.json", []byte("{\"id\":1,\n\"conditions\":[\"path contains 'C:\\Users'\"]}"))
	if len(problems) != 1 || problems[0].Line != 2 || problems[0].Column != 33 || !strings.Contains(problems[0].Msg, "lone backslash") {
		t.Errorf("%v", problems)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector empties the pool of machines at random")
	}
	rules, _ := Load("rules.json", []byte(sample))
	set := NewSet(rules, "")
	ev := event()
	hits := 0
	hit := func(*Rule) { hits++ }
	set.Match(ev, hit)
	if n := testing.AllocsPerRun(1000, func() { set.Match(ev, hit) }); n != 0 {
		t.Errorf("%v allocations a match", n)
	}
	if hits == 0 {
		t.Error("no hit")
	}
}

func TestCatalog(t *testing.T) {
	if len(catalog) > fieldCount {
		t.Fatalf("%d fields, room for %d", len(catalog), fieldCount)
	}
	for _, typ := range Types() {
		seen := map[string]bool{}
		for _, f := range Fields(typ) {
			for _, n := range append([]string{f.Name}, f.Aliases...) {
				if seen[n] {
					t.Errorf("%s has two fields %s", typ, n)
				}
				seen[n] = true
				cond := n + " = '1'"
				if f.Kind == "number" {
					cond = n + " = 1"
				}
				if r, problems := one(t, typ, cond); r == nil {
					t.Errorf("%s %s: %v", typ, n, problems)
				}
			}
			if f.Doc == "" {
				t.Errorf("%s has no doc", f.Name)
			}
		}
	}
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{"name = 'a'", "not (pid in [1, 2.5] or path matches 'x')", "a.b >= -1", "((((", "name = 'a''b' and uid != 0", "ancestors contains (\"x\")"} {
		f.Add(s)
	}
	ev := event()
	f.Fuzz(func(t *testing.T, s string) {
		e, err := Parse(s)
		if err != nil {
			if err.Offset < 0 || err.Offset > len(s) || err.Next == "" {
				t.Fatalf("%q: %+v", s, err)
			}
			return
		}
		p, err := compileExpr(e, eventSource{TypeProcess})
		if err != nil {
			if strings.Contains(err.Next, "bug") {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		ev.Prepare()
		if _, err := run(p, ev); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

func TestMentions(t *testing.T) {
	rules, problems := Load("r.json", []byte(`[
		{"id":1,"name":"a","type":"process","severity":"low","enabled":true,"conditions":["name = 'x' and not (uid = 0 or Action = 'exit')"],"actions":["alert"]},
		{"id":2,"name":"b","type":"process","severity":"low","enabled":true,"conditions":["name = 'action'"],"actions":["alert"]}]`))
	if len(problems) > 0 || len(rules) != 2 {
		t.Fatal(rules, problems)
	}
	if !rules[0].Mentions("action") || rules[1].Mentions("action") {
		t.Errorf("Mentions: %v %v, want true false", rules[0].Mentions("action"), rules[1].Mentions("action"))
	}
}
