package export

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// ECSVersion is the version of the Elastic Common Schema that documents
// follow.
const ECSVersion = "8.11.0"

// ecsDoc is a document in the Elastic Common Schema. What the schema has no
// place for is under edr. A field is absent where the host said nothing: no
// value is made up.
type ecsDoc struct {
	Timestamp   time.Time      `json:"@timestamp"`
	ECS         ecsVersion     `json:"ecs"`
	Message     string         `json:"message,omitempty"`
	Event       ecsEvent       `json:"event"`
	Host        ecsHost        `json:"host"`
	Agent       ecsAgent       `json:"agent"`
	Rule        *ecsRule       `json:"rule,omitempty"`
	Threat      *ecsThreat     `json:"threat,omitempty"`
	Process     *ecsProcess    `json:"process,omitempty"`
	User        *ecsUser       `json:"user,omitempty"`
	File        *ecsFile       `json:"file,omitempty"`
	Source      *ecsEndpoint   `json:"source,omitempty"`
	Destination *ecsEndpoint   `json:"destination,omitempty"`
	Network     *ecsNetwork    `json:"network,omitempty"`
	Registry    *ecsRegistry   `json:"registry,omitempty"`
	Container   *ecsIdentified `json:"container,omitempty"`
	Related     *ecsRelated    `json:"related,omitempty"`
	EDR         ecsOwn         `json:"edr"`
}

type ecsVersion struct {
	Version string `json:"version"`
}

type ecsIdentified struct {
	ID string `json:"id"`
}

type ecsEvent struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Category []string  `json:"category,omitempty"`
	Type     []string  `json:"type,omitempty"`
	Action   string    `json:"action,omitempty"`
	Outcome  string    `json:"outcome,omitempty"`
	Module   string    `json:"module"`
	Dataset  string    `json:"dataset"`
	Provider string    `json:"provider,omitempty"`
	Severity int       `json:"severity,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Ingested time.Time `json:"ingested"`
}

type ecsHost struct {
	ID           string `json:"id"`
	Name         string `json:"name,omitempty"`
	Hostname     string `json:"hostname,omitempty"`
	Architecture string `json:"architecture,omitempty"`
	OS           *ecsOS `json:"os,omitempty"`
}

type ecsOS struct {
	Full     string `json:"full,omitempty"`
	Kernel   string `json:"kernel,omitempty"`
	Platform string `json:"platform,omitempty"`
	Type     string `json:"type,omitempty"`
}

type ecsAgent struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Version string `json:"version,omitempty"`
}

type ecsRule struct {
	ID          string `json:"id"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
	Ruleset     string `json:"ruleset,omitempty"`
	Version     string `json:"version,omitempty"`
}

type ecsThreat struct {
	Framework string        `json:"framework"`
	Tactic    *ecsIDs       `json:"tactic,omitempty"`
	Technique *ecsTechnique `json:"technique,omitempty"`
}

type ecsIDs struct {
	ID []string `json:"id"`
}

type ecsTechnique struct {
	ID           []string `json:"id"`
	Subtechnique *ecsIDs  `json:"subtechnique,omitempty"`
}

type ecsUser struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

type ecsRelated struct {
	Hosts []string `json:"hosts,omitempty"`
	User  []string `json:"user,omitempty"`
	IP    []string `json:"ip,omitempty"`
	Hash  []string `json:"hash,omitempty"`
}

// ecsOwn is what the schema has no place for.
type ecsOwn struct {
	Kind     wire.Kind     `json:"kind"`
	Severity wire.Severity `json:"severity,omitempty"`
	Entity   string        `json:"entity,omitempty"`
	Table    string        `json:"table,omitempty"`
	Count    int64         `json:"count,omitempty"`
	HitID    string        `json:"hit_id,omitempty"`
	// Attack are references that are no tactic or technique of ATT&CK.
	Attack   []string    `json:"attack,omitempty"`
	Query    string      `json:"query,omitempty"`
	Pack     string      `json:"pack,omitempty"`
	Epoch    uint64      `json:"epoch,omitempty"`
	Counter  uint64      `json:"counter,omitempty"`
	Response string      `json:"response,omitempty"`
	Plan     string      `json:"plan,omitempty"`
	Seen     string      `json:"seen,omitempty"`
	Actions  []ecsAction `json:"actions,omitempty"`
	// Ancestry is the command lines of the process's parents, the nearest first.
	Ancestry []string `json:"ancestry,omitempty"`
	// Columns are the event or row as texts, one object that is searched as
	// one field, so that two queries whose columns differ in type do not clash.
	Columns textFields `json:"columns,omitempty"`
	// Clipped counts values of Columns that were too long to be indexed.
	Clipped int `json:"clipped,omitempty"`
}

type ecsAction struct {
	Action string `json:"action"`
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
}

// ecsOf maps a document of the journal.
func ecsOf(d *store.ExportDocument) *ecsDoc {
	out := &ecsDoc{Timestamp: timeOf(d), ECS: ecsVersion{ECSVersion}, Host: ecsHostOf(d), Agent: ecsAgent{d.Host, "edr", d.Details.AgentVersion},
		Event: ecsEvent{ID: d.ID, Module: "edr", Dataset: "edr." + string(d.Kind), Ingested: d.Received.UTC()}, EDR: ecsOwn{Kind: d.Kind}}
	switch {
	case d.Hit != nil:
		out.hit(d.Host, d.Hit)
	case d.Outcome != nil:
		out.outcome(d.Outcome)
	case d.Row != nil:
		out.row(d.Row)
	}
	out.relate()
	return out
}

func ecsHostOf(d *store.ExportDocument) ecsHost {
	h := ecsHost{ID: d.Host, Name: d.Details.Hostname, Hostname: d.Details.Hostname, Architecture: d.Details.Arch}
	os := ecsOS{Full: d.Details.OS, Kernel: d.Details.Kernel, Platform: d.Details.Platform}
	switch d.Details.Platform {
	case "linux", "windows":
		os.Type = d.Details.Platform
	case "darwin":
		os.Type = "macos"
	}
	if os != (ecsOS{}) {
		h.OS = &os
	}
	return h
}

// severities are numbers as Elastic's own rules use them.
func severityNumber(s wire.Severity) int {
	switch s {
	case wire.Informational:
		return 1
	case wire.Low:
		return 21
	case wire.Medium:
		return 47
	case wire.High:
		return 73
	case wire.Critical:
		return 99
	}
	return 0
}

func (o *ecsDoc) hit(host string, h *wire.Hit) {
	o.Message = h.Title
	o.Event.Kind, o.Event.Provider, o.Event.Severity = "alert", h.Table, severityNumber(h.Severity)
	o.Rule = &ecsRule{ID: h.Rule.ID, Name: h.Rule.Name, Description: h.Description, Ruleset: h.Rule.Pack, Version: h.Rule.Version}
	o.Threat, o.EDR.Attack = ecsThreatOf(h.Attack)
	o.EDR.Severity, o.EDR.Entity, o.EDR.Table, o.EDR.Count, o.EDR.HitID = h.Severity, h.Entity, h.Table, h.Count, h.ID
	for _, a := range h.Actions {
		o.EDR.Actions = append(o.EDR.Actions, ecsAction{a.Action, a.State, a.Detail})
	}
	for _, p := range h.Ancestry {
		o.EDR.Ancestry = append(o.EDR.Ancestry, cmdline(p))
	}
	o.EDR.Columns, o.EDR.Clipped = textsOf(h.Event)
	o.event(h.Table, fields(h.Event))
	if h.Process != nil {
		o.Process = ecsProcessOf(host, h.Process)
		o.Process.addParent(host, h)
		o.User = o.Process.User
		if h.Process.Container != "" {
			o.Container = &ecsIdentified{h.Process.Container}
		}
	}
}

func cmdline(p wire.Process) string {
	for _, s := range []string{p.Cmdline, p.Path} {
		if s != "" {
			return s
		}
	}
	return p.Name
}

func (o *ecsDoc) outcome(c *wire.Outcome) {
	o.Message = c.Action + ": " + c.State
	o.Event.Kind, o.Event.Action, o.Event.Provider = "event", c.Action, "response"
	o.Event.Category, o.Event.Type = []string{"host"}, []string{"change"}
	switch c.State {
	case "done":
		o.Event.Outcome = "success"
	case "failed", "refused":
		o.Event.Outcome = "failure"
	default:
		o.Event.Outcome = "unknown"
	}
	o.Event.Reason = c.Error
	o.EDR.Response, o.EDR.HitID, o.EDR.Plan, o.EDR.Seen = c.ID, c.Hit, c.Plan, c.Seen
	o.EDR.Actions = []ecsAction{{c.Action, c.State, c.Error}}
}

func (o *ecsDoc) row(r *store.ExportRow) {
	o.Message = r.Query + ": " + r.Action
	o.Event.Kind, o.Event.Action, o.Event.Provider = "event", r.Action, "query"
	if r.Action == "snapshot" {
		o.Event.Kind = "state"
	}
	o.Event.Category, o.Event.Type = []string{"host"}, []string{"info"}
	f := fieldsOf(r.Columns, r.Values)
	o.EDR.Query, o.EDR.Pack, o.EDR.Epoch, o.EDR.Counter = r.Query, r.Pack, r.Epoch, r.Counter
	o.EDR.Columns, o.EDR.Clipped = textsOf(f)
	o.plain(fields(f))
}

var (
	technique = regexp.MustCompile(`^T\d{4}$`)
	subtech   = regexp.MustCompile(`^(T\d{4})\.\d{3}$`)
	tactic    = regexp.MustCompile(`^TA\d{4}$`)
)

// ecsThreatOf sorts references into techniques, subtechniques and tactics; a
// subtechnique stands under its technique too. rest is what is none of them.
func ecsThreatOf(attack []string) (t *ecsThreat, rest []string) {
	var tactics, techniques, subs []string
	add := func(list *[]string, id string) {
		if !slices.Contains(*list, id) {
			*list = append(*list, id)
		}
	}
	for _, a := range attack {
		id := strings.ToUpper(strings.TrimPrefix(strings.ToLower(a), "attack."))
		switch {
		case technique.MatchString(id):
			add(&techniques, id)
		case subtech.MatchString(id):
			add(&techniques, id[:5])
			add(&subs, id)
		case tactic.MatchString(id):
			add(&tactics, id)
		default:
			rest = append(rest, a)
		}
	}
	if techniques == nil && tactics == nil {
		return nil, rest
	}
	t = &ecsThreat{Framework: "MITRE ATT&CK"}
	if tactics != nil {
		t.Tactic = &ecsIDs{tactics}
	}
	if techniques != nil {
		t.Technique = &ecsTechnique{ID: techniques}
		if subs != nil {
			t.Technique.Subtechnique = &ecsIDs{subs}
		}
	}
	return t, rest
}

// relate gathers what an analyst pivots by.
func (o *ecsDoc) relate() {
	var r ecsRelated
	add := func(list *[]string, s string) {
		if s != "" && !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
	add(&r.Hosts, o.Host.Name)
	if o.User != nil {
		add(&r.User, o.User.Name)
	}
	for _, e := range []*ecsEndpoint{o.Source, o.Destination} {
		if e != nil {
			add(&r.IP, e.IP)
		}
	}
	if o.File != nil && o.File.Hash != nil {
		for _, h := range []string{o.File.Hash.SHA256, o.File.Hash.SHA1, o.File.Hash.MD5} {
			add(&r.Hash, h)
		}
	}
	if r.Hosts != nil || r.User != nil || r.IP != nil || r.Hash != nil {
		o.Related = &r
	}
}
