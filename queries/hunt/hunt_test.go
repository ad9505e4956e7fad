package hunt

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/queries/rule"
)

var at = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// one is a hunter with a rule of each type that holds for the condition.
func one(t *testing.T, typ rule.Type, condition string) (*Hunter, *[]Match) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"id": 1, "name": "x", "type": typ, "conditions": []string{condition}, "platforms": []string{"windows"}})
	if err != nil {
		t.Fatal(err)
	}
	rules, problems := rule.Load("x.json", text)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []Match
	return New(rules, func(m Match) { got = append(got, m) }), &got
}

func data(pairs ...string) []Field {
	var out []Field
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, Field{pairs[i], pairs[i+1]})
	}
	return out
}

// What a record tells of is found by the rules of that type.
func TestRecordsAreEvents(t *testing.T) {
	const sysmon = "Microsoft-Windows-Sysmon"
	for _, c := range []struct {
		typ       rule.Type
		condition string
		rec       LogRecord
	}{
		{rule.TypeEventLog, "event_id = 4624 and channel = 'security' and data.LogonType = '3' and level = 'information' and message contains 'LogonType: 3' and hour = 5 and time = '05:06' and weekday = 'wednesday'",
			LogRecord{EventID: 4624, Channel: "Security", Data: data("LogonType", "3")}},
		{rule.TypeEventLog, "data.Name matches '^a\\nb$'", LogRecord{EventID: 1, Data: data("Name", "a", "Name", "b")}},
		{rule.TypeAttack, `name = 'cmd.exe' and path endswith '\cmd.exe' and command = 'cmd /c x' and user = 'PC\bob' and pid = 500 and ppid = 100 and parent_name = 'winword.exe'`,
			LogRecord{EventID: 4688, Channel: "Security", Data: data("NewProcessName", `C:\Windows\System32\cmd.exe`, "CommandLine", "cmd /c x",
				"SubjectUserName", "bob", "SubjectDomainName", "PC", "TargetUserName", "-", "TargetDomainName", "-", "NewProcessId", "0x1f4", "ProcessId", "0x64", "ParentProcessName", `C:\x\WINWORD.EXE`)}},
		{rule.TypeProcess, `name = 'a.exe' and parent_command = 'p -x' and cwd = 'C:\w' and parent_user = 'u' and action = 'exec'`,
			LogRecord{EventID: 1, Provider: sysmon, Data: data("Image", `C:\a.exe`, "CommandLine", "a", "ParentImage", `C:\p.exe`, "ParentCommandLine", "p -x", "CurrentDirectory", `C:\w`, "ParentUser", "u")}},
		{rule.TypeProcess, `name = 'powershell.exe' and parent_name = 'services.exe' and command contains '-enc'`,
			LogRecord{EventID: 7045, Channel: "System", Data: data("ImagePath", `"C:\Windows\powershell.exe" -enc x`)}},
		{rule.TypeNetwork, `remote_address = '198.51.100.7' and remote_port = 443 and local_port = 50000 and direction = 'outbound' and protocol = 'tcp' and remote_scope = 'public' and name = 'a.exe'`,
			LogRecord{EventID: 3, Provider: sysmon, Data: data("Image", `C:\a.exe`, "Protocol", "tcp", "Initiated", "true", "SourceIp", "10.0.0.1", "SourcePort", "50000", "DestinationIp", "198.51.100.7", "DestinationPort", "443")}},
		{rule.TypeNetwork, `remote_address = '10.0.0.9' and local_port = 22 and direction = 'inbound' and action = 'accept'`,
			LogRecord{EventID: 3, Provider: sysmon, Data: data("Initiated", "false", "SourceIp", "10.0.0.9", "SourcePort", "50000", "DestinationIp", "10.0.0.1", "DestinationPort", "22")}},
		{rule.TypeNetwork, `remote_port = 4444 and protocol = 'tcp' and name = 'a.exe'`,
			LogRecord{EventID: 5156, Channel: "Security", Data: data("Application", `\device\harddiskvolume1\a.exe`, "Direction", "%%14593", "Protocol", "6", "DestAddress", "198.51.100.7", "DestPort", "4444")}},
		{rule.TypeFile, `file_name = 'x.dll' and action = 'CREATED' and name = 'a.exe'`,
			LogRecord{EventID: 11, Provider: sysmon, Data: data("Image", `C:\a.exe`, "TargetFilename", `C:\t\x.dll`)}},
		{rule.TypeFile, `action = 'DELETED'`, LogRecord{EventID: 23, Provider: sysmon, Data: data("TargetFilename", `C:\x`)}},
		{rule.TypeRegistry, `key = 'HKEY_LOCAL_MACHINE\SOFTWARE\Run' and value = 'x' and data = '1' and action = 'modified'`,
			LogRecord{EventID: 13, Provider: sysmon, Data: data("EventType", "SetValue", "TargetObject", `HKLM\SOFTWARE\Run\x`, "Details", "DWORD (0x00000001)")}},
		{rule.TypeRegistry, `key = 'HKEY_USERS\S-1\Run' and value = 'x' and data = 'y' and name = 'reg.exe' and action = 'created'`,
			LogRecord{EventID: 4657, Channel: "Security", Data: data("OperationType", "%%1904", "ObjectName", `\REGISTRY\USER\S-1\Run`, "ObjectValueName", "x", "NewValue", "y", "ProcessName", `C:\reg.exe`)}},
	} {
		h, got := one(t, c.typ, c.condition)
		c.rec.Time, c.rec.Record = at, "17"
		h.Log("f", c.rec)
		if len(*got) != 1 || h.Records() != 1 || h.Matches() != 1 || h.Failed() != 0 {
			t.Errorf("%s: %d matches", c.condition, len(*got))
			continue
		}
		if m := (*got)[0]; m.Source != "f" || m.Record != "17" || !m.Time.Equal(at) || len(m.Fields) == 0 {
			t.Errorf("%s: %+v", c.condition, m)
		}
	}
	// Others are no such events.
	for _, r := range []LogRecord{{EventID: 1, Provider: "Other"}, {EventID: 4688, Channel: "System"}, {EventID: 4624, Channel: "Security"}} {
		if ev, ok := derive(r); ok {
			t.Errorf("%+v is taken for %s", r, ev.Type)
		}
	}
}

func TestRegistryAndTasks(t *testing.T) {
	h, got := one(t, rule.TypeRegistry, `key endswith '\run' and value = 'u' and data_type = 'REG_SZ'`)
	h.Registry("SOFTWARE", RegistryValue{Key: `HKEY_LOCAL_MACHINE\SOFTWARE\Run`, Name: "u", Type: "REG_SZ", Data: "x", Time: at})
	if len(*got) != 1 || (*got)[0].Record != `HKEY_LOCAL_MACHINE\SOFTWARE\Run\u` {
		t.Errorf("%+v", *got)
	}
	h, got = one(t, rule.TypeProcess, `name = 'powershell.exe' and command = 'powershell -f x' and parent_name = 'svchost.exe' and user = 'eve'`)
	h.Task("f", Task{Path: `\T`, User: "eve", Commands: []TaskCommand{{"calc.exe", "calc.exe"}, {"powershell", "powershell -f x"}}})
	if len(*got) != 1 || (*got)[0].Record != `\T` || h.Records() != 1 {
		t.Errorf("%+v", *got)
	}
}

func TestJSON(t *testing.T) {
	for _, c := range []struct {
		typ             rule.Type
		condition, text string
	}{
		{rule.TypeProcess, "name = 'nc' and parent_name = 'apache2' and ancestors = 'systemd' and uid = 33 and hour = 5", `{"name":"nc","time":1772600767,"parent_name":"apache2","ancestors":["/usr/sbin/apache2","/lib/systemd/systemd"],"uid":33}`},
		{rule.TypeProcess, "command = 'x' and ppid = 7 and path = '/bin/x'", `{"cmdline":"x","parent":"7","path":"/bin/x","TIME":"2026-03-04 05:06:07"}`},
		{rule.TypeProcess, "command = 'x' and time = '00:02'", `{"name":"pack_x_process_events","columns":{"cmdline":"x"},"unixTime":120}`},
		{rule.TypeNetwork, "remote_port = 443 and protocol = 'tcp' and name = 'a'", `{"type":"network","remote_port":443,"protocol":6,"name":"a"}`},
		{rule.TypeFile, "file_path = '/etc/passwd' and action = 'UPDATED' and size = 5", `{"target_path":"/etc/passwd","action":"UPDATED","size":"5"}`},
		{rule.TypeRegistry, `key = 'HKEY_LOCAL_MACHINE\x' and value = 'v' and data = '1'`, `{"key":"HKLM\\x","value":"v","data":1}`},
		{rule.TypeRegistry, `value = 'v' and data = 'd' and data_type = 'REG_SZ' and name = ''`, `{"key":"K","path":"K\\v","name":"v","type":"REG_SZ","data":"d"}`},
		{rule.TypeEventLog, "event_id = 4625 and data.TargetUserName = 'admin' and data.Nested = 'y'", `{"eventid":"4625","channel":"Security","TargetUserName":"admin","x":{"Nested":"y"}}`},
		{rule.TypeEventLog, "channel = 'Security' and provider = 'P' and data.ThreatName = 'z' and data.param2 = 'b'", `{"eventid":1,"source":"Security","provider_name":"P","data":"{\"EventData\":{\"Threat Name\":\"z\",\"Data\":[\"a\",\"b\"]}}"}`},
		{rule.TypeEventLog, "event_id = 1102 and data.SubjectUserName = 'eve' and level = 'information'", `{"Event":{"System":{"Provider":{"#attributes":{"Name":"P"}},"EventID":{"#attributes":{"Qualifiers":1},"#text":1102},"Level":4,"TimeCreated":{"#attributes":{"SystemTime":"2026-03-04T05:06:07Z"}},"Channel":"Security"},"UserData":{"LogFileCleared":{"#attributes":{"xmlns":"u"},"SubjectUserName":"eve"}}}}`},
		{rule.TypeAttack, "name = 'cmd.exe'", `{"event_id":4688,"channel":"Security","data":{"NewProcessName":"C:\\cmd.exe"}}`},
		{rule.TypeProcess, "name = 'b'", `[{"name":"a"},{"name":"b"}]`},
	} {
		h, got := one(t, c.typ, c.condition)
		if err := h.JSON("f", "1", []byte(c.text)); err != nil || len(*got) != 1 {
			t.Errorf("%s on %s: %d matches, %v", c.condition, c.text, len(*got), err)
		}
	}
}

func TestBadJSON(t *testing.T) {
	h, _ := one(t, rule.TypeProcess, "name = 'x'")
	for text, want := range map[string]string{
		`{`:                               "unexpected EOF",
		`{} {}`:                           "something follows",
		`7`:                               "not an object",
		`{"a":1}`:                         "no field that rules look at",
		`{"name":"x","pid":"many"}`:       "pid must be a whole number",
		`{"name":"x","time":"yesterday"}`: "time must be",
		`{"Event":{"x":1}}`:               `no "System"`,
		`{"Event":{"System":{}}}`:         `"EventID" must be`,
		`[{"name":"a"},{"b":1},7]`:        "2 of 3 items",
	} {
		if err := h.JSON("f", "1", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// Every field that a rule can ask for can be given in JSON.
func TestEveryFieldIsRead(t *testing.T) {
	for _, typ := range []rule.Type{rule.TypeProcess, rule.TypeNetwork, rule.TypeFile, rule.TypeRegistry} {
		for _, f := range rule.Fields(typ) {
			value, condition := "x", fmt.Sprintf("%s = 'x'", f.Name)
			switch {
			case f.Name == "hour" || f.Name == "weekday" || f.Name == "remote_scope" || f.Name == "file_name":
				continue // follow from others
			case f.Name == "time":
				value, condition = "2026-03-04T05:06:07Z", "time = '05:06'"
			case f.Kind == "number":
				value, condition = "7", f.Name+" = 7"
			}
			h, got := one(t, typ, condition)
			text, _ := json.Marshal(map[string]string{"type": string(typ), f.Name: value})
			if err := h.JSON("f", "1", text); err != nil || len(*got) != 1 {
				t.Errorf("%s %s: %d matches, %v", typ, f.Name, len(*got), err)
			}
		}
	}
}

func TestLongValuesAreCutInMatchesOnly(t *testing.T) {
	h, got := one(t, rule.TypeEventLog, "data.x endswith 'end'")
	h.Log("f", LogRecord{EventID: 1, Data: data("x", strings.Repeat("ü", maxShown)+"end")})
	if len(*got) != 1 {
		t.Fatal("no match")
	}
	shown := (*got)[0].Fields
	if v := shown[len(shown)-1].Value; len(v) > maxShown+4 || !strings.HasSuffix(v, "ü…") {
		t.Errorf("%d bytes shown, ending in %q", len(v), v[len(v)-6:])
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"type":"network","remote_port":443,"time":1.5,"ancestors":"a,b"}`))
	f.Add([]byte(`{"Event":{"System":{"EventID":1},"EventData":{"Data":["a",{"#text":"b"}]}}}`))
	f.Add([]byte(`[{"key":"HKLM\\x","data":{}},[]]`))
	rules, problems := rule.Load("r.yaml", []byte("- {id: 1, name: a, type: process, conditions: [\"name = 'x'\"]}\n- {id: 2, name: b, type: event_log, conditions: [\"data.x = 'y'\"]}\n"))
	if len(problems) > 0 {
		f.Fatal(problems)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h := New(rules, func(m Match) {
			if reflect.DeepEqual(m, Match{}) {
				t.Fatal("an empty match")
			}
		})
		_ = h.JSON("f", "1", text)
		if h.Failed() != 0 {
			t.Fatal("an evaluation failed")
		}
	})
}
