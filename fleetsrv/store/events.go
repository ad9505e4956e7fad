package store

import (
	"context"
	"time"

	"github.com/aiedr/edr/wire"
)

// The kinds of event.
const (
	EventHit    = "hit"
	EventResult = "result"
)

// EventID names a hit or a row of a result.
type EventID struct {
	Kind string
	ID   int64
}

// EventCursor is a place in the order of events: newest first, and of one
// time hits before results, later ones before earlier ones.
type EventCursor struct {
	Time time.Time
	EventID
}

// Event is a hit or one row of a scheduled query's result.
type Event struct {
	EventID
	Time     time.Time
	Received time.Time // zero for results
	Host     string
	Hostname string
	Hit      *wire.Hit
	Alert    int64 // of a hit; 0 for none
	// Result is set for a row of a result; its ID is that of the event.
	Result  *Result
	Handled *Mark
}

// Mark says that a person has dealt with an event.
type Mark struct {
	By   string
	At   time.Time
	Note string
}

// EventFilter narrows a list of events.
type EventFilter struct {
	Host, Group, Kind, Query, Rule, Severity string
	Handled                                  *bool
	From, To                                 time.Time // From ≤ time < To
	Before                                   *EventCursor
	// Classes are the bits of the classes that the reader may see of results.
	Classes int64
	Limit   int
	// Match looks at what no index answers, such as a text anywhere; nil
	// takes all. At most Scan events of each kind are looked at.
	Match func(*Event) bool
	Scan  int
}

// EventPage is a run of events. Next is where to go on, nil at the end; it
// lies behind the last that was looked at, which a filter may have left out.
type EventPage struct {
	Events []Event
	Next   *EventCursor
}

// Note is what a person wrote to an alert.
type Note struct {
	ID   int64
	By   string
	Time time.Time
	Text string
}

// AlertChange changes what is not nil.
type AlertChange struct{ Status, Assignee, Verdict *string }

// The verdicts on an alert; none is empty.
const (
	TruePositive  = "true_positive"
	FalsePositive = "false_positive"
	Benign        = "benign"
)

// Events keeps hits and results as one list, and what people say of them.
type Events interface {
	ListEvents(ctx context.Context, sc Scope, f EventFilter) (EventPage, error)
	Event(ctx context.Context, sc Scope, id EventID, classes int64) (Event, error)
	// MarkEvent says that an event is handled, or with nil that it is not.
	MarkEvent(ctx context.Context, sc Scope, id EventID, m *Mark) error
	// AlertHits are an alert's newest hits, and how many are kept.
	AlertHits(ctx context.Context, sc Scope, alert int64, limit int) ([]Event, int, error)
	ChangeAlert(ctx context.Context, sc Scope, id int64, c AlertChange) error
	AddNote(ctx context.Context, sc Scope, alert int64, n Note) (Note, error)
	// ListNotes lists an alert's notes, the oldest first.
	ListNotes(ctx context.Context, sc Scope, alert int64) ([]Note, error)
}

// Count is how many there are of a thing.
type Count struct {
	ID, Name string
	Count    int64
}

// Trends are figures over a time: of alerts first seen in it.
type Trends struct {
	// Buckets are alerts by severity, Bucket long each, from the beginning on.
	Buckets []map[string]int64
	// Techniques, Rules and Hosts are the most frequent ones.
	Techniques, Rules, Hosts []Count
}

// Pruning asks to delete what is older than a time, at most Limit of it.
type Pruning struct {
	Before time.Time
	// UnsentBefore bounds how long a result that a sink has not been sent is
	// held back; zero holds it back for good.
	UnsentBefore time.Time
	Limit        int
}

// Pruned is what one run deleted. HeldBack counts results that are old enough
// and that a sink has not been sent; More says that the limit stopped it.
type Pruned struct {
	Deleted, HeldBack int64
	More              bool
}

// Upkeep computes figures, and deletes what is old.
type Upkeep interface {
	Trends(ctx context.Context, sc Scope, from time.Time, bucket time.Duration, buckets int) (Trends, error)
	// PruneResults deletes rows of scheduled queries' results.
	PruneResults(ctx context.Context, sc Scope, p Pruning) (Pruned, error)
	// PruneHits deletes hits; their alerts stay.
	PruneHits(ctx context.Context, sc Scope, p Pruning) (Pruned, error)
	// PruneAlerts deletes closed alerts with their notes and hits.
	PruneAlerts(ctx context.Context, sc Scope, p Pruning) (Pruned, error)
	// PruneQueries deletes ended live queries with their rows.
	PruneQueries(ctx context.Context, sc Scope, p Pruning) (Pruned, error)
	// ConfigSerial is the serial of the configuration with this hash; one that
	// is new gets a serial above all before.
	ConfigSerial(ctx context.Context, sc Scope, hash string) (uint64, error)
}

// PackApproval says who approved the actions of exactly this version of a
// pack's query.
type PackApproval struct {
	Pack, Query, Version string
	By                   string
	At                   time.Time
}

// ContentEdits changes rules and packs by hand.
type ContentEdits interface {
	// AddRules adds rules, all or none; ErrExists where an id is taken.
	AddRules(ctx context.Context, sc Scope, rules []Rule) error
	DeleteRule(ctx context.Context, sc Scope, id string) error
	// TargetRule says which groups get a rule, and ends its approval.
	TargetRule(ctx context.Context, sc Scope, id string, groups []string) error
	Pack(ctx context.Context, sc Scope, name string) (Pack, error)
	// AddPacks adds packs, all or none; ErrExists where a name is taken.
	AddPacks(ctx context.Context, sc Scope, packs []Pack) error
	DeletePack(ctx context.Context, sc Scope, name string) error
	EnablePack(ctx context.Context, sc Scope, name string, on bool) error
	// TargetPack says which groups get a pack, and ends all its approvals.
	TargetPack(ctx context.Context, sc Scope, name string, groups []string) error
	ApprovePackQuery(ctx context.Context, sc Scope, a PackApproval) error
	UnapprovePackQuery(ctx context.Context, sc Scope, pack, query string) error
	PackApprovals(ctx context.Context, sc Scope) ([]PackApproval, error)
}

// SettingAlertQuota names the setting of how many alerts that are not closed a
// host may have: what comes beyond is counted in one alert of their own.
const SettingAlertQuota = "alerts_per_host"

// QuotaRule is the rule of the alert that counts hits beyond the quota.
const QuotaRule = "edr_alert_quota"
