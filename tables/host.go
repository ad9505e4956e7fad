package tables

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"time"
)

// Host is what a scan may know of the machine and the agent that it runs in.
// Everything that a scan reads from outside comes through it, so that a test
// can give it a machine of its own making, and nothing imports upwards.
type Host struct {
	// Root is the file system to read: the machine's own, or a made one.
	Root Root
	// Now is the clock.
	Now func() time.Time
	// Log is the event log; nil where no sensor runs, and an event table
	// then answers ErrNoEvents.
	Log EventLog
	// Agent describes the running agent; nil outside one.
	Agent func() AgentInfo
	// Schedule lists what each scheduled query has cost; nil outside an agent.
	Schedule func() []QueryStats
	// Sensors lists the state of each sensor; nil outside an agent.
	Sensors func() []SensorStatus
	// Pacer slows what is costly down to the agent's CPU limit; nil does not.
	Pacer Pacer
	// Kept is what scans keep from one to the next; nil where there is no next.
	Kept *Kept
}

// Pacer holds work back to a budget. Pace returns when the caller may go on,
// or the context's error.
type Pacer interface {
	Pace(ctx context.Context) error
}

// NoEventsError is what an event table answers where nothing records events:
// an error, because no rows would read as "nothing happened".
type NoEventsError struct{ Table string }

func (e *NoEventsError) Error() string {
	return "no events are recorded here for " + e.Table +
		": ask a running agent (same -data, as root) or start one with its sensors on"
}

// EventLog is the record of events that event tables read.
type EventLog interface {
	// Read yields the events of a table between two times, both inclusive, in
	// the order in which they were recorded. A yielded error ends it, except
	// *GapError, which tells of a part that cannot be read. An event's Data is
	// never written to again, so that a reader may keep it.
	Read(ctx context.Context, q EventQuery) iter.Seq2[Event, error]
}

// EventQuery says which events are wanted.
type EventQuery struct {
	Table    string
	From, To time.Time // zero: open
	After    uint64    // only events with a higher number
	UpTo     uint64    // and none with a higher number than this; 0: open
}

// Event is one recorded event: the encoded row of an event table.
type Event struct {
	ID   uint64 // rises by recording order over all tables; the eid column
	Time time.Time
	Data []byte // as tables/event encodes the row
}

// AgentInfo describes the running agent.
type AgentInfo struct {
	UUID       string // of the host, as enrolled
	InstanceID string // of this run
	Version    string
	ConfigHash string
	ConfigOK   bool
	Server     string
	Started    time.Time
	// Outbox is what waits to be sent and what had to be dropped.
	OutboxRecords, OutboxDropped uint64
	// CPULimit is in percent of one core.
	CPULimit float64
	// Respond is how far rules may act: observe, approve or auto.
	Respond string
}

// QueryStats is what a scheduled query has cost. Times are totals over all
// executions unless named Last.
type QueryStats struct {
	Name, SQL          string
	Interval           time.Duration
	Executions         int64
	LastExecuted       time.Time
	Denylisted         bool
	OutputSize         int64 // bytes of results reported
	Rows               int64
	Wall, LastWall     time.Duration
	User, LastUser     time.Duration
	System, LastSystem time.Duration
	Memory, LastMemory int64 // bytes; Memory is the average
	LastError          string
}

// SensorStatus is the state of one sensor, and what it has seen and lost.
type SensorStatus struct {
	Name      string // such as "process"
	Table     string // the event table it fills
	State     string // "running", "degraded", "off" or "failed"
	Mechanism string // what it runs on now, such as "ebpf"
	// Detail says why a better mechanism is not in use, or what failed.
	Detail string
	Events uint64 // published
	Lost   uint64 // known to be lost, from kernel to log
	Gaps   uint64 // how many times
	// LastEvent is when the newest event happened; zero if there was none.
	LastEvent time.Time
	Started   time.Time
}

// Needs answers ErrNotSupported where the running machine itself is to be read
// and is none of the platforms. A root of another machine's files can be read
// on any platform.
func (h *Host) Needs(p Platform) error {
	if h.Root != nil && !h.Root.Live() {
		return nil
	}
	here := map[string]Platform{"linux": Linux, "windows": Windows, "darwin": Darwin}[runtime.GOOS]
	if p&here == 0 {
		return fmt.Errorf("%w: the table is read on %s only, this machine runs %s",
			ErrNotSupported, strings.Join(p.Names(), ", "), runtime.GOOS)
	}
	return nil
}
