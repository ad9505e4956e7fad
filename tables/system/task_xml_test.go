package system

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables"
	. "github.com/aiedr/edr/tables/tablestest"
)

const task = `<?xml version="1.0" encoding="UTF-16"?>
<!-- exported -->
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Author>EXAMPLE\eve</Author><URI>\Updates\Nightly &amp; more</URI></RegistrationInfo>
  <Triggers><CalendarTrigger><Repetition><Interval>PT5M</Interval></Repetition><StartBoundary>2026-03-04T05:00:00</StartBoundary></CalendarTrigger>
    <LogonTrigger><Enabled>false</Enabled></LogonTrigger></Triggers>
  <Principals><Principal id="Author"><UserId>S-1-5-18</UserId><RunLevel>HighestAvailable</RunLevel></Principal></Principals>
  <Settings><Hidden>true</Hidden><Enabled>true</Enabled></Settings>
  <Actions Context="Author"><Exec><Command>powershell.exe</Command><Arguments>-w hidden -f "C:\x y.ps1"</Arguments></Exec>
    <ComHandler><ClassId>{0000}</ClassId></ComHandler></Actions>
</Task>`

func utf16le(s string, mark bool) string {
	var b []byte
	if mark {
		b = []byte{0xff, 0xfe}
	}
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func TestTaskEvidence(t *testing.T) {
	for name, text := range map[string]string{
		"UTF-8": task, "UTF-8 with a mark": "\ufeff" + task, "UTF-16": utf16le(task, true), "UTF-16 without a mark": utf16le(task, false),
	} {
		host := Host(t, map[string]string{"/case/Tasks/Updates/Nightly": text, "/case/Tasks/other.xml": "<a/>", "/case/Tasks/old.job": "x", "/case/Tasks/cut": text[:len(text)/2&^1]})
		r := Scan(t, ScheduledTasks, host, Equals("evidence", "/case/Tasks"))
		if r.Err != nil || len(r.Rows) != 1 {
			t.Fatalf("%s: %d rows, %v, %v", name, len(r.Rows), r.Warnings, r.Err)
		}
		for k, want := range map[string]any{
			"name": "Nightly & more", "path": `\Updates\Nightly & more`, "enabled": int64(1), "state": "ready", "hidden": int64(1),
			"action": `powershell.exe -w hidden -f "C:\x y.ps1"; COM {0000}`, "user": "S-1-5-18", "type": "windows_task",
			"schedule":      "CalendarTrigger 2026-03-04T05:00:00 every PT5M; LogonTrigger (disabled)",
			"source":        "/case/Tasks/Updates/Nightly",
			"evidence":      "/case/Tasks",
			"unit":          nil,
			"command":       `powershell.exe -w hidden -f "C:\x y.ps1"; COM {0000}`,
			"last_run_code": nil,
		} {
			if r.Rows[0][k] != want {
				t.Errorf("%s: %s = %v, want %v", name, k, r.Rows[0][k], want)
			}
		}
		said := ""
		for _, w := range r.Warnings {
			said += w.Error() + "\n"
		}
		if !strings.Contains(said, "old.job") || !strings.Contains(said, "/case/Tasks/cut") {
			t.Errorf("%s: warnings %s", name, said)
		}
		if r := Scan(t, ScheduledTasks, host, Equals("evidence", "/case/Tasks/other.xml")); !errors.Is(r.Err, ErrNotTask) {
			t.Errorf("%s: another XML: %v", name, r.Err)
		}
	}
}

func TestRealTask(t *testing.T) {
	root, err := tables.DirRoot(filepath.Dir(unpackTask(t)))
	if err != nil {
		t.Fatal(err)
	}
	w, err := TaskFile(root, "/hidden_attrib.xml", true)
	if err != nil {
		t.Fatal(err)
	}
	if w.URI != `\atomic red team` || !w.Hidden || !w.Enabled || len(w.Actions) != 1 || w.Actions[0].Line() != `C:\Windows\system32\calc.exe"` {
		t.Errorf("%+v", w)
	}
}

func FuzzTaskXML(f *testing.F) {
	f.Add([]byte(task))
	f.Add([]byte(utf16le(task, true)))
	f.Add([]byte(utf16le(task, false)))
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := ParseTaskXML("/x/y", data)
		if (w == nil) == (err == nil) {
			t.Fatal(w, err)
		}
	})
}

func unpackTask(t *testing.T) string {
	t.Helper()
	return Unpack(t, filepath.Join(testneed.Shared(t, "../.."), "evidence.tar.gz"), "hidden_attrib.xml")[0]
}
