package store

import (
	"encoding/json"
	"time"

	"github.com/aiedr/edr/wire"
)

// The states of a host.
const (
	HostAdmitted = "admitted"
	HostPending  = "pending" // waits for an operator to admit it
	HostRemoved  = "removed"
)

// Host is one enrolled machine; it is its key.
type Host struct {
	ID          string
	State       string // HostAdmitted, HostPending or HostRemoved
	Details     wire.HostDetails
	Address     string // of its last connection
	PublicKey   []byte
	Fingerprint string
	Enrolment   string // id of the token it joined by; empty without one
	EnrolledAt  time.Time
	LastSeen    time.Time
	Labels      []string
	Groups      []string
	Health      *wire.Health
	OpenAlerts  int
}

// HostFilter narrows a list of hosts.
type HostFilter struct {
	Text   string
	Group  string
	Label  string
	Status string // "online", "offline", "pending" or empty
	// Online is the time since which a host must have been heard of.
	Online time.Time
	Limit  int
	Offset int
}

// HostList is a page of hosts; Total counts all that match, the counts
// those that match but for the status.
type HostList struct {
	Hosts                           []Host
	Total, Online, Offline, Waiting int
}

// Sighting is a sign of life.
type Sighting struct {
	Time    time.Time
	Address string
}

// Enrolment is a token by which hosts may join.
type Enrolment struct {
	ID        string
	Hash      []byte
	Note      string
	By        string
	CreatedAt time.Time
	ExpiresAt time.Time
	Uses      int // how many may join; 0 means any number
	Used      int
}

// Delivery is what one post brings.
type Delivery struct {
	Host   string
	Outbox string
	Items  []Item
	// Contiguous is up to where every number is kept or declared dropped.
	Contiguous uint64
	Gaps       []wire.Gap
	Time       time.Time
}

// Held is what is kept of an outbox.
type Held struct {
	// Known says whether the outbox was seen before, Others whether another was.
	Known, Others bool
	Contiguous    uint64
	Hashes        map[uint64][][]byte
}

// Item is one received record, decoded as far as the store needs it.
type Item struct {
	Number  uint64
	Hash    []byte
	Kind    wire.Kind
	Time    time.Time
	Hit     *wire.Hit
	Result  *ResultBatch
	Outcome *wire.Outcome
	Health  *wire.Health
	Problem *wire.Problem
	// Conflict marks a record whose number was kept with another hash.
	Conflict bool
}

// ResultBatch is a result whose rows stay as they came: JSON lists of values.
type ResultBatch struct {
	Query    string
	Pack     string
	Time     time.Time
	Epoch    uint64
	Counter  uint64
	Snapshot bool
	Columns  []string
	Added    []json.RawMessage
	Removed  []json.RawMessage
	// Classes are the data classes of the query, as bits of auth.Mask.
	Classes int64
}

// Changes says what a Receive changed.
type Changes struct {
	Kept, Duplicates, Conflicts int
	Alerts                      []int64  // new, or with a raised count
	Responses                   []string // whose state moved
	Health                      bool
	Version                     bool // the agent's version is another than before
	Rows                        int
}

// Result is one row of a scheduled query's result.
type Result struct {
	ID       int64
	Host     string
	Hostname string
	Query    string
	Time     time.Time
	Action   string // added, removed or snapshot
	Columns  []string
	Values   json.RawMessage // list of wire.Value
}

// ResultFilter narrows a list of results.
type ResultFilter struct {
	Query, Host string
	Before      int64 // only ids below; 0 for all
	Classes     int64 // bits of the classes that the reader may see
	Limit       int
}

// The states of an alert.
const (
	AlertOpen         = "open"
	AlertAcknowledged = "acknowledged"
	AlertClosed       = "closed"
)

// AlertWindow is how long after its last hit an alert of the same host, rule
// and entity is raised again instead of a new one being made.
const AlertWindow = time.Hour

// Alert is one or more hits of the same host, rule and entity.
type Alert struct {
	ID           int64
	Host         string
	Hostname     string
	LastSeenHost time.Time // when the host was last heard of
	HostState    string
	HitID        string // of the newest hit
	Rule         wire.RuleRef
	Severity     wire.Severity
	Title        string
	Description  string
	Attack       []string
	Status       string
	Count        int64
	FirstSeen    time.Time
	LastSeen     time.Time
	Table        string
	Entity       string
	Event        []wire.Field
	Process      *wire.Process
	Ancestry     []wire.Process
	Actions      []wire.ActionState
	Assignee     string // empty for nobody
	Verdict      string
	Notes        int
}

// AlertFilter narrows a list of alerts, newest first.
type AlertFilter struct {
	Status, Severity, Host, Text string
	Assignee, Rule, Technique    string
	Group                        string
	From, To                     time.Time // of the last hit; From ≤ time < To
	Before                       int64
	Limit                        int
}

// AlertList is a page of alerts; Open counts the open ones by severity.
type AlertList struct {
	Alerts []Alert
	Total  int
	Open   map[string]int
}

// The states of a response.
const (
	ResponsePending = "pending"
	ResponseSent    = "sent"
	ResponseDone    = "done"
	ResponseFailed  = "failed"
	ResponseRefused = "refused"
	ResponsePlanned = "planned"
	ResponseExpired = "expired"
)

// Response is what was asked of a host and what came of it.
type Response struct {
	ID                string
	Host              string
	Action            string
	Args              json.RawMessage
	By                string
	Reason            string
	DryRun            bool
	Alert             int64 // 0 for none
	CreatedAt         time.Time
	ExpiresAt         time.Time
	State             string
	Plan, Seen, Error string
	Undo              json.RawMessage
	FinishedAt        time.Time
}

// ResponseFilter narrows a list of responses, newest first.
type ResponseFilter struct {
	Host   string
	Alert  int64
	States []string
	Limit  int
}

// The states of a live query on one host.
const (
	QueryPending = "pending"
	QuerySent    = "sent"
	QueryRows    = "rows"
	QueryNone    = "none"
	QueryError   = "error"
	QueryOffline = "offline"
	QueryExpired = "expired"
	QueryStopped = "stopped"
)

// Query is a live query.
type Query struct {
	ID         string
	SQL        string
	By         string
	CreatedAt  time.Time
	DeadlineAt time.Time
	MaxRows    int
	Classes    []string
	// ByClasses are the data classes of the person that asked.
	ByClasses []string
	Done      bool
	Stopped   bool
	Columns   []string
	Rows      int64
	Hosts     []QueryHost // nil in lists
	Counts    map[string]int
}

// QueryHost is where a live query stands on one host.
type QueryHost struct {
	Host, Hostname string
	State          string
	Rows           int64
	Error          string
	Warnings       []string
	Truncated      bool
	WallNS, CPUNS  int64
}

// Answer is a part of an answer whose rows stay as they came.
type Answer struct {
	Query     string            `json:"query"`
	Part      int               `json:"part"`
	Columns   []string          `json:"columns"`
	Rows      []json.RawMessage `json:"rows"`
	Done      bool              `json:"done"`
	Error     string            `json:"error"`
	Warnings  []string          `json:"warnings"`
	Truncated bool              `json:"truncated"`
	Total     int64             `json:"total"`
	WallNS    int64             `json:"wall_ns"`
	CPUNS     int64             `json:"cpu_ns"`
}

// QueryPart is a kept part: its rows have the sequences First, First+1 ….
type QueryPart struct {
	First          int64
	Host, Hostname string
	Columns        []string
	Rows           []json.RawMessage
}

// User is a person.
type User struct {
	Name       string
	Hash       string // of the password
	Role       string
	Classes    []string
	Groups     []string
	MustChange bool
	CreatedAt  time.Time
	LastLogin  time.Time
	Tokens     int
}

// Session is a browser's login.
type Session struct {
	Hash      []byte
	User      string
	CSRF      string
	Address   string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Token is a script's login.
type Token struct {
	Hash      []byte
	User      string
	Note      string
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
}

// Sources of content.
const (
	Builtin = "builtin"
	Local   = "local"   // of the server's folder
	Console = "console" // made and edited by people
)

// Rule is one rule's text and what was decided about it.
type Rule struct {
	ID         string
	Source     string
	Text       json.RawMessage
	Version    string
	Enabled    bool
	ApprovedBy string
	ApprovedAt time.Time
	// Targets are the groups that get it; nil is all.
	Targets []string
	// Written is the text as a person typed it; empty where it came from elsewhere.
	Written string
}

// Pack is one pack's text.
type Pack struct {
	Name     string
	Source   string
	Text     json.RawMessage
	Disabled bool
	Targets  []string // as those of a Rule
	Written  string
}

// AuditEntry is one act of an operator.
type AuditEntry struct {
	ID      int64
	Time    time.Time
	User    string
	Address string
	Action  string
	Object  string
	Detail  string
}
