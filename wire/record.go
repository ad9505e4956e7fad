package wire

import (
	"encoding/json"
	"time"
)

// Kind says what a Record carries.
type Kind string

// The kinds of record. Each names the type of Record.Body.
const (
	KindHit     Kind = "hit"     // Hit
	KindResult  Kind = "result"  // Result
	KindOutcome Kind = "outcome" // Outcome
	KindHealth  Kind = "health"  // Health
	KindProblem Kind = "problem" // Problem
	KindGap     Kind = "gap"     // Gap
)

// Record is one message of the outbox. The server keeps one of each
// (host key, Outbox, Number, hash of the record's bytes).
type Record struct {
	// Outbox names the outbox's life: a new one is made when the old is
	// lost, so that numbers never mean two things.
	Outbox string `json:"outbox"`
	// Number rises by one from 1.
	Number uint64          `json:"number"`
	Kind   Kind            `json:"kind"`
	Time   time.Time       `json:"time"`
	Body   json.RawMessage `json:"body"`
}

// Gap says which numbers of the outbox were dropped, and why.
type Gap struct {
	From   uint64 `json:"from"`
	To     uint64 `json:"to"` // inclusive
	Reason string `json:"reason"`
}

// Severity grades a hit.
type Severity string

// The severities, from least to most.
const (
	Informational Severity = "informational"
	Low           Severity = "low"
	Medium        Severity = "medium"
	High          Severity = "high"
	Critical      Severity = "critical"
)

// Severities lists them from least to most.
func Severities() []Severity { return []Severity{Informational, Low, Medium, High, Critical} }

// Process is one process as known when an event happened. PID and StartTime
// (nanoseconds since boot) together name it for good.
type Process struct {
	PID       int64  `json:"pid"`
	StartTime int64  `json:"start_time_ns"`
	Parent    int64  `json:"parent"`
	Name      string `json:"name"`
	Path      string `json:"path"`
	Cmdline   string `json:"cmdline"`
	UID       int64  `json:"uid"`
	User      string `json:"user,omitempty"`
	Container string `json:"container_id,omitempty"`
	// Started is the wall-clock time of its start; zero where unknown.
	Started time.Time `json:"started,omitzero"`
}

// Field is one named value of an event.
type Field struct {
	Name  string `json:"name"`
	Value Value  `json:"value"`
}

// RuleRef names the version of a rule or pack query that hit.
type RuleRef struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version string `json:"version"` // hash of the rule's text
	Pack    string `json:"pack,omitempty"`
}

// Hit is one match of a rule or of a pack query.
type Hit struct {
	// ID is stable: the same hit sent again has the same.
	ID          string   `json:"id"`
	Rule        RuleRef  `json:"rule"`
	Severity    Severity `json:"severity"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	// Attack lists ATT&CK technique ids.
	Attack []string  `json:"attack,omitempty"`
	Time   time.Time `json:"time"`
	// Entity is what the hit is about; the same rule and entity again within
	// a window raises the count of an alert.
	Entity string `json:"entity"`
	// Count is how many events this hit stands for, at least 1.
	Count int64 `json:"count"`
	// Table and Event are the event or row that matched.
	Table string  `json:"table"`
	Event []Field `json:"event"`
	// Process did it; Ancestry is its parents from nearest to furthest.
	Process  *Process  `json:"process,omitempty"`
	Ancestry []Process `json:"ancestry,omitempty"`
	// Actions are what the rule asked for and what came of it.
	Actions []ActionState `json:"actions,omitempty"`
}

// ActionState is an action of a hit and what came of it.
type ActionState struct {
	Action string `json:"action"`
	// State is "done", "failed", "refused", "observed" (the policy let nothing happen),
	// "awaiting approval" or "planned".
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
	// Undo takes the action back; nil where nothing can.
	Undo *Undo `json:"undo,omitempty"`
}

// Result is what a scheduled query found: a difference or a snapshot.
type Result struct {
	Query    string    `json:"query"` // the name in logs, such as pack_ir_processes
	Pack     string    `json:"pack,omitempty"`
	Time     time.Time `json:"time"`
	Epoch    uint64    `json:"epoch"`
	Counter  uint64    `json:"counter"`
	Snapshot bool      `json:"snapshot,omitempty"`
	Columns  []string  `json:"columns"`
	// Added is the whole answer of a snapshot, otherwise what is new.
	Added   []Row `json:"added,omitempty"`
	Removed []Row `json:"removed,omitempty"`
	// Decorations are osquery's: names and values added to every result.
	Decorations []Field `json:"decorations,omitempty"`
	// Part and Parts split a result too large for one record.
	Part  int `json:"part,omitempty"`
	Parts int `json:"parts,omitempty"`
}

// Problem is something that did not work on the host and that an operator
// should know: a query that failed, a rule that did not compile, a message
// that was refused.
type Problem struct {
	Time   time.Time `json:"time"`
	Source string    `json:"source"` // such as "pack ir, query processes"
	Error  string    `json:"error"`
	Count  int64     `json:"count"`
}

// Sensor is the state of one sensor, as tables.SensorStatus has it.
type Sensor struct {
	Name      string    `json:"name"`
	Table     string    `json:"table"`
	State     string    `json:"state"`
	Mechanism string    `json:"mechanism"`
	Detail    string    `json:"detail,omitempty"`
	Events    uint64    `json:"events"`
	Lost      uint64    `json:"lost"`
	Gaps      uint64    `json:"gaps"`
	LastEvent time.Time `json:"last_event,omitzero"`
}

// Health is the state of the agent, sent now and then.
type Health struct {
	Time          time.Time `json:"time"`
	Version       string    `json:"version"`
	Uptime        int64     `json:"uptime_s"`
	CPUPercent    float64   `json:"cpu_percent"` // average since the last
	CPULimit      float64   `json:"cpu_limit"`   // of one core
	CaptureCPU    float64   `json:"capture_cpu"` // part of it that capture took
	RSS           int64     `json:"rss_bytes"`
	OutboxRecords uint64    `json:"outbox_records"`
	OutboxDropped uint64    `json:"outbox_dropped"`
	Respond       string    `json:"respond"`
	ConfigSerial  uint64    `json:"config_serial"`
	Sensors       []Sensor  `json:"sensors"`
	Refused       uint64    `json:"refused"` // messages from the server refused
}
