package wire

import (
	"encoding/json"
	"time"
)

// CommandType says what a Command asks for and names the type of its Args.
type CommandType string

// The commands.
const (
	CommandConfigure CommandType = "configure" // Configuration
	CommandQuery     CommandType = "query"     // LiveQuery
	CommandCancel    CommandType = "cancel"    // Cancel
	CommandRespond   CommandType = "respond"   // Respond
	CommandRotate    CommandType = "rotate"    // a sealed key set; see seal
)

// Command is what the server asks of one host. Package seal signs it over all
// fields; a host obeys only a command that names it, has not expired, and has
// a serial above all it has seen.
type Command struct {
	Host    string          `json:"host"` // host id
	Serial  uint64          `json:"serial"`
	Nonce   string          `json:"nonce"`
	Type    CommandType     `json:"type"`
	Args    json.RawMessage `json:"args"`
	Issued  time.Time       `json:"issued"`
	Expires time.Time       `json:"expires"`
}

// Configuration is what a host shall watch and ask. It replaces the former one
// whole.
type Configuration struct {
	Serial uint64 `json:"serial"`
	// Packs are SQL packs in osquery's JSON.
	Packs []Document `json:"packs"`
	// Rules are rules in the JSON of the first rule format.
	Rules []Document `json:"rules"`
	// Approvals name the versions of rules whose actions may take effect.
	Approvals []Approval `json:"approvals"`
	// Classes are the data classes that scheduled SQL may read.
	Classes []string `json:"classes"`
	// Settings are set for the groups that the host is in.
	Settings Settings `json:"settings,omitzero"`
}

// Settings are what a server may set of an agent; zero leaves the agent's own.
// How far the agent may act on rules is not among them: only the host's own
// -respond says that.
type Settings struct {
	// Interval is the pace of polling sensors and of queries that name none,
	// in seconds.
	Interval int64 `json:"interval_s,omitempty"`
	// MonitorDirs are the folders that the file sensor watches.
	MonitorDirs []string `json:"monitor_dirs,omitempty"`
	// CPULimit is in percent of one core.
	CPULimit float64 `json:"cpu_limit,omitempty"`
	// RecorderMiB and RecorderHours bound the record of events on the host.
	RecorderMiB   int64 `json:"recorder_mib,omitempty"`
	RecorderHours int64 `json:"recorder_hours,omitempty"`
}

// Document is one named text of detection content.
type Document struct {
	Name string          `json:"name"`
	Text json.RawMessage `json:"text"`
}

// Approval says that a person with the response right allowed a rule's
// actions, for exactly this version of it.
type Approval struct {
	Rule    string    `json:"rule"`
	Version string    `json:"version"`
	By      string    `json:"by"`
	Time    time.Time `json:"time"`
}

// LiveQuery asks a host one statement now.
type LiveQuery struct {
	ID  string `json:"id"`
	SQL string `json:"sql"`
	// Deadline is how long the statement may run.
	Deadline time.Duration `json:"deadline_ns"`
	MaxRows  int           `json:"max_rows"`
	// Classes are the data classes that the asking operator may read.
	Classes []string `json:"classes"`
}

// Cancel ends a live query.
type Cancel struct {
	ID string `json:"id"`
}

// Answer is a part of a live query's answer. Parts are numbered from 1; the
// last has Done set and tells how it went.
type Answer struct {
	Query   string   `json:"query"`
	Part    int      `json:"part"`
	Columns []string `json:"columns,omitempty"`
	Rows    []Row    `json:"rows,omitempty"`
	Done    bool     `json:"done,omitempty"`
	// Error is why there is no whole answer; empty on success.
	Error string `json:"error,omitempty"`
	// Warnings are what could not be read beside the rows.
	Warnings []string `json:"warnings,omitempty"`
	// Truncated says that MaxRows cut the answer off.
	Truncated bool  `json:"truncated,omitempty"`
	Total     int64 `json:"total,omitempty"` // rows in all parts
	WallNS    int64 `json:"wall_ns,omitempty"`
	CPUNS     int64 `json:"cpu_ns,omitempty"`
}

// Respond asks a host to act.
type Respond struct {
	ID     string `json:"id"`
	Action string `json:"action"` // such as "terminate_process"
	// Args are the action's own; see package response.
	Args json.RawMessage `json:"args"`
	// DryRun asks only for the plan.
	DryRun bool   `json:"dry_run,omitempty"`
	By     string `json:"by"` // the operator, for the host's own log
	Reason string `json:"reason,omitempty"`
}

// Outcome is what came of a Respond, or of an action that a rule asked for.
type Outcome struct {
	ID     string    `json:"id"`
	Action string    `json:"action"`
	Time   time.Time `json:"time"`
	// State is "done", "failed", "refused" or "planned".
	State string `json:"state"`
	Plan  string `json:"plan,omitempty"` // what was to be done
	Seen  string `json:"seen,omitempty"` // what was read back afterwards
	Error string `json:"error,omitempty"`
	// Undo is an Undo: what takes the action back, where something can.
	Undo json.RawMessage `json:"undo,omitempty"`
	// Args are, in state "planned", the arguments with what was left out of
	// them filled in: sent as they are, they ask for what was planned.
	Args json.RawMessage `json:"args,omitempty"`
	Hit  string          `json:"hit,omitempty"` // the hit that asked for it
}

// Undo is an action that takes another back.
type Undo struct {
	Action string          `json:"action"` // such as "restore_file"
	Args   json.RawMessage `json:"args"`
}
