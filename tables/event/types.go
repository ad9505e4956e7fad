// Package event declares the event tables: views of the event log. Each row
// type is also what a sensor publishes, so that an event has one shape from
// the kernel to the SQL.
package event

import (
	"strconv"
	"time"
)

// Event is a row of an event table as a sensor publishes it.
type Event interface {
	// Table is the event table's name.
	Table() string
	// When is the time at which the event happened.
	When() time.Time
	// Head is the event's common part.
	Head() *Header
}

// Header is what every event has.
type Header struct {
	// Time and TimeNS are set by At; EID by the event log when it is read.
	Time   int64  `col:"time,additional" doc:"Time of the event in seconds since the Unix epoch."`
	EID    string `col:"eid,hidden" doc:"Number of the event in this host's record; it only rises."`
	TimeNS int64  `col:"time_ns,ours,hidden" doc:"Time of the event in nanoseconds since the Unix epoch."`
	Source string `col:"source,ours,hidden" doc:"Mechanism that saw the event: ebpf, audit, connector, fanotify or inotify; poll for a connection or task found by comparing snapshots; restart for a task that changed while no agent ran; rescan for a change found by comparing after the kernel dropped events."`
}

// When is the time at which the event happened.
func (h *Header) When() time.Time { return time.Unix(0, h.TimeNS) }

// At sets the event's time.
func (h *Header) At(t time.Time) { h.TimeNS, h.Time = t.UnixNano(), t.Unix() }

// Head is the part that every event has, for who handles events of any table.
func (h *Header) Head() *Header { return h }

// SetID notes the number that the event log gave the event.
func (h *Header) SetID(id uint64) { h.EID = strconv.FormatUint(id, 10) }

// ID is the number that the event log gave the event; 0 before that.
func (h *Header) ID() uint64 {
	id, _ := strconv.ParseUint(h.EID, 10, 64) // "" and nothing else fails: 0
	return id
}

// Actor is the process that did what an event tells, as known at that time.
// The pair of pid and start time is never used again on a running system.
type Actor struct {
	PID int64 `col:"pid,index" doc:"Process (thread group) ID."`
	// StartTime is task_struct.start_boottime of the group leader.
	StartTime  int64  `col:"start_time_ns,ours" doc:"Start of the process in nanoseconds since boot (task start_boottime); with pid it names the process for good."`
	Path       string `col:"path,index" doc:"Path of the executed file."`
	ParentName string `col:"parent_name,ours" doc:"Name of the parent process at the time, where known."`
	ParentPath string `col:"parent_path,ours" doc:"Path of the parent's executed file, where known."`
	ParentCmd  string `col:"parent_cmdline,ours" doc:"Command line of the parent, where known."`
	CgroupID   uint64 `col:"cgroup_id,ours,hidden" doc:"Inode number of the process's cgroup v2 directory; 0 where unknown."`
	Container  string `col:"container_id,ours" doc:"Container ID from the process's cgroup path, empty outside one."`
}
