package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Record is one record of the Windows event log.
type Record struct {
	ID           uint64 // number in its file
	RecordID     uint64 // EventRecordID: its number in the log that it was exported from
	Time         time.Time
	EventID      int
	Version      int
	Level, Task  int
	Opcode       int
	Keywords     string // as Windows prints them: 0x and 16 digits
	Channel      string
	Provider     string
	ProviderGUID string // in braces
	Computer     string
	User         string // SID
	PID, TID     int64  // of the process that wrote it
	body         []*element
}

// Field is a named value of a record.
type Field struct{ Name, Value string }

func newRecord(root *element, id uint64, written time.Time) (*Record, error) {
	if root.name != "Event" {
		return nil, errors.New("its XML begins with <" + root.name + ">, not with <Event>")
	}
	sys := root.kid("System")
	if sys == nil {
		return nil, errors.New("its XML has no <System>")
	}
	r := &Record{ID: id, RecordID: id, Time: written}
	for _, k := range sys.kids {
		switch k.name {
		case "Provider":
			r.Provider, r.ProviderGUID = k.attr("Name"), k.attr("Guid")
			if r.Provider == "" {
				r.Provider = k.attr("EventSourceName")
			}
		case "EventID":
			r.EventID = whole(k.text)
		case "Version":
			r.Version = whole(k.text)
		case "Level":
			r.Level = whole(k.text)
		case "Task":
			r.Task = whole(k.text)
		case "Opcode":
			r.Opcode = whole(k.text)
		case "Keywords":
			r.Keywords = k.text
		case "TimeCreated":
			if t, err := time.Parse(time.RFC3339Nano, k.attr("SystemTime")); err == nil {
				r.Time = t
			}
		case "EventRecordID":
			if n, err := strconv.ParseUint(k.text, 10, 64); err == nil {
				r.RecordID = n
			}
		case "Execution":
			r.PID, _ = strconv.ParseInt(k.attr("ProcessID"), 0, 64)
			r.TID, _ = strconv.ParseInt(k.attr("ThreadID"), 0, 64)
		case "Channel":
			r.Channel = k.text
		case "Computer":
			r.Computer = k.text
		case "Security":
			r.User = k.attr("UserID")
		}
	}
	for _, k := range root.kids {
		if k.name != "System" {
			r.body = append(r.body, k)
		}
	}
	return r, nil
}

// whole reads a number of the System part, which Windows keeps in 16 bits.
func whole(s string) int {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 0, 32)
	if err != nil || n > 1<<31-1 {
		return 0
	}
	return int(n)
}

// dataName is the name of a value: Defender's have spaces, which are left out.
func dataName(e *element) string { return strings.ReplaceAll(e.attr("Name"), " ", "") }

// Data is what the event says, as JSON: its EventData or UserData by name, all
// values as texts. Values without a name are a list called Data.
func (r *Record) Data() string {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, e := range r.body {
		if i > 0 {
			b.WriteByte(',')
		}
		writeText(&b, e.name)
		b.WriteByte(':')
		writeElement(&b, e)
	}
	b.WriteByte('}')
	return b.String()
}

func writeElement(b *bytes.Buffer, e *element) {
	keys, vals := members(e)
	if len(keys) == 0 {
		writeText(b, e.text)
		return
	}
	b.WriteByte('{')
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		writeText(b, k)
		b.WriteByte(':')
		list := len(vals[k]) > 1 || k == "Data"
		if list {
			b.WriteByte('[')
		}
		for j, v := range vals[k] {
			if j > 0 {
				b.WriteByte(',')
			}
			writeElement(b, v)
		}
		if list {
			b.WriteByte(']')
		}
	}
	b.WriteByte('}')
}

// members are what a JSON object of the element has, in the order of first
// use. A value is called by its Name; an attribute of another element by @ and
// its name.
func members(e *element) (keys []string, vals map[string][]*element) {
	vals = map[string][]*element{}
	add := func(k string, v *element) {
		if vals[k] == nil {
			keys = append(keys, k)
		}
		vals[k] = append(vals[k], v)
	}
	if e.name != "Data" {
		for _, a := range e.attrs {
			if a.name != "xmlns" && !strings.HasPrefix(a.name, "xmlns:") {
				add("@"+a.name, &element{text: a.value})
			}
		}
	}
	for _, k := range e.kids {
		name := k.name
		if n := dataName(k); name == "Data" && n != "" {
			name = n
		}
		add(name, k)
	}
	if len(keys) > 0 && strings.TrimSpace(e.text) != "" {
		add("#text", &element{text: e.text})
	}
	return keys, vals
}

func writeText(b *bytes.Buffer, s string) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a text always encodes, into memory
	b.Truncate(b.Len() - 1)
}

// Fields are the event's named values in the order of the record, however deep
// they are. Values without a name are called param1, param2 and so on, as
// Windows calls them, and are together in one called Data.
func (r *Record) Fields() []Field {
	var out []Field
	var unnamed []string
	var walk func(e *element, depth int)
	walk = func(e *element, depth int) {
		if len(e.kids) > 0 {
			for _, k := range e.kids {
				walk(k, depth+1)
			}
			return
		}
		name := e.name
		if name == "Data" {
			if name = dataName(e); name == "" {
				unnamed = append(unnamed, e.text)
				return
			}
		}
		if depth > 0 {
			out = append(out, Field{name, e.text})
		}
	}
	for _, e := range r.body {
		walk(e, 0)
	}
	if len(unnamed) > 0 {
		for i, v := range unnamed {
			out = append(out, Field{"param" + strconv.Itoa(i+1), v})
		}
		out = append(out, Field{"Data", strings.Join(unnamed, "\n")})
	}
	return out
}
