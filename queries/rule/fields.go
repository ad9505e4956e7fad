package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aiedr/edr/queries/document"
)

// Type says which events a rule looks at.
type Type string

// The types of rule. An attack rule looks at process events.
const (
	TypeProcess  Type = "process"
	TypeNetwork  Type = "network"
	TypeFile     Type = "file"
	TypeRegistry Type = "registry"
	TypeAttack   Type = "attack"
	TypeEventLog Type = "event_log"
)

// Types lists the types of rule.
func Types() []Type {
	return []Type{TypeProcess, TypeNetwork, TypeFile, TypeRegistry, TypeAttack, TypeEventLog}
}

type typeSet uint8

func (t Type) bit() typeSet {
	if t == TypeAttack {
		t = TypeProcess
	}
	return 1 << slices.Index(Types(), t)
}

// Field is a field of the condition language, for documentation and completion.
type Field struct {
	Name    string
	Aliases []string
	Kind    string // text, number or list
	Types   []Type
	Doc     string
}

type field struct {
	name, aliases string
	types         typeSet
	doc           string
	text          func(*Event) string
	num           func(*Event) (int64, bool)
	list          bool // the ancestors
	ordered       bool // a text that < and > make sense of
}

const (
	inProcess  typeSet = 1 << 0
	inNetwork  typeSet = 1 << 1
	inFile     typeSet = 1 << 2
	inRegistry typeSet = 1 << 3
	inEventLog typeSet = 1 << 5
	inLive             = inProcess | inNetwork | inFile | inRegistry
	inAll              = inLive | inEventLog
)

// fieldCount bounds the catalog; the test of the catalog holds it.
const fieldCount = 52

func known(v int64) (int64, bool) { return v, v >= 0 }

func positive(v int64) (int64, bool) { return v, v > 0 }

func parentText(get func(*Process) string) func(*Event) string {
	return func(e *Event) string {
		if p := e.parent(); p != nil {
			return get(p)
		}
		return ""
	}
}

// catalog is every field. Its order is that of the docs.
var catalog = [...]field{
	{name: "name", types: inLive, doc: "Name of the process as the system has it: on Linux the kernel's short name (at most 15 bytes), on Windows the file name with .exe.", text: func(e *Event) string { return e.Process.Name }},
	{name: "path", types: inLive, doc: "Path of the executed file.", text: func(e *Event) string { return e.Process.Path }},
	{name: "command", aliases: "cmdline command_line", types: inLive, doc: "Command line.", text: func(e *Event) string { return e.Process.Command }},
	{name: "user", aliases: "username", types: inLive, doc: "Name of the user the process runs as.", text: func(e *Event) string { return e.Process.User }},
	{name: "uid", types: inLive, doc: "User ID the process runs as.", num: func(e *Event) (int64, bool) { return known(e.Process.UID) }},
	{name: "pid", types: inLive, doc: "Process ID.", num: func(e *Event) (int64, bool) { return positive(e.Process.PID) }},
	{name: "ppid", aliases: "parent parent_pid", types: inLive, doc: "Process ID of the parent.", num: func(e *Event) (int64, bool) { return known(e.Process.PPID) }},
	{name: "cwd", types: inLive, doc: "Working directory of the process, where known.", text: func(e *Event) string { return e.Process.CWD }},
	{name: "container", aliases: "container_id", types: inLive, doc: "Container ID, empty outside a container.", text: func(e *Event) string { return e.Process.Container }},
	{name: "parent_name", types: inLive, doc: "Name of the parent process.", text: parentText(func(p *Process) string {
		if p.Name == "" {
			return base(p.Path)
		}
		return p.Name
	})},
	{name: "parent_path", types: inLive, doc: "Path of the parent's executed file.", text: parentText(func(p *Process) string { return p.Path })},
	{name: "parent_command", aliases: "parent_cmdline parent_command_line", types: inLive, doc: "Command line of the parent.", text: parentText(func(p *Process) string { return p.Command })},
	{name: "parent_user", types: inLive, doc: "Name of the user the parent runs as.", text: parentText(func(p *Process) string { return p.User })},
	{name: "ancestors", aliases: "ancestor", types: inLive, doc: "Names and paths of the parent, its parent and so on; a comparison holds if it holds for one of them.", list: true},
	{name: "action", types: inAll, doc: "What happened: exec or exit; connect, accept, bind, listen or close; CREATED, UPDATED, DELETED, MOVED_FROM, MOVED_TO or ATTRIBUTES_MODIFIED; created, modified or deleted in the registry.", text: func(e *Event) string { return e.Action }},
	{name: "hour", types: inAll, doc: "Hour of the host's local time, 0 to 23.", num: func(e *Event) (int64, bool) { return e.hour, true }},
	{name: "weekday", types: inAll, doc: "Day of the week in the host's local time: monday to sunday.", text: func(e *Event) string { return e.Time.Weekday().String() }},
	{name: "time", types: inAll, ordered: true, doc: "Local time of day as HH:MM, such as time >= '22:30'.", text: func(e *Event) string { return e.Time.Format("15:04") }},

	{name: "local_address", types: inNetwork, doc: "Local address.", text: func(e *Event) string { return e.Network.LocalAddress }},
	{name: "local_port", types: inNetwork, doc: "Local port.", num: func(e *Event) (int64, bool) { return known(e.Network.LocalPort) }},
	{name: "remote_address", types: inNetwork, doc: "Remote address.", text: func(e *Event) string { return e.Network.RemoteAddress }},
	{name: "remote_port", types: inNetwork, doc: "Remote port.", num: func(e *Event) (int64, bool) { return known(e.Network.RemotePort) }},
	{name: "remote_scope", types: inNetwork, doc: "How far away the remote address is: loopback, private, link-local, multicast, unspecified or public.", text: func(e *Event) string { return scope(e.Network.RemoteAddress) }},
	{name: "protocol", types: inNetwork, doc: "Protocol: tcp or udp.", text: func(e *Event) string { return e.Network.Protocol }},
	{name: "direction", types: inNetwork, doc: "outbound, inbound or listen.", text: func(e *Event) string { return e.Network.Direction }},

	{name: "file_path", aliases: "target_path", types: inFile, doc: "Path of the file that changed.", text: func(e *Event) string { return e.File.Path }},
	{name: "file_name", types: inFile, doc: "Last part of that path.", text: func(e *Event) string { return base(e.File.Path) }},
	{name: "old_path", types: inFile, doc: "Path before a move, where known.", text: func(e *Event) string { return e.File.OldPath }},
	{name: "category", types: inFile, doc: "Category of the watched folder.", text: func(e *Event) string { return e.File.Category }},
	{name: "sha256", types: inFile, doc: "SHA-256 of the file after the change, where hashed.", text: func(e *Event) string { return e.File.SHA256 }},
	{name: "mode", types: inFile, doc: "Permission bits, octal.", text: func(e *Event) string { return e.File.Mode }},
	{name: "size", types: inFile, doc: "Size of the file in bytes.", num: func(e *Event) (int64, bool) { return known(e.File.Size) }},
	{name: "file_uid", types: inFile, doc: "User ID that owns the file.", num: func(e *Event) (int64, bool) { return known(e.File.UID) }},
	{name: "inode", types: inFile, doc: "Inode number of the file.", num: func(e *Event) (int64, bool) { return positive(e.File.Inode) }},

	{name: "key", types: inRegistry, doc: "Registry key, such as HKEY_LOCAL_MACHINE\\Software\\….", text: func(e *Event) string { return e.Registry.Key }},
	{name: "value", aliases: "value_name", types: inRegistry, doc: "Name of the registry value.", text: func(e *Event) string { return e.Registry.Value }},
	{name: "data", types: inRegistry, doc: "Data of the registry value as text.", text: func(e *Event) string { return e.Registry.Data }},
	{name: "data_type", types: inRegistry, doc: "Type of the registry value, such as REG_SZ.", text: func(e *Event) string { return e.Registry.DataType }},

	{name: "event_id", aliases: "eventid", types: inEventLog, doc: "Number of the event, such as 4625.", num: func(e *Event) (int64, bool) { return known(e.Log.EventID) }},
	{name: "channel", types: inEventLog, doc: "Channel, such as Security.", text: func(e *Event) string { return e.Log.Channel }},
	{name: "provider", aliases: "source provider_name", types: inEventLog, doc: "Provider of the event.", text: func(e *Event) string { return e.Log.Provider }},
	{name: "level", types: inEventLog, doc: "Level of the event: critical, error, warning, information or verbose; an audit is information.", text: func(e *Event) string { return e.Log.Level }},
	{name: "computer", aliases: "computer_name", types: inEventLog, doc: "Computer that recorded the event.", text: func(e *Event) string { return e.Log.Computer }},
	{name: "log_user", types: inEventLog, doc: "User of the event.", text: func(e *Event) string { return e.Log.User }},
	{name: "message", types: inEventLog, doc: "Text of the event; of evidence, which is without the libraries that have the texts, its values in lines of NAME: VALUE. The named values are data.NAME, such as data.TargetUserName.", text: func(e *Event) string { return e.Log.Message }},
}

// Fields lists the fields that rules of a type have.
func Fields(t Type) []Field {
	var out []Field
	for i := range catalog {
		f := &catalog[i]
		if f.types&t.bit() == 0 {
			continue
		}
		d := Field{Name: f.name, Aliases: strings.Fields(f.aliases), Kind: "text", Doc: f.doc}
		if f.num != nil {
			d.Kind = "number"
		}
		if f.list {
			d.Kind = "list"
		}
		for _, x := range Types() {
			if f.types&x.bit() != 0 {
				d.Types = append(d.Types, x)
			}
		}
		out = append(out, d)
	}
	return out
}

// source says how the fields of one kind of subject are read: an event of a
// type, or a row of a query.
type source interface {
	// resolve finds a field by its name as written.
	resolve(name string) (accessor, error)
}

// accessor reads one field of a subject; the functions it lacks are nil.
type accessor struct {
	name string // canonical
	num  func(subject any) (int64, float64, bool, bool)
	raw  func(subject any) (string, bool)
	low  func(subject any) (string, bool)
	list func(subject any, low bool) []string
	// wide says that the field has characters beyond ASCII.
	wide func(subject any) bool
	// dynamic fields take their kind from the value at hand.
	dynamic, ordered bool
}

type unknownField struct {
	name, of, hint string
	there          []string
}

func (u *unknownField) Error() string {
	return fmt.Sprintf("unknown field %q: %s", u.name, u.of)
}

func (u *unknownField) next() string {
	s := "the fields are " + strings.Join(u.there, " ")
	if u.hint != "" {
		s = "did you mean " + u.hint + "? " + s
	}
	return s
}

func newUnknown(name, of string, there []string) error {
	return &unknownField{name: name, of: of, there: there, hint: document.Nearest(name, there)}
}

type eventSource struct{ t Type }

func (s eventSource) resolve(name string) (accessor, error) {
	low := strings.ToLower(name)
	var there []string
	for id := range catalog {
		f := &catalog[id]
		if f.types&s.t.bit() == 0 {
			continue
		}
		there = append(there, f.name)
		if f.name != low && !slices.Contains(strings.Fields(f.aliases), low) {
			continue
		}
		a := accessor{name: f.name, ordered: f.ordered}
		switch {
		case f.list:
			a.list = func(e any, low bool) []string {
				if low {
					return e.(*Event).lowAncestors
				}
				return e.(*Event).ancestors
			}
		case f.num != nil:
			num := f.num
			a.num = func(e any) (int64, float64, bool, bool) {
				v, ok := num(e.(*Event))
				return v, 0, true, ok
			}
		default:
			a.raw = func(e any) (string, bool) { return e.(*Event).raw[id], true }
			a.low = func(e any) (string, bool) { return e.(*Event).low[id], true }
			a.wide = func(e any) bool { return e.(*Event).wide&(1<<id) != 0 }
		}
		return a, nil
	}
	if key, ok := strings.CutPrefix(low, "data."); ok && s.t == TypeEventLog {
		return accessor{
			name: low,
			raw:  func(e any) (string, bool) { return e.(*Event).data[key], true },
			low:  func(e any) (string, bool) { return e.(*Event).lowData[key], true },
		}, nil
	}
	return accessor{}, newUnknown(name, fmt.Sprintf("rules of type %s do not have it", s.t), there)
}
