package rule

import (
	"net/netip"
	"strings"
	"time"
)

// Event is what rules look at, filled by the agent from a sensor's event. It
// belongs to one goroutine.
type Event struct {
	Type Type // Process, Network, File, Registry or EventLog
	Time time.Time
	// ID names the event on this host, such as its eid; ids of hits derive from it.
	ID string
	// Table is the event table it is a row of, such as process_events.
	Table string
	// Action is what happened: "exec" or "exit" for a process; connect,
	// accept, bind, listen or close; CREATED, UPDATED and so on as in file_events.
	Action string
	// Process did it; Ancestors are its parent, the parent's parent and so on.
	Process   Process
	Ancestors []Process
	Network   Network
	File      File
	Registry  Registry
	Log       Log

	ready bool
	raw   [fieldCount]string
	low   [fieldCount]string
	wide  uint64 // a bit for each field with characters beyond ASCII
	// Both spellings of each ancestor's name and path.
	ancestors, lowAncestors []string
	data, lowData           map[string]string
	hour                    int64
	weekday                 int64
}

// Process is a process as known at the time of the event.
type Process struct {
	PID, PPID int64
	// UID is -1 where unknown.
	UID       int64
	StartTime int64 // nanoseconds since boot
	Started   time.Time
	// Name is the base name as the system has it; taken from Path if empty.
	Name      string
	Path      string
	Command   string
	User      string
	CWD       string
	Container string // container id, empty outside one
}

// Network is a connection or a listening socket.
type Network struct {
	Protocol      string // tcp, udp, …
	Direction     string // outbound, inbound, or listen
	LocalAddress  string
	RemoteAddress string
	LocalPort     int64
	RemotePort    int64
}

// File is a changed file.
type File struct {
	Path     string
	OldPath  string // before a move
	Category string
	SHA256   string
	Mode     string
	Size     int64
	UID      int64 // owner
	Inode    int64
}

// Registry is a changed value of the Windows registry.
type Registry struct {
	Key, Value, Data, DataType string
}

// Log is a record of the Windows event log.
type Log struct {
	EventID                  int64
	Channel, Provider, Level string
	Computer, User, Message  string
	Data                     map[string]string // named values of the record
}

// Reset empties the event for the next use and keeps its memory.
func (e *Event) Reset() {
	*e = Event{Ancestors: e.Ancestors[:0], ancestors: e.ancestors[:0], lowAncestors: e.lowAncestors[:0]}
}

// Prepare derives what rules compare: lower-cased texts, times of day. Match
// calls it where that was not done; after a change to the event call Reset.
func (e *Event) Prepare() {
	if e.ready {
		return
	}
	e.ready = true
	if e.Process.Name == "" {
		e.Process.Name = base(e.Process.Path)
	}
	e.hour, e.weekday = int64(e.Time.Hour()), int64(e.Time.Weekday())
	for id := range catalog {
		f := &catalog[id]
		if f.text == nil || f.types&e.Type.bit() == 0 {
			continue
		}
		e.raw[id] = f.text(e)
		e.low[id] = strings.ToLower(e.raw[id])
		if !ascii(e.raw[id]) {
			e.wide |= 1 << id
		}
	}
	for i := range e.Ancestors {
		for _, s := range [2]string{e.Ancestors[i].Name, e.Ancestors[i].Path} {
			if s != "" {
				e.ancestors = append(e.ancestors, s)
				e.lowAncestors = append(e.lowAncestors, strings.ToLower(s))
			}
		}
	}
	if len(e.Log.Data) > 0 {
		e.data, e.lowData = make(map[string]string, len(e.Log.Data)), make(map[string]string, len(e.Log.Data))
		for k, v := range e.Log.Data {
			k = strings.ToLower(k)
			e.data[k], e.lowData[k] = v, strings.ToLower(v)
		}
	}
}

func (e *Event) parent() *Process {
	if len(e.Ancestors) > 0 {
		return &e.Ancestors[0]
	}
	return nil
}

// base is the last part of a path of either system.
func base(path string) string {
	return path[strings.LastIndexAny(path, `/\`)+1:]
}

// scope says how far away an address is.
func scope(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	a = a.Unmap()
	switch {
	case a.IsUnspecified():
		return "unspecified"
	case a.IsLoopback():
		return "loopback"
	case a.IsPrivate():
		return "private"
	case a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast():
		return "link-local"
	case a.IsMulticast():
		return "multicast"
	}
	return "public"
}
