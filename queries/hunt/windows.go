package hunt

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aiedr/edr/queries/rule"
)

func number(n int64) string { return strconv.FormatInt(n, 10) }

func positive(n int64) string {
	if n <= 0 {
		return ""
	}
	return number(n)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// levels are the names of an event's level, as the event viewer has them; an
// audit has none of its own and shows as information.
var levels = [...]string{"information", "critical", "error", "warning", "information", "verbose"}

func logEvent(r LogRecord) rule.Event {
	ev := rule.Event{Type: rule.TypeEventLog, Time: r.Time.UTC(), ID: r.Record}
	ev.Log = rule.Log{EventID: r.EventID, Channel: r.Channel, Provider: r.Provider, Computer: r.Computer, User: r.User}
	if r.Level >= 0 && r.Level < len(levels) {
		ev.Log.Level = levels[r.Level]
	}
	ev.Log.Data = make(map[string]string, len(r.Data))
	var text strings.Builder
	for _, f := range r.Data {
		if old, ok := ev.Log.Data[f.Name]; ok {
			f.Value = old + "\n" + f.Value
		}
		ev.Log.Data[f.Name] = f.Value
	}
	// The text of a message is in a library of the host that the evidence is
	// without; its values are what tells one event from another.
	for _, f := range r.Data {
		text.WriteString(f.Name + ": " + f.Value + "\n")
	}
	ev.Log.Message = text.String()
	ev.Process.UID = -1
	return ev
}

// derive makes of a record the event that it tells of, if it does.
func derive(r LogRecord) (rule.Event, bool) {
	v := values{r.Data}
	ev := rule.Event{Time: r.Time.UTC(), ID: r.Record}
	ev.Process = rule.Process{UID: -1, PPID: -1}
	ev.Network.LocalPort, ev.Network.RemotePort = -1, -1
	ev.File.Size, ev.File.UID = -1, -1
	sysmon := strings.EqualFold(r.Provider, "Microsoft-Windows-Sysmon")
	security := strings.EqualFold(r.Channel, "Security")
	system := strings.EqualFold(r.Channel, "System")
	switch {
	case sysmon && r.EventID == 1:
		ev.Type, ev.Action = rule.TypeProcess, "exec"
		v.sysmonProcess(&ev)
		ev.Process.Command, ev.Process.CWD = v.get("CommandLine"), v.get("CurrentDirectory")
		ev.Process.PPID = v.int("ParentProcessId")
		ev.Ancestors = []rule.Process{{PID: v.int("ParentProcessId"), UID: -1, Name: base(v.get("ParentImage")), Path: v.get("ParentImage"),
			Command: v.get("ParentCommandLine"), User: v.get("ParentUser")}}
	case security && r.EventID == 4688:
		ev.Type, ev.Action = rule.TypeProcess, "exec"
		path := v.get("NewProcessName")
		user := account(v.get("TargetDomainName"), v.get("TargetUserName"))
		if user == "" {
			user = account(v.get("SubjectDomainName"), v.get("SubjectUserName"))
		}
		ev.Process = rule.Process{PID: v.int("NewProcessId"), PPID: v.int("ProcessId"), UID: -1, Name: base(path), Path: path,
			Command: v.get("CommandLine"), User: user}
		if ev.Process.Command == "" {
			ev.Process.Command = path // the audit of command lines is off by default
		}
		if parent := v.get("ParentProcessName"); parent != "" {
			ev.Ancestors = []rule.Process{{PID: ev.Process.PPID, UID: -1, Name: base(parent), Path: parent}}
		}
	case sysmon && r.EventID == 3:
		ev.Type, ev.Action = rule.TypeNetwork, "connect"
		v.sysmonProcess(&ev)
		ev.Network = rule.Network{Protocol: v.get("Protocol"), Direction: "outbound",
			LocalAddress: v.get("SourceIp"), LocalPort: v.int("SourcePort"),
			RemoteAddress: v.get("DestinationIp"), RemotePort: v.int("DestinationPort")}
		if strings.EqualFold(v.get("Initiated"), "false") {
			// Sysmon's source is who began: here the other side.
			ev.Action, ev.Network.Direction = "accept", "inbound"
			n := &ev.Network
			n.LocalAddress, n.RemoteAddress, n.LocalPort, n.RemotePort = n.RemoteAddress, n.LocalAddress, n.RemotePort, n.LocalPort
		}
	case sysmon && (r.EventID == 11 || r.EventID == 15 || r.EventID == 2):
		ev.Type, ev.Action = rule.TypeFile, "CREATED"
		if r.EventID == 2 {
			ev.Action = "ATTRIBUTES_MODIFIED"
		}
		v.sysmonProcess(&ev)
		ev.File.Path = v.get("TargetFilename")
	case sysmon && (r.EventID == 23 || r.EventID == 26):
		ev.Type, ev.Action = rule.TypeFile, "DELETED"
		v.sysmonProcess(&ev)
		ev.File.Path = v.get("TargetFilename")
	case sysmon && r.EventID >= 12 && r.EventID <= 14:
		ev.Type, ev.Action = rule.TypeRegistry, registryAction(v.get("EventType"))
		v.sysmonProcess(&ev)
		key, name := rootKey(v.get("TargetObject")), ""
		if r.EventID == 13 {
			if i := strings.LastIndexByte(key, '\\'); i >= 0 {
				key, name = key[:i], key[i+1:]
			}
		}
		ev.Registry = rule.Registry{Key: key, Value: name, Data: v.get("Details")}
		if text, ok := strings.CutPrefix(ev.Registry.Data, "DWORD ("); ok {
			if n, err := strconv.ParseUint(strings.TrimSuffix(text, ")"), 0, 32); err == nil {
				ev.Registry.Data, ev.Registry.DataType = strconv.FormatUint(n, 10), "REG_DWORD"
			}
		}
	case security && r.EventID == 4657:
		ev.Type, ev.Action = rule.TypeRegistry, registryAction(v.get("OperationType"))
		path := v.get("ProcessName")
		ev.Process = rule.Process{PID: v.int("ProcessId"), PPID: -1, UID: -1, Name: base(path), Path: path,
			User: account(v.get("SubjectDomainName"), v.get("SubjectUserName"))}
		ev.Registry = rule.Registry{Key: rootKey(v.get("ObjectName")), Value: v.get("ObjectValueName"), Data: v.get("NewValue")}
	case security && r.EventID == 5156:
		ev.Type, ev.Action = rule.TypeNetwork, "connect"
		path := v.get("Application")
		ev.Process = rule.Process{PID: v.int("ProcessID"), PPID: -1, UID: -1, Name: base(path), Path: path}
		ev.Network = rule.Network{Protocol: protocol(v.get("Protocol")), Direction: "outbound",
			LocalAddress: v.get("SourceAddress"), LocalPort: v.int("SourcePort"), RemoteAddress: v.get("DestAddress"), RemotePort: v.int("DestPort")}
		if v.get("Direction") == "%%14592" {
			ev.Action, ev.Network.Direction = "accept", "inbound"
			n := &ev.Network
			n.LocalAddress, n.RemoteAddress, n.LocalPort, n.RemotePort = n.RemoteAddress, n.LocalAddress, n.RemotePort, n.LocalPort
		}
	case system && r.EventID == 7045 || security && r.EventID == 4697:
		ev.Type, ev.Action = rule.TypeProcess, "exec"
		line := v.get("ImagePath")
		if line == "" {
			line = v.get("ServiceFileName")
		}
		path := program(line)
		ev.Process = rule.Process{UID: -1, PPID: -1, Name: exeName(path), Path: path, Command: line, User: v.get("AccountName")}
		ev.Ancestors = []rule.Process{{UID: -1, Name: "services.exe", Path: `C:\Windows\System32\services.exe`}}
	default:
		return ev, false
	}
	return ev, true
}

// registryAction is what Sysmon or the audit says was done, in the words of
// registry_events.
func registryAction(s string) string {
	switch {
	case strings.HasPrefix(s, "Create"), s == "%%1904":
		return "created"
	case strings.HasPrefix(s, "Delete"), s == "%%1906":
		return "deleted"
	}
	return "modified"
}

// values are the data of a record by name, whatever its case.
type values struct{ fields []Field }

func (v values) get(name string) string {
	for _, f := range v.fields {
		if strings.EqualFold(f.Name, name) {
			if f.Value == "-" { // how Windows writes "none"
				return ""
			}
			return f.Value
		}
	}
	return ""
}

// int reads a number, decimal or 0x; -1 where there is none.
func (v values) int(name string) int64 {
	n, err := strconv.ParseInt(v.get(name), 0, 64)
	if err != nil {
		return -1
	}
	return n
}

func (v values) sysmonProcess(ev *rule.Event) {
	path := v.get("Image")
	ev.Process = rule.Process{PID: v.int("ProcessId"), PPID: -1, UID: -1, Name: base(path), Path: path, User: v.get("User")}
}

func account(domain, name string) string {
	if domain == "" || name == "" {
		return name
	}
	return domain + `\` + name
}

func protocol(s string) string {
	switch s {
	case "6":
		return "tcp"
	case "17":
		return "udp"
	}
	return s
}

// rootKey spells the root of a key as the registry table does.
func rootKey(key string) string {
	for _, c := range [...][2]string{
		{`HKLM\`, `HKEY_LOCAL_MACHINE\`}, {`HKU\`, `HKEY_USERS\`}, {`HKCR\`, `HKEY_CLASSES_ROOT\`}, {`HKCU\`, `HKEY_CURRENT_USER\`},
		{`\REGISTRY\MACHINE\`, `HKEY_LOCAL_MACHINE\`}, {`\REGISTRY\USER\`, `HKEY_USERS\`},
	} {
		if len(key) >= len(c[0]) && strings.EqualFold(key[:len(c[0])], c[0]) {
			return c[1] + key[len(c[0]):]
		}
	}
	return key
}

// program is the path that a command line starts with.
func program(line string) string {
	line = strings.TrimSpace(line)
	if rest, ok := strings.CutPrefix(line, `"`); ok {
		path, _, _ := strings.Cut(rest, `"`)
		return path
	}
	if i := strings.Index(strings.ToLower(line), ".exe"); i >= 0 {
		return line[:i+4]
	}
	path, _, _ := strings.Cut(line, " ")
	return path
}
