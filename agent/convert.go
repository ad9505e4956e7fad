package agent

import (
	"strconv"
	"strings"
	"time"

	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor/proctree"
	"github.com/aiedr/edr/wire"
)

// maxAncestry bounds what a hit tells of a process's ancestors.
const maxAncestry = 16

// processes is what the process tree knows.
type processes interface {
	Lookup(pid, start int64) (proctree.Process, bool)
	Ancestry(pid, start int64) []proctree.Process
}

// converter turns sensor events into what rules look at.
type converter struct {
	tree  processes
	users *userNames
	boot  time.Time // wall-clock time of the machine's boot
}

// fill makes r the rule event of e, and says whether rules look at such events.
func (c *converter) fill(r *rule.Event, e event.Event) bool {
	r.Reset()
	r.Time, r.Table = e.When().Local(), e.Table()
	r.ID = e.Head().EID
	switch e := e.(type) {
	case *event.Exec:
		r.Type, r.Action = rule.TypeProcess, "exec"
		r.Process = rule.Process{PID: e.PID, PPID: e.Parent, UID: e.UID, StartTime: e.StartTime, Started: r.Time,
			Name: baseName(e.Path, e.Name), Path: e.Path, Command: e.Cmdline, CWD: e.CWD, Container: e.Container}
	case *event.Exit:
		r.Type, r.Action = rule.TypeProcess, "exit"
		r.Process = rule.Process{PID: e.PID, PPID: e.Parent, UID: e.UID, StartTime: e.StartTime, Started: c.wall(e.StartTime),
			Name: baseName(e.Path, e.Name), Path: e.Path, Command: e.Cmdline, Container: e.Container}
	case *event.Socket:
		r.Type, r.Action = rule.TypeNetwork, e.Action
		r.Process = rule.Process{PID: e.PID, PPID: e.Parent, UID: e.UID, StartTime: e.StartTime, Started: c.wall(e.StartTime),
			Name: baseName(e.Path, e.Name), Path: e.Path, Command: e.Cmdline, Container: e.Container}
		r.Network = rule.Network{Protocol: protocolName(e.Protocol), Direction: direction(e.Action),
			LocalAddress: e.LocalAddress, RemoteAddress: e.RemoteAddress,
			LocalPort: int64(e.LocalPort), RemotePort: int64(e.RemotePort)}
	case *event.File:
		r.Type, r.Action = rule.TypeFile, e.Action
		r.Process = rule.Process{PID: e.PID, PPID: e.Parent, UID: e.UserID, StartTime: e.StartTime, Started: c.wall(e.StartTime),
			Name: baseName(e.Process, e.Name), Path: e.Process, Command: e.Cmdline}
		r.File = rule.File{Path: e.TargetPath, OldPath: e.OldPath, Category: e.Category, SHA256: e.SHA256,
			Mode: e.Mode, Size: e.Size, UID: e.UID, Inode: e.Inode}
	case *event.Registry:
		r.Type, r.Action = rule.TypeRegistry, e.Action
		r.Process = rule.Process{PID: e.PID, UID: -1, StartTime: e.StartTime, Started: c.wall(e.StartTime), Path: e.Path}
		r.Registry = rule.Registry{Key: e.Key, Value: e.Value, Data: e.Data, DataType: e.DataType}
	default:
		return false
	}
	r.Process.User = c.users.of(r.Process.UID)
	if r.Process.PID > 0 {
		for i, p := range c.tree.Ancestry(r.Process.PID, r.Process.StartTime) {
			if i == maxAncestry {
				break
			}
			r.Ancestors = append(r.Ancestors, c.process(p))
		}
	}
	return true
}

func (c *converter) process(p proctree.Process) rule.Process {
	return rule.Process{PID: p.PID, PPID: p.Parent, UID: p.UID, StartTime: p.Start, Started: c.wall(p.Start),
		Name: baseName(p.Path, p.Name), Path: p.Path, Command: p.Cmdline, User: c.users.of(p.UID), Container: p.Container}
}

func (c *converter) wall(start int64) time.Time {
	if start <= 0 {
		return time.Time{}
	}
	return c.boot.Add(time.Duration(start))
}

// commSize is how much of a name the kernel keeps as comm.
const commSize = 15

// baseName is the name that people and rules know a process by: the kernel's
// comm, which for a script is the script's, or the whole name of the file
// where comm is only its cut-off beginning.
func baseName(path, comm string) string {
	base := path[strings.LastIndexByte(path, '/')+1:]
	if comm == "" || len(comm) == commSize && strings.HasPrefix(base, comm) {
		return base
	}
	return comm
}

func protocolName(n int32) string {
	switch n {
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 0:
		return ""
	}
	return strconv.Itoa(int(n))
}

func direction(action string) string {
	switch action {
	case "connect":
		return "outbound"
	case "accept":
		return "inbound"
	case "listen", "bind":
		return "listen"
	}
	return ""
}

// wireProcess is a process as a hit tells it.
func wireProcess(p rule.Process) wire.Process {
	return wire.Process{PID: p.PID, StartTime: p.StartTime, Parent: p.PPID, Name: p.Name, Path: p.Path,
		Cmdline: p.Command, UID: p.UID, User: p.User, Container: p.Container, Started: p.Started}
}
