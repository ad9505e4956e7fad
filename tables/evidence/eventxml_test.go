package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	. "github.com/aiedr/edr/tables/evidence/evidencetest"
)

const rendered = `<?xml version='1.0' encoding='utf-16'?>
<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'>
  <System><Provider Name='Microsoft-Windows-Security-Auditing' Guid='{54849625-5478-4994-a5ba-3e3b0328c30d}'/><EventID>4624</EventID><Version>3</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode><Keywords>0x8020000000000000</Keywords><TimeCreated SystemTime='2026-03-04T05:06:07.8912345Z'/><EventRecordID>77</EventRecordID><Correlation/><Execution ProcessID='4' ThreadID='8'/><Channel>Security</Channel><Computer>host.example</Computer><Security/></System>
  <EventData><Data Name='TargetUserName'>bob</Data><Data Name='TargetLogonId'>0x3e7</Data><Data Name='ProcessId'>0x1a4</Data><Data Name='LogonType'>3</Data></EventData>
</Event>`

// An event that Windows rendered gives the same row as its record in a file.
func TestEventXMLIsAsTheRecord(t *testing.T) {
	live, err := ParseEventXML(rendered)
	if err != nil {
		t.Fatal(err)
	}
	file := EVTXFile(1, logon("bob"))
	for r, err := range ReadEVTX(context.Background(), bytes.NewReader(file), int64(len(file)), func(err error) { t.Error(err) }) {
		if err != nil {
			t.Fatal(err)
		}
		want, got := eventRow(r, true), eventRow(live, true)
		if got.RecordID != 77 || got.EID != "77" || got.Version != 3 {
			t.Errorf("numbers: %+v", got)
		}
		got.RecordID, got.EID, got.Version = want.RecordID, want.EID, want.Version
		if got != want {
			t.Errorf("%+v\nwant %+v", got, want)
		}
	}
}

func TestBadEventXML(t *testing.T) {
	for text, want := range map[string]string{
		"": "empty", "<Event>": "unexpected EOF", "<a/>": "not with <Event>", "<Event/>": "no <System>",
		"<Event/><Event/>": "more than one", strings.Repeat("<Event>", 100): "deeper than",
		`<!DOCTYPE x [<!ENTITY a "b">]><Event><System><Channel>&a;</Channel></System></Event>`: "entity",
	} {
		if r, err := ParseEventXML(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, %v; want %q", text, r, err, want)
		}
	}
}

func TestXPath(t *testing.T) {
	f := noFilter()
	if got := f.xpath(); got != "*" {
		t.Errorf("nothing asked: %s", got)
	}
	f.byID, f.ids = true, []int64{4624, 4625}
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).Unix()
	f.low, f.high = at, at+1
	want := "*[System[(EventID=4624 or EventID=4625) and TimeCreated[@SystemTime>='2026-03-04T05:06:07.0000000Z' and @SystemTime<'2026-03-04T05:06:09.0000000Z']]]"
	if got := f.xpath(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	f.ids = make([]int64, maxQueryIDs+1)
	if got := f.xpath(); strings.Contains(got, "EventID") {
		t.Errorf("a long list is left to us: %s", got)
	}
}

func FuzzEventXML(f *testing.F) {
	f.Add(rendered)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseEventXML(text)
		if err == nil && !json.Valid([]byte(r.Data())) {
			t.Fatal(r.Data())
		}
	})
}
