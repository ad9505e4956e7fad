package hunt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aiedr/edr/queries/rule"
)

// JSON offers an event in JSON: an object whose entries are called as the
// fields of rules are (name, path, command, parent_name, remote_port, event_id
// …; docs/rules.md lists them) or by their other names there, which osquery's
// columns are among. "type" says which type of event it is; without it the
// fields tell. "time" is RFC 3339 or seconds since the Unix epoch. Values of an
// event log's record are in "data", an object, or any entry of another name.
// The form that other tools give an EVTX record, {"Event": {"System": …}}, is
// read too. Record names the object in its source.
func (h *Hunter) JSON(source, record string, text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return h.object(source, record, v)
}

func (h *Hunter) object(source, record string, v any) error {
	if list, ok := v.([]any); ok {
		var first error
		failed := 0
		for i, item := range list {
			if err := h.object(source, record+"["+strconv.Itoa(i)+"]", item); err != nil {
				if failed++; failed == 1 {
					first = fmt.Errorf("item %d: %w", i, err)
				}
			}
		}
		if failed > 1 {
			first = fmt.Errorf("%d of %d items cannot be read; the first, %w", failed, len(list), first)
		}
		return first
	}
	m, ok := v.(map[string]any)
	if !ok {
		return errors.New("not an object")
	}
	if ev, ok := m["Event"].(map[string]any); ok && len(m) == 1 {
		r, err := windowsJSON(ev)
		if err != nil {
			return err
		}
		if r.Record == "" {
			r.Record = record
		}
		h.Log(source, r)
		return nil
	}
	// osquery's result lines hold the row in "columns".
	if row, ok := m["columns"].(map[string]any); ok {
		if _, timed := row["time"]; !timed && m["unixTime"] != nil {
			row["time"] = m["unixTime"]
		}
		m = row
	}
	low := make(map[string]any, len(m))
	for k, v := range m {
		low[strings.ToLower(k)] = v
	}
	typ, err := typeOf(low)
	if err != nil {
		return err
	}
	if typ == rule.TypeEventLog {
		r := logJSON(m, low)
		if r.Record == "" {
			r.Record = record
		}
		h.records++
		ev := logEvent(r)
		h.offer(h.all, source, record, &ev)
		if derived, ok := derive(r); ok {
			h.offer(h.all, source, record, &derived)
		}
		return nil
	}
	if typ == rule.TypeRegistry {
		registryRow(low)
	}
	ev, err := eventJSON(typ, low)
	if err != nil {
		return err
	}
	h.records++
	h.offer(h.all, source, record, &ev)
	return nil
}

// registryRow turns a row of the table registry, whose name and type are those
// of the value, into the fields of rules, whose name is that of a process.
func registryRow(m map[string]any) {
	_, named := m["value"]
	path, name := textOf(m["path"]), textOf(m["name"])
	if named || path == "" || path != textOf(m["key"])+`\`+name {
		return
	}
	m["value"], m["data_type"] = name, m["type"]
	delete(m, "name")
	delete(m, "path")
	delete(m, "type")
}

// telling are fields that only events of one type have.
var telling = []struct {
	typ    rule.Type
	fields []string
}{
	{rule.TypeEventLog, []string{"event_id", "eventid"}},
	{rule.TypeRegistry, []string{"key"}},
	{rule.TypeNetwork, []string{"remote_address", "remote_port", "local_port"}},
	{rule.TypeFile, []string{"file_path", "target_path"}},
	{rule.TypeProcess, []string{"command", "cmdline", "command_line", "path", "name"}},
}

func typeOf(m map[string]any) (rule.Type, error) {
	if s, ok := m["type"].(string); ok {
		t := rule.Type(strings.ToLower(s))
		if t == rule.TypeAttack {
			t = rule.TypeProcess
		}
		if slices.Contains(rule.Types(), t) {
			return t, nil
		}
	}
	for _, x := range telling {
		for _, f := range x.fields {
			if _, ok := m[f]; ok {
				return x.typ, nil
			}
		}
	}
	return "", errors.New("no field that rules look at, such as command, remote_address, file_path, key or event_id")
}

// eventJSON fills an event by the names and aliases of its type's fields.
func eventJSON(typ rule.Type, m map[string]any) (rule.Event, error) {
	ev := rule.Event{Type: typ}
	p := &ev.Process
	*p = rule.Process{UID: -1, PPID: -1}
	ev.Network.LocalPort, ev.Network.RemotePort = -1, -1
	ev.File.Size, ev.File.UID = -1, -1
	var parent rule.Process
	var ancestors []string
	for _, f := range rule.Fields(typ) {
		v, ok := m[f.Name]
		for _, a := range f.Aliases {
			if ok {
				break
			}
			v, ok = m[a]
		}
		if !ok || v == nil || f.Name == "hour" || f.Name == "weekday" {
			continue
		}
		text := textOf(v)
		var n int64
		if f.Kind == "number" {
			var err error
			if n, err = strconv.ParseInt(strings.TrimSpace(text), 0, 64); err != nil {
				if text == "" {
					continue
				}
				return ev, fmt.Errorf("%s must be a whole number and is %q", f.Name, text)
			}
		}
		switch f.Name {
		case "name":
			p.Name = text
		case "path":
			p.Path = text
		case "command":
			p.Command = text
		case "user":
			p.User = text
		case "uid":
			p.UID = n
		case "pid":
			p.PID = n
		case "ppid":
			p.PPID = n
		case "cwd":
			p.CWD = text
		case "container":
			p.Container = text
		case "parent_name":
			parent.Name = text
		case "parent_path":
			parent.Path = text
		case "parent_command":
			parent.Command = text
		case "parent_user":
			parent.User = text
		case "ancestors":
			ancestors = texts(v)
		case "action":
			ev.Action = text
		case "time":
			at, err := timeOf(v)
			if err != nil {
				return ev, err
			}
			ev.Time = at
		case "local_address":
			ev.Network.LocalAddress = text
		case "local_port":
			ev.Network.LocalPort = n
		case "remote_address":
			ev.Network.RemoteAddress = text
		case "remote_port":
			ev.Network.RemotePort = n
		case "protocol":
			ev.Network.Protocol = protocol(text)
		case "direction":
			ev.Network.Direction = text
		case "file_path":
			ev.File.Path = text
		case "old_path":
			ev.File.OldPath = text
		case "category":
			ev.File.Category = text
		case "sha256":
			ev.File.SHA256 = text
		case "mode":
			ev.File.Mode = text
		case "size":
			ev.File.Size = n
		case "file_uid":
			ev.File.UID = n
		case "inode":
			ev.File.Inode = n
		case "key":
			ev.Registry.Key = rootKey(text)
		case "value":
			ev.Registry.Value = text
		case "data":
			ev.Registry.Data = text
		case "data_type":
			ev.Registry.DataType = text
		}
	}
	if parent != (rule.Process{}) {
		parent.UID = -1
		ev.Ancestors = append(ev.Ancestors, parent)
	}
	for i, a := range ancestors {
		if i == 0 && len(ev.Ancestors) > 0 && base(a) == base(parent.Name+parent.Path) {
			continue
		}
		ev.Ancestors = append(ev.Ancestors, rule.Process{UID: -1, Name: base(a), Path: a})
	}
	if typ == rule.TypeProcess && ev.Action == "" {
		ev.Action = "exec"
	}
	if p.Path == "" && strings.ContainsAny(p.Name, `/\`) {
		p.Path, p.Name = p.Name, base(p.Name)
	}
	return ev, nil
}

// logJSON is a record whose entries are called as the fields of rules, or as
// the columns of windows_events.
func logJSON(m, low map[string]any) LogRecord {
	r := LogRecord{Level: -1}
	get := func(names ...string) any {
		for _, n := range names {
			if v, ok := low[n]; ok {
				return v
			}
		}
		return nil
	}
	text := func(names ...string) string { return textOf(get(names...)) }
	r.EventID, _ = strconv.ParseInt(text("event_id", "eventid"), 0, 64)
	r.Channel, r.Provider = text("channel"), text("provider", "provider_name")
	if r.Channel == "" {
		r.Channel = text("source") // the column of windows_events
	} else if r.Provider == "" {
		r.Provider = text("source")
	}
	r.Computer, r.User = text("computer", "computer_name"), text("log_user", "user")
	r.Record = text("record_id")
	if n, err := strconv.Atoi(text("level")); err == nil {
		r.Level = n
	}
	if at, err := timeOf(get("time", "datetime")); err == nil {
		r.Time = at
	}
	data := get("data")
	if s, ok := data.(string); ok && strings.HasPrefix(s, "{") {
		dec := json.NewDecoder(strings.NewReader(s))
		dec.UseNumber()
		var inner any
		if dec.Decode(&inner) == nil {
			data = inner
		}
	}
	r.Data = flatten(nil, "data", data)
	known := []string{"event_id", "eventid", "channel", "provider", "provider_name", "provider_guid", "source", "computer", "computer_name",
		"log_user", "record_id", "level", "time", "datetime", "data", "type", "task", "keywords", "eid", "evidence", "evidence_file", "pid", "tid", "opcode", "version"}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(known, strings.ToLower(k)) {
			r.Data = flatten(r.Data, k, m[k])
		}
	}
	return r
}

// windowsJSON is a record in the form {"System": …, "EventData": …} with
// attributes in "#attributes" and texts in "#text".
func windowsJSON(ev map[string]any) (LogRecord, error) {
	sys, ok := ev["System"].(map[string]any)
	if !ok {
		return LogRecord{}, errors.New(`"Event" has no "System"`)
	}
	attr := func(element, name string) string {
		e, _ := sys[element].(map[string]any)
		if a, ok := e["#attributes"].(map[string]any); ok {
			e = a
		}
		return textOf(e[name])
	}
	text := func(element string) string {
		if e, ok := sys[element].(map[string]any); ok {
			for _, k := range []string{"#text", "Value"} {
				if v, ok := e[k]; ok {
					return textOf(v)
				}
			}
			return ""
		}
		return textOf(sys[element])
	}
	id, err := strconv.ParseInt(text("EventID"), 0, 64)
	if err != nil {
		return LogRecord{}, fmt.Errorf(`"EventID" must be a whole number and is %q`, text("EventID"))
	}
	r := LogRecord{EventID: id, Channel: text("Channel"), Computer: text("Computer"), Provider: attr("Provider", "Name"),
		User: attr("Security", "UserID"), Record: text("EventRecordID"), Level: -1}
	if n, err := strconv.Atoi(text("Level")); err == nil {
		r.Level = n
	}
	if at, err := timeOf(attr("TimeCreated", "SystemTime")); err == nil {
		r.Time = at
	}
	for _, k := range slices.Sorted(maps.Keys(ev)) {
		if k != "System" && !strings.HasPrefix(k, "#") {
			r.Data = flatten(r.Data, k, ev[k])
		}
	}
	return r, nil
}

// flatten lists the values at the leaves by their own names, without spaces.
func flatten(out []Field, name string, v any) []Field {
	switch v := v.(type) {
	case nil:
		return out
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if k == "#attributes" || k == "xmlns" {
				continue
			}
			child := k
			if k == "#text" {
				child = name
			}
			out = flatten(out, child, v[k])
		}
		return out
	case []any:
		for i, item := range v {
			if s, ok := item.(string); ok && name == "Data" {
				out = append(out, Field{"param" + strconv.Itoa(i+1), s})
			}
			out = flatten(out, name, item)
		}
		return out
	}
	return append(out, Field{strings.ReplaceAll(name, " ", ""), textOf(v)})
}

func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	b, _ := json.Marshal(v) // what was read as JSON can be written as it
	return string(b)
}

func texts(v any) []string {
	if list, ok := v.([]any); ok {
		var out []string
		for _, item := range list {
			out = append(out, textOf(item))
		}
		return out
	}
	return strings.FieldsFunc(textOf(v), func(r rune) bool { return r == ',' })
}

// timeOf reads RFC 3339, a date and time without zone as UTC, or seconds.
func timeOf(v any) (time.Time, error) {
	s := strings.TrimSpace(textOf(v))
	if f, err := strconv.ParseFloat(s, 64); err == nil && f >= 0 && f < 1e12 {
		sec := int64(f)
		return time.Unix(sec, int64((f-float64(sec))*1e9)).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("time must be RFC 3339 or seconds since the Unix epoch and is %q", s)
}
