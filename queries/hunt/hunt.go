// Package hunt runs rules over evidence: records of event logs, values of
// registry hives, scheduled tasks, and events in JSON. It reads no files: the
// caller gives it plain records, one after another, and gets the matches.
//
// A record of an event log is offered to the rules of type event_log, and, if
// it tells of a process, a connection, a file or a registry value, as such an
// event to the rules of those types as well: what Windows' audit and Sysmon
// wrote down is then found by the same rules that run on live events. Evidence
// does not know the host's time zone, so hour, weekday and time are UTC.
package hunt

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aiedr/edr/queries/rule"
)

// Field is a named value.
type Field struct{ Name, Value string }

// Match is a rule that a record fulfils.
type Match struct {
	Rule   *rule.Rule
	Source string // the file
	// Record names the record in its source: an event log's record number, a
	// registry value's path, a task's path, a line's number.
	Record string
	Time   time.Time // of the event or last write; zero where unknown
	Fields []Field   // what the rule could look at, without what is empty
}

// Hunter holds the rules. It belongs to one goroutine.
type Hunter struct {
	windows *rule.Set // the rules that run on Windows, whose artefacts say so
	all     *rule.Set // every rule, for evidence that could be of any system
	hit     func(Match)
	records int64
	matches int64
}

// New makes a hunter of the enabled rules that gives each match to hit.
func New(rules []*rule.Rule, hit func(Match)) *Hunter {
	return &Hunter{windows: rule.NewSet(rules, "windows"), all: rule.NewSet(rules, ""), hit: hit}
}

// Records and Matches count what was offered and what was found.
func (h *Hunter) Records() int64 { return h.records }

// Matches counts the matches.
func (h *Hunter) Matches() int64 { return h.matches }

// Rules is how many rules are looked for.
func (h *Hunter) Rules() int { return len(h.all.Rules()) }

// Failed counts evaluations that ended in an internal error; it stays 0.
func (h *Hunter) Failed() uint64 { return h.windows.Failed() + h.all.Failed() }

// LogRecord is a record of the Windows event log.
type LogRecord struct {
	Record                            string
	Time                              time.Time
	EventID                           int64
	Level                             int // 1 critical to 5 verbose; 0 for audits
	Channel, Provider, Computer, User string
	Data                              []Field // the named values of EventData or UserData
}

// Log offers a record of an event log.
func (h *Hunter) Log(source string, r LogRecord) {
	h.records++
	ev := logEvent(r)
	h.offer(h.windows, source, r.Record, &ev)
	if derived, ok := derive(r); ok {
		h.offer(h.windows, source, r.Record, &derived)
	}
}

// RegistryValue is a value of a registry hive.
type RegistryValue struct {
	Key, Name, Type, Data string
	Time                  time.Time // last write to the key
}

// Registry offers a value of a hive.
func (h *Hunter) Registry(source string, v RegistryValue) {
	h.records++
	ev := rule.Event{Type: rule.TypeRegistry, Time: v.Time.UTC(),
		Registry: rule.Registry{Key: v.Key, Value: v.Name, Data: v.Data, DataType: v.Type}}
	ev.Process.UID = -1
	h.offer(h.windows, source, v.Key+`\`+v.Name, &ev)
}

// Task is a scheduled task of Windows.
type Task struct {
	Path     string // in the scheduler
	User     string
	Commands []TaskCommand
}

// TaskCommand is one program that a task starts.
type TaskCommand struct{ Program, Line string }

// Task offers what a task starts as processes, which the task scheduler is the
// parent of.
func (h *Hunter) Task(source string, t Task) {
	h.records++
	for _, c := range t.Commands {
		program := strings.Trim(c.Program, `"`)
		ev := rule.Event{Type: rule.TypeProcess, Action: "exec", Process: rule.Process{UID: -1, PPID: -1,
			Name: exeName(program), Path: program, Command: c.Line, User: t.User},
			Ancestors: []rule.Process{{Name: "svchost.exe", Path: `C:\Windows\System32\svchost.exe`, Command: "svchost.exe -k netsvcs -p -s Schedule"}}}
		h.offer(h.windows, source, t.Path, &ev)
	}
}

// exeName is the name that Windows shows for a program: with .exe, which a
// command may leave out.
func exeName(path string) string {
	name := base(path)
	if name != "" && !strings.Contains(name, ".") {
		name += ".exe"
	}
	return name
}

// base is the last part of a path of either system.
func base(path string) string { return path[strings.LastIndexAny(path, `/\`)+1:] }

func (h *Hunter) offer(set *rule.Set, source, record string, ev *rule.Event) {
	set.Match(ev, func(r *rule.Rule) {
		h.matches++
		h.hit(Match{Rule: r, Source: source, Record: record, Time: ev.Time, Fields: fields(ev)})
	})
}

// maxShown bounds a value of a match in bytes; rules saw it whole.
const maxShown = 4096

// fields are what an event says, by the names that conditions use.
func fields(ev *rule.Event) []Field {
	var out []Field
	add := func(name, value string) {
		if value == "" {
			return
		}
		if len(value) > maxShown {
			cut := maxShown
			for cut > 0 && !utf8.RuneStart(value[cut]) {
				cut--
			}
			value = value[:cut] + "…"
		}
		out = append(out, Field{name, value})
	}
	p := ev.Process
	switch ev.Type {
	case rule.TypeEventLog:
		add("event_id", number(ev.Log.EventID))
		add("channel", ev.Log.Channel)
		add("provider", ev.Log.Provider)
		add("level", ev.Log.Level)
		add("computer", ev.Log.Computer)
		add("log_user", ev.Log.User)
		for _, k := range sortedKeys(ev.Log.Data) {
			add("data."+k, ev.Log.Data[k])
		}
		return out
	case rule.TypeRegistry:
		add("key", ev.Registry.Key)
		add("value", ev.Registry.Value)
		add("data", ev.Registry.Data)
		add("data_type", ev.Registry.DataType)
	case rule.TypeNetwork:
		add("protocol", ev.Network.Protocol)
		add("direction", ev.Network.Direction)
		add("local_address", ev.Network.LocalAddress)
		add("local_port", positive(ev.Network.LocalPort))
		add("remote_address", ev.Network.RemoteAddress)
		add("remote_port", positive(ev.Network.RemotePort))
	case rule.TypeFile:
		add("file_path", ev.File.Path)
		add("old_path", ev.File.OldPath)
		add("sha256", ev.File.SHA256)
	}
	add("action", ev.Action)
	add("name", p.Name)
	add("path", p.Path)
	add("command", p.Command)
	add("user", p.User)
	add("pid", positive(p.PID))
	add("ppid", positive(p.PPID))
	add("cwd", p.CWD)
	if len(ev.Ancestors) > 0 {
		a := ev.Ancestors[0]
		add("parent_name", a.Name)
		add("parent_path", a.Path)
		add("parent_command", a.Command)
		add("parent_user", a.User)
	}
	return out
}
