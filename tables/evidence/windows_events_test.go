package evidence

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Velocidex/ordereddict"
	"www.velocidex.com/golang/evtx"

	"github.com/aiedr/edr/internal/testneed"
	"github.com/aiedr/edr/tables"
	. "github.com/aiedr/edr/tables/evidence/evidencetest"
	. "github.com/aiedr/edr/tables/tablestest"
)

var eventTime = time.Date(2026, 3, 4, 5, 6, 7, 891234500, time.UTC)

func logon(user string) Event {
	return Event{ID: 4624, Channel: "Security", Provider: "Microsoft-Windows-Security-Auditing", Computer: "host.example",
		GUID: [16]byte{0x25, 0x96, 0x84, 0x54, 0x78, 0x54, 0x94, 0x49, 0xa5, 0xba, 0x3e, 0x3b, 3, 0x28, 0xc3, 0x0d},
		Task: 12544, Keywords: 0x8020000000000000, Time: eventTime,
		Data: []Named{V("TargetUserName", user), V("TargetLogonId", Hex64(0x3e7)), V("ProcessId", Hex64(0x1a4)), V("LogonType", uint32(3))}}
}

func defender() Event {
	return Event{ID: 1116, Channel: "Microsoft-Windows-Windows Defender/Operational", Provider: "Microsoft-Windows-Windows Defender",
		Computer: "host.example", Level: 3, Time: eventTime.Add(time.Hour), SID: System(),
		Data: []Named{V("Threat Name", "Virus:DOS/EICAR_Test_File"), V("Severity ID", "5"), V("Seen", eventTime), V("On", true)}}
}

func cleared() Event {
	return Event{ID: 1102, Channel: "Security", Provider: "Microsoft-Windows-Eventlog", Level: 4, Task: 104, Time: eventTime.Add(2 * time.Hour),
		UserData: "LogFileCleared", Data: []Named{V("SubjectUserName", "eve"), V("SubjectLogonId", Hex64(0x45))}}
}

func crash() Event {
	return Event{ID: 1000, Channel: "Application", Provider: "Application Error", Level: 2, Task: 100, Time: eventTime.Add(3 * time.Hour),
		Data: []Named{V("", []string{"app.exe", "1.0 <&>", "ü"}), V("None", []string{}), V("Binary", []byte{0xab, 1})}}
}

func sample() []byte { return EVTXFile(3, logon("bob"), logon("eve"), defender(), cleared(), crash()) }

func evidenceHost(t testing.TB, files map[string][]byte) *tables.Host {
	t.Helper()
	texts := map[string]string{}
	for name, b := range files {
		texts[name] = string(b)
	}
	return Host(t, texts)
}

func TestWindowsEvents(t *testing.T) {
	host := evidenceHost(t, map[string][]byte{"/case/a.evtx": sample()})
	r := Scan(t, WindowsEvents, host, Equals("evidence", "/case/a.evtx"))
	if r.Err != nil || len(r.Warnings) > 0 || len(r.Rows) != 5 {
		t.Fatalf("%d rows, %v, %v", len(r.Rows), r.Warnings, r.Err)
	}
	want := map[string]any{
		"time": eventTime.Unix(), "datetime": "2026-03-04T05:06:07.8912345Z", "source": "Security",
		"provider_name": "Microsoft-Windows-Security-Auditing", "provider_guid": "{54849625-5478-4994-a5ba-3e3b0328c30d}",
		"computer_name": "host.example", "eventid": int64(4624), "task": int64(12544), "level": int64(0),
		"keywords": "0x8020000000000000", "eid": "1", "record_id": int64(1), "user": "", "pid": int64(4), "tid": int64(8),
		"evidence": "/case/a.evtx", "evidence_file": "/case/a.evtx",
		"data": `{"EventData":{"TargetUserName":"bob","TargetLogonId":"0x3e7","ProcessId":"0x1a4","LogonType":"3"}}`,
	}
	for k, v := range want {
		if r.Rows[0][k] != v {
			t.Errorf("%s = %v, want %v", k, r.Rows[0][k], v)
		}
	}
	for i, data := range map[int]string{
		1: `{"EventData":{"TargetUserName":"eve","TargetLogonId":"0x3e7","ProcessId":"0x1a4","LogonType":"3"}}`,
		2: `{"EventData":{"ThreatName":"Virus:DOS/EICAR_Test_File","SeverityID":"5","Seen":"2026-03-04T05:06:07.8912345Z","On":"true"}}`,
		3: `{"UserData":{"LogFileCleared":{"SubjectUserName":"eve","SubjectLogonId":"0x45"}}}`,
		4: `{"EventData":{"Data":["app.exe","1.0 <&>","ü"],"None":"","Binary":"AB01"}}`,
	} {
		if got := r.Rows[i]["data"]; got != data {
			t.Errorf("row %d: data %v, want %s", i, got, data)
		}
		if !json.Valid([]byte(r.Rows[i]["data"].(string))) {
			t.Errorf("row %d: the data is no JSON", i)
		}
	}
	if got := r.Rows[2]["user"]; got != "S-1-5-18" {
		t.Errorf("user %v", got)
	}
}

func TestWindowsEventsPushdown(t *testing.T) {
	host := evidenceHost(t, map[string][]byte{"/case/a.evtx": sample()})
	ev := Equals("evidence", "/case/a.evtx")
	for _, c := range []struct {
		con  []tables.Constraint
		want int
	}{
		{[]tables.Constraint{Equals("eventid", int64(4624))}, 2},
		{[]tables.Constraint{{Column: "eventid", Op: tables.Equals, Values: []any{int64(1102), "1000"}}}, 2},
		{[]tables.Constraint{{Column: "eventid", Op: tables.Greater, Values: []any{int64(1102)}}}, 3},
		{[]tables.Constraint{{Column: "time", Op: tables.Greater, Values: []any{eventTime.Unix()}}}, 3},
		{[]tables.Constraint{{Column: "time", Op: tables.LessOrEquals, Values: []any{eventTime.Unix() + 3600}}, Equals("eventid", int64(1116))}, 1},
	} {
		if r := Scan(t, WindowsEvents, host, append(c.con, ev)...); r.Err != nil || len(r.Rows) != c.want {
			t.Errorf("%v: %d rows, want %d, %v", c.con, len(r.Rows), c.want, r.Err)
		}
	}
}

func TestWindowsEventsFolder(t *testing.T) {
	host := evidenceHost(t, map[string][]byte{
		"/case/x/Security.evtx": sample(), "/case/y/renamed": sample(), "/case/picture.evtx": []byte("\x89PNG\r\n\x1a\n....."),
		"/case/notes.txt": []byte("nothing"), "/case/link.evtx": []byte("-> /case/x/Security.evtx"), "/empty/notes.txt": nil,
	})
	r := Scan(t, WindowsEvents, host, Equals("evidence", "/case"))
	if r.Err != nil || len(r.Rows) != 10 {
		t.Fatalf("%d rows, %v", len(r.Rows), r.Err)
	}
	if r.Rows[0]["evidence"] != "/case" || r.Rows[0]["evidence_file"] != "/case/x/Security.evtx" {
		t.Errorf("the file: %v", r.Rows[0])
	}
	for _, want := range []string{"link.evtx is left out: a link", "/case/picture.evtx: not an EVTX file: it is a PNG picture"} {
		if !warned(r, want) {
			t.Errorf("no warning %q in %v", want, r.Warnings)
		}
	}
	if r := Scan(t, WindowsEvents, host, Equals("evidence", "/empty")); r.Err != nil || !warned(r, "/empty has no EVTX file") {
		t.Errorf("%v, %v", r.Warnings, r.Err)
	}
	if r := Scan(t, WindowsEvents, host, Equals("evidence", "/case/picture.evtx")); !errors.Is(r.Err, ErrNotEVTX) {
		t.Errorf("a picture named: %v", r.Err)
	}
	both := tables.Constraint{Column: "evidence", Op: tables.Equals, Values: []any{"/case/picture.evtx", "/case/y/renamed", "/nope", "relative"}}
	r = Scan(t, WindowsEvents, host, both)
	if r.Err != nil || len(r.Rows) != 5 || !warned(r, "PNG") || !warned(r, "/nope") || !warned(r, "absolute") {
		t.Errorf("%d rows, %v, %v", len(r.Rows), r.Warnings, r.Err)
	}
}

func warned(r Result, text string) bool {
	for _, w := range r.Warnings {
		if strings.Contains(w.Error(), text) {
			return true
		}
	}
	return false
}

// What can be read of a damaged log is read, and the rest is said.
func TestDamagedLog(t *testing.T) {
	whole := sample()
	const first, second = 4096, 4096 + 65536
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		rows   int
		warn   string
	}{
		{"cut in half", func(b []byte) []byte { return b[:second] }, 3, "header announces 2 chunks and there are 1"},
		{"cut in a chunk", func(b []byte) []byte { return b[:second+512+900] }, 3, "chunk 1 at offset 0x11000, after 1412 of 65536 bytes"},
		{"a wrong byte in a record", func(b []byte) []byte { b[first+520] ^= 0xff; return b }, 3 + 2, "chunk 0 at offset 0x1000: its records have a wrong checksum"},
		{"a record of impossible size", func(b []byte) []byte { b[first+512+6] = 0xff; return b }, 4, "bytes between records are damaged"},
		{"a chunk's header", func(b []byte) []byte { b[first+9] ^= 1; return b }, 5, "chunk 0 at offset 0x1000: its header has a wrong checksum"},
		{"a chunk's magic", func(b []byte) []byte { b[first] = 'X'; return b }, 2, `chunk 0 at offset 0x1000 is damaged and left out: its first bytes`},
		{"the file's magic", func(b []byte) []byte { b[0] = 'X'; return b }, 5, "the file header is damaged"},
		{"the file's checksum", func(b []byte) []byte { b[9] = 9; return b }, 5, "the file header has a wrong checksum"},
		{"a token", func(b []byte) []byte {
			at := first + 512 + 24 + 4 // the template's token
			b[at] = 0x3f
			ChunkSum(b[first : first+65536])
			return b
		}, 4, "chunk 0 at offset 0x1000: records that could not be read: 1; the first, at offset 0x1200: token 0x3f"},
	} {
		host := evidenceHost(t, map[string][]byte{"/a.evtx": c.change(bytes.Clone(whole))})
		r := Scan(t, WindowsEvents, host, Equals("evidence", "/a.evtx"))
		if r.Err != nil || len(r.Rows) != c.rows || !warned(r, c.warn) {
			t.Errorf("%s: %d rows, want %d; warnings %v, want %q; error %v", c.name, len(r.Rows), c.rows, r.Warnings, c.warn, r.Err)
		}
	}
	host := evidenceHost(t, map[string][]byte{"/a.evtx": whole[:100], "/empty.evtx": nil})
	for file, want := range map[string]string{"/a.evtx": "cut off in its header", "/empty.evtx": "it is empty"} {
		if r := Scan(t, WindowsEvents, host, Equals("evidence", file)); !errors.Is(r.Err, ErrNotEVTX) || !strings.Contains(r.Err.Error(), want) {
			t.Errorf("%s: %v", file, r.Err)
		}
	}
}

// Repetition without end must cost the record, not the machine: a value that
// is binary XML may begin with the very template that it is a value of.
func TestRecordThatExpandsWithoutEnd(t *testing.T) {
	var many []Named
	for range 200 {
		many = append(many, V("x", []byte(nil)))
	}
	b := EVTXFile(1, Event{ID: 1, Time: eventTime, Data: many})
	c := b[4096 : 4096+65536]
	// The record is the fragment 0f 01 01 00, then 0c 01: make each of its
	// empty values the whole record again.
	at := bytes.LastIndex(c, binary.LittleEndian.AppendUint32(nil, 213)) // the number of values
	if at < 0 {
		t.Fatal("the values are not where the test looks")
	}
	for i := 13; i < 213; i++ {
		c[at+4+4*i+2] = kindXML
	}
	// All but one of the values have no bytes; that one is long enough to
	// hold an instance of the template with the same list of values.
	x := newChunkXML(c)
	x.parts, x.text = maxXMLParts, maxXMLText
	vals := make([]value, 213)
	for i := range vals {
		vals[i] = value{kind: kindXML, data: c[512+24 : 512+24+4000], at: 512 + 24}
	}
	n, err := x.template(512+24+4+2+4+4, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.one(n, vals, 0); err == nil {
		t.Error("a record that is its own value was read")
	}
	if x.parts > maxXMLParts {
		t.Error("nothing was spent")
	}
	ChunkSum(c)
	var said []error
	for _, err := range ReadEVTX(context.Background(), bytes.NewReader(b), int64(len(b)), func(err error) { said = append(said, err) }) {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("said: %v", said)
}

// A file of a terabyte of nothing must end, and soon.
func TestSparseFiles(t *testing.T) {
	dir := t.TempDir()
	for name, head := range map[string][]byte{"log.evtx": sample(), "hive": software()} {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, head, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, 1<<40); err != nil {
			t.Skipf("no sparse file of a terabyte here: %v", err)
		}
	}
	root, err := tables.DirRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	host := &tables.Host{Root: root, Now: time.Now}
	if r := Scan(t, WindowsEvents, host, Equals("evidence", "/log.evtx")); r.Err != nil || len(r.Rows) != 5 || !warned(r, "chunks are empty") {
		t.Errorf("%d rows, %v, %v", len(r.Rows), r.Warnings, r.Err)
	}
	if r := Scan(t, Registry, host, Equals("evidence", "/hive")); r.Err != nil || len(r.Rows) != 14 || !warned(r, "no hive is longer") {
		t.Errorf("%d rows, %v, %v", len(r.Rows), r.Warnings, r.Err)
	}
}

// Every real log that we have reads without a loss, and as the library reads
// it, but for the values that it has as bare numbers.
func TestAsTheLibraryReads(t *testing.T) {
	shared := testneed.Shared(t, "../..")
	names := Unpack(t, filepath.Join(shared, "sigma", "regression-dev.tar.gz"), ".evtx")
	names = append(names, Unpack(t, filepath.Join(shared, "evidence.tar.gz"), "System2.evtx")...)
	records, compared := 0, 0
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		theirs := map[uint64]*ordereddict.Dict{}
		chunks, err := evtx.GetChunks(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range chunks {
			recs, err := c.Parse(0)
			if err != nil {
				continue // a chunk that is cut off
			}
			for _, r := range recs {
				if d, ok := r.Event.(*ordereddict.Dict); ok {
					if d, ok := ordereddict.GetMap(d, "Event"); ok {
						theirs[r.Header.RecordID] = d
					}
				}
			}
		}
		cut := strings.Contains(name, "System2")
		for r, err := range ReadEVTX(context.Background(), bytes.NewReader(data), int64(len(data)), func(err error) {
			if !cut {
				t.Errorf("%s: %v", name, err)
			}
		}) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			records++
			d := theirs[r.ID]
			if d == nil {
				if !cut {
					t.Errorf("%s: the library has no record %d", name, r.ID)
				}
				continue
			}
			compared += compareRecord(t, name, r, d)
		}
	}
	if records < 300 || compared < 3000 {
		t.Errorf("%d records with %d values compared", records, compared)
	}
	t.Logf("%d records with %d values compared", records, compared)
}

func compareRecord(t *testing.T, file string, r *Record, d *ordereddict.Dict) int {
	t.Helper()
	if id, ok := ordereddict.GetInt(d, "System.EventID.Value"); ok && int(id) != r.EventID {
		t.Errorf("%s: record %d is event %d, the library says %d", file, r.ID, r.EventID, id)
	}
	if c, ok := ordereddict.GetString(d, "System.Channel"); ok && c != r.Channel {
		t.Errorf("%s: record %d is of channel %q, the library says %q", file, r.ID, r.Channel, c)
	}
	ev, ok := ordereddict.GetMap(d, "EventData")
	if !ok {
		return 0
	}
	ours := map[string]string{}
	for _, f := range r.Fields() {
		ours[f.Name] = f.Value
	}
	n := 0
	for _, k := range ev.Keys() {
		v, _ := ev.Get(k)
		want := ""
		switch v := v.(type) {
		case string:
			want = strings.TrimRight(v, "\x00")
		default:
			continue
		}
		got, ok := ours[strings.ReplaceAll(k, " ", "")]
		if strings.Trim(got, "{}") != "" && strings.EqualFold(strings.Trim(got, "{}"), want) {
			got = want // a GUID, which Windows prints in braces
		}
		if !ok || got != want {
			t.Errorf("%s: record %d: %s is %q, the library says %q", file, r.ID, k, got, want)
		}
		n++
	}
	return n
}

// Another tool's JSON of the same records, made from the same files by people
// who test rules with it, has the same values: numbers that are hexadecimal in
// the event viewer are so here.
func TestAsAnotherToolPrints(t *testing.T) {
	archive := filepath.Join(testneed.Shared(t, "../.."), "sigma", "regression-dev.tar.gz")
	logs := map[string]string{}
	for _, name := range Unpack(t, archive, ".evtx") {
		logs[strings.TrimSuffix(filepath.Base(name), ".evtx")] = name
	}
	values, hex := 0, 0
	for _, name := range Unpack(t, archive, ".json") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		log := logs[strings.TrimSuffix(filepath.Base(name), ".json")]
		if log == "" {
			continue
		}
		data, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		byID := map[uint64]*Record{}
		for r, err := range ReadEVTX(context.Background(), bytes.NewReader(data), int64(len(data)), func(error) {}) {
			if err != nil {
				t.Fatal(err)
			}
			byID[r.RecordID] = r
		}
		for dec := json.NewDecoder(bytes.NewReader(text)); dec.More(); {
			var doc struct {
				Event struct {
					System struct {
						EventRecordID uint64
					}
					EventData map[string]json.RawMessage
				}
			}
			if err := dec.Decode(&doc); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			r := byID[doc.Event.System.EventRecordID]
			if r == nil {
				t.Errorf("%s: no record %d", log, doc.Event.System.EventRecordID)
				continue
			}
			ours := map[string]string{}
			for _, f := range r.Fields() {
				ours[f.Name] = f.Value
			}
			for k, raw := range doc.Event.EventData {
				if k == "#attributes" {
					continue
				}
				want := string(raw)
				if raw[0] == '"' {
					_ = json.Unmarshal(raw, &want)
				} else if raw[0] == '{' || raw[0] == '[' || want == "null" {
					continue
				}
				got := ours[strings.ReplaceAll(k, " ", "")]
				values++
				if strings.HasPrefix(want, "0x") {
					hex++
				}
				if len(want) == 36 && strings.EqualFold(got, "{"+want+"}") {
					continue // a GUID, which Windows prints in braces
				}
				if strings.TrimSpace(got) != want { // it drops spaces at the end
					t.Errorf("%s: record %d: %s is %q, the other tool says %q", log, r.RecordID, k, got, want)
				}
			}
		}
	}
	if values < 1000 || hex < 20 {
		t.Errorf("%d values compared, %d of them hexadecimal", values, hex)
	}
	t.Logf("%d values compared, %d of them hexadecimal", values, hex)
}

func TestValues(t *testing.T) {
	le := binary.LittleEndian
	for _, c := range []struct {
		kind byte
		data []byte
		want string
	}{
		{kindNull, nil, ""},
		{kindString, UTF16("a\U0001F600b\x00"), "a\U0001F600b"},
		{kindANSI, []byte("caf\xe9\x00"), "café"},
		{kindInt8, []byte{0xff}, "-1"},
		{kindInt16, []byte{0xfe, 0xff}, "-2"},
		{kindInt32, le.AppendUint32(nil, math.MaxUint32), "-1"},
		{kindUint32, le.AppendUint32(nil, math.MaxUint32), "4294967295"},
		{kindInt64, le.AppendUint64(nil, math.MaxUint64), "-1"},
		{kindUint64, le.AppendUint64(nil, math.MaxUint64), "18446744073709551615"},
		{kindReal64, le.AppendUint64(nil, math.Float64bits(1.5)), "1.5"},
		{kindBool, []byte{1, 0, 0, 0}, "true"},
		{kindBinary, []byte{1, 0xfe}, "01FE"},
		{kindHex32, le.AppendUint32(nil, 0x1fffff), "0x1fffff"},
		{kindHex64, le.AppendUint64(nil, 0), "0x0"},
		{kindSize, le.AppendUint64(nil, 0x7ffe0000), "0x7ffe0000"},
		{kindSID, System(), "S-1-5-18"},
		{kindSID, []byte{1, 9, 0}, "010900"},
		{kindGUID, []byte{1}, "01"},
		{kindFileTime, le.AppendUint64(nil, 0), "1601-01-01T00:00:00.0000000Z"},
		{kindSystemTime, []byte{0xea, 7, 3, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 9, 0}, "2026-03-04T05:06:07.0090000Z"},
		{kindString | kindList, append(UTF16("a\x00b"), 0, 0), "a,b"},
		{kindUint16 | kindList, []byte{1, 0, 2, 0, 9}, "1,2"},
		{0x7f, []byte{0xaa}, "AA"},
	} {
		if got := (value{kind: c.kind, data: c.data}).String(); got != c.want {
			t.Errorf("kind 0x%x: %q, want %q", c.kind, got, c.want)
		}
	}
}

func FuzzEVTX(f *testing.F) {
	whole := sample()
	// A chunk is mutated in place; its checksums are not what is tested.
	f.Add(whole[4096 : 4096+4096])
	one := EVTXFile(1, crash())
	f.Add(one[4096 : 4096+2048])
	f.Add(one[4096 : 4096+700])
	f.Fuzz(func(t *testing.T, chunk []byte) {
		file := append(bytes.Clone(whole[:4096]), chunk[:min(len(chunk), 65536)]...)
		records := 0
		for r, err := range ReadEVTX(context.Background(), bytes.NewReader(file), int64(len(file)), func(err error) {
			if strings.Contains(err.Error(), "internal error") {
				t.Fatal(err)
			}
		}) {
			if err != nil {
				t.Fatal(err)
			}
			records++
			if !json.Valid([]byte(r.Data())) {
				t.Fatalf("record %d: its data is no JSON: %s", r.ID, r.Data())
			}
			r.Fields()
		}
		if records > 65536/28 {
			t.Fatalf("%d records in a chunk", records)
		}
	})
}

// BenchmarkReadEVTX reads a log of a hundred chunks with all values.
func BenchmarkReadEVTX(b *testing.B) {
	var events []Event
	for range 4000 {
		events = append(events, logon("bob"))
	}
	file := EVTXFile(40, events...)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	records := 0
	for b.Loop() {
		for r, err := range ReadEVTX(context.Background(), bytes.NewReader(file), int64(len(file)), func(error) {}) {
			if err != nil {
				b.Fatal(err)
			}
			r.Fields()
			records++
		}
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}
