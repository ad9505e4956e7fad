package export

import (
	"encoding/json"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/aiedr/edr/wire"
)

type ecsProcess struct {
	PID         int64       `json:"pid,omitempty"`
	EntityID    string      `json:"entity_id,omitempty"`
	Name        string      `json:"name,omitempty"`
	Executable  string      `json:"executable,omitempty"`
	CommandLine string      `json:"command_line,omitempty"`
	Start       *time.Time  `json:"start,omitempty"`
	Directory   string      `json:"working_directory,omitempty"`
	ExitCode    *int64      `json:"exit_code,omitempty"`
	User        *ecsUser    `json:"user,omitempty"`
	Parent      *ecsProcess `json:"parent,omitempty"`
}

type ecsFile struct {
	Path      string   `json:"path,omitempty"`
	Name      string   `json:"name,omitempty"`
	Directory string   `json:"directory,omitempty"`
	Extension string   `json:"extension,omitempty"`
	Size      *int64   `json:"size,omitempty"`
	Inode     string   `json:"inode,omitempty"`
	Mode      string   `json:"mode,omitempty"`
	UID       string   `json:"uid,omitempty"`
	GID       string   `json:"gid,omitempty"`
	Hash      *ecsHash `json:"hash,omitempty"`
}

type ecsHash struct {
	MD5    string `json:"md5,omitempty"`
	SHA1   string `json:"sha1,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

type ecsEndpoint struct {
	Address string `json:"address,omitempty"`
	IP      string `json:"ip,omitempty"`
	Port    int64  `json:"port,omitempty"`
}

type ecsNetwork struct {
	Transport string `json:"transport,omitempty"`
	Type      string `json:"type,omitempty"`
	Direction string `json:"direction,omitempty"`
}

type ecsRegistry struct {
	Key   string        `json:"key,omitempty"`
	Path  string        `json:"path,omitempty"`
	Hive  string        `json:"hive,omitempty"`
	Value string        `json:"value,omitempty"`
	Data  *registryData `json:"data,omitempty"`
}

type registryData struct {
	Strings []string `json:"strings,omitempty"`
	Type    string   `json:"type,omitempty"`
}

// fields reads the columns of an event or row by name.
type fields []wire.Field

func (f fields) value(name string) wire.Value {
	for _, c := range f {
		if c.Name == name {
			return c.Value
		}
	}
	return wire.Value{}
}

func (f fields) text(name string) string { return f.value(name).String() }

// number reads an integer, also one that came as text; ok is false where
// there is none.
func (f fields) number(name string) (n int64, ok bool) {
	v := f.value(name)
	if n, ok := v.Any().(int64); ok {
		return n, true
	}
	n, err := strconv.ParseInt(v.String(), 10, 64)
	return n, err == nil
}

// event maps the columns of one of our event tables.
func (o *ecsDoc) event(table string, f fields) {
	o.Event.Action = f.text("action")
	switch table {
	case "process_events", "bpf_process_events":
		o.Event.Category, o.Event.Type = []string{"process"}, []string{"start"}
		if o.Event.Action == "" {
			o.Event.Action = "exec"
		}
		o.Process = rowProcess(f)
	case "process_exit_events":
		o.Event.Category, o.Event.Type, o.Event.Action = []string{"process"}, []string{"end"}, "exit"
		o.Process = rowProcess(f)
	case "socket_events", "bpf_socket_events", "process_open_sockets", "connections", "listening_ports":
		o.Event.Category, o.Event.Type = []string{"network"}, []string{"connection"}
		o.sockets(f)
	case "file_events", "process_file_events":
		o.Event.Category, o.Event.Type = []string{"file"}, []string{fileType(o.Event.Action)}
		o.File = fileOf(f, "target_path")
		o.Process = &ecsProcess{Name: f.text("process_name"), Executable: f.text("process_path"), CommandLine: f.text("process_cmdline")}
		o.Process.PID, _ = f.number("pid")
	case "registry", "registry_events":
		o.Event.Category, o.Event.Type = []string{"registry"}, []string{registryType(o.Event.Action)}
		o.Registry = registryOf(f)
	default:
		o.Event.Category, o.Event.Type = []string{"intrusion_detection"}, []string{"info"}
		o.plain(f)
	}
}

// plain maps columns whose name says what they are in any query. A name such
// as "path" or "name" does not: it may be a program's or a package's.
func (o *ecsDoc) plain(f fields) {
	o.sockets(f)
	pid, _ := f.number("pid")
	if p := (ecsProcess{PID: max(pid, 0), CommandLine: f.text("cmdline")}); p != (ecsProcess{}) {
		o.Process = &p
	}
	if name := f.text("username"); name != "" {
		o.User = &ecsUser{Name: name}
	}
	if h := hashOf(f); h != nil {
		o.File = fileOf(f, "path")
	}
}

func rowProcess(f fields) *ecsProcess {
	p := &ecsProcess{Name: f.text("name"), Executable: f.text("path"), CommandLine: f.text("cmdline"), Directory: f.text("cwd")}
	p.PID, _ = f.number("pid")
	if uid, ok := f.number("uid"); ok {
		p.User = &ecsUser{ID: strconv.FormatInt(uid, 10)}
	}
	if n, ok := f.number("exit_code"); ok {
		p.ExitCode = &n
	}
	if parent, ok := f.number("parent"); ok {
		p.Parent = &ecsProcess{PID: parent, Name: f.text("parent_name"), Executable: f.text("parent_path"), CommandLine: f.text("parent_cmdline")}
	}
	return p
}

func ecsProcessOf(host string, w *wire.Process) *ecsProcess {
	p := &ecsProcess{PID: w.PID, Name: w.Name, Executable: w.Path, CommandLine: w.Cmdline}
	if w.StartTime != 0 {
		p.EntityID = host + "-" + strconv.FormatInt(w.PID, 10) + "-" + strconv.FormatInt(w.StartTime, 10)
	}
	if t := clampTime(w.Started); !t.IsZero() {
		p.Start = &t
	}
	if w.UID >= 0 || w.User != "" {
		p.User = &ecsUser{Name: w.User}
		if w.UID >= 0 {
			p.User.ID = strconv.FormatInt(w.UID, 10)
		}
	}
	return p
}

func (p *ecsProcess) addParent(host string, h *wire.Hit) {
	switch {
	case len(h.Ancestry) > 0:
		p.Parent = ecsProcessOf(host, &h.Ancestry[0])
	case h.Process.Parent > 0:
		p.Parent = &ecsProcess{PID: h.Process.Parent}
	}
}

func fileType(action string) string {
	switch action {
	case "CREATED", "MOVED_TO":
		return "creation"
	case "DELETED", "MOVED_FROM":
		return "deletion"
	}
	return "change"
}

func registryType(action string) string {
	switch action {
	case "created":
		return "creation"
	case "deleted":
		return "deletion"
	}
	return "change"
}

func hashOf(f fields) *ecsHash {
	h := ecsHash{MD5: f.text("md5"), SHA1: f.text("sha1"), SHA256: f.text("sha256")}
	if h == (ecsHash{}) {
		return nil
	}
	return &h
}

func fileOf(f fields, pathColumn string) *ecsFile {
	p := f.text(pathColumn)
	out := &ecsFile{Path: p, Mode: f.text("mode"), Inode: f.text("inode"), UID: f.text("uid"), GID: f.text("gid"), Hash: hashOf(f)}
	if p != "" {
		slashes := strings.ReplaceAll(p, `\`, "/")
		if strings.HasPrefix(p, "/") {
			slashes = p // a backslash is a character of a name there
		}
		out.Name = path.Base(slashes)
		out.Directory = strings.TrimRight(p[:max(0, len(p)-len(out.Name))], `/\`)
		if ext := path.Ext(out.Name); ext != out.Name {
			out.Extension = strings.TrimPrefix(ext, ".")
		}
	}
	if n, ok := f.number("size"); ok && n >= 0 {
		out.Size = &n
	}
	return out
}

func endpoint(address string, port int64, ok bool) *ecsEndpoint {
	e := ecsEndpoint{Address: address}
	if a, err := netip.ParseAddr(address); err == nil {
		e.IP = a.WithZone("").String()
	}
	if ok && port > 0 && port < 1<<16 {
		e.Port = port
	}
	if e == (ecsEndpoint{}) {
		return nil
	}
	return &e
}

// sockets maps the two ends. Who was called is the destination; where a row
// does not say who called, that is taken to be the local end.
func (o *ecsDoc) sockets(f fields) {
	lp, lok := f.number("local_port")
	rp, rok := f.number("remote_port")
	local, remote := endpoint(f.text("local_address"), lp, lok), endpoint(f.text("remote_address"), rp, rok)
	if local == nil && remote == nil {
		return
	}
	n := ecsNetwork{}
	switch f.text("protocol") {
	case "6":
		n.Transport = "tcp"
	case "17":
		n.Transport = "udp"
	case "1":
		n.Transport = "icmp"
	case "58":
		n.Transport = "ipv6-icmp"
	}
	switch f.text("family") {
	case "2":
		n.Type = "ipv4"
	case "10", "23":
		n.Type = "ipv6"
	}
	o.Source, o.Destination = local, remote
	switch f.text("action") {
	case "connect":
		n.Direction = "egress"
	case "accept":
		n.Direction = "ingress"
		o.Source, o.Destination = remote, local
	case "bind", "listen":
		o.Source, o.Destination = nil, local
	}
	if n != (ecsNetwork{}) {
		o.Network = &n
	}
}

func registryOf(f fields) *ecsRegistry {
	r := &ecsRegistry{Key: f.text("key"), Value: f.text("value")}
	if r.Value == "" {
		r.Value = f.text("name")
	}
	r.Path = strings.TrimRight(r.Key+`\`+r.Value, `\`)
	r.Hive, _, _ = strings.Cut(r.Key, `\`)
	if data, kind := f.text("data"), f.text("data_type"); data != "" || kind != "" {
		r.Data = &registryData{Type: kind}
		if data != "" {
			r.Data.Strings = []string{clipText(data)}
		}
	}
	return r
}

// mostText is the longest value that is put where it is indexed whole: a term
// of Lucene has at most 32,766 bytes, its name included.
const mostText = 8 << 10

func clipText(s string) string {
	if len(s) <= mostText {
		return s
	}
	return strings.ToValidUTF8(s[:mostText], "") + "…"
}

type textField struct{ name, text string }

// textFields is written as one object in its order.
type textFields []textField

// textsOf makes texts of values; NULL is left out. clipped counts what was
// cut. A dot in a name would make an object of it, so it becomes "_".
func textsOf(list []wire.Field) (out textFields, clipped int) {
	used := map[string]bool{}
	for _, f := range list {
		if f.Value.Any() == nil {
			continue
		}
		name := strings.ReplaceAll(f.Name, ".", "_")
		if name == "" {
			name = "_"
		}
		name = clipText(name)
		for base, n := name, 2; used[name]; n++ {
			name = base + "_" + strconv.Itoa(n)
		}
		used[name] = true
		text := f.Value.String()
		short := clipText(text)
		if short != text {
			clipped++
		}
		out = append(out, textField{name, short})
	}
	return out, clipped
}

// MarshalJSON implements json.Marshaler.
func (t textFields) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, f := range t {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(f.name)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(f.text)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), text...)
	}
	return append(out, '}'), nil
}
