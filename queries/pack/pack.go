// Package pack reads query packs: osquery's packs and configuration files as
// they are, the same in YAML, and folders of .sql files with a comment header.
package pack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/aiedr/edr/queries/document"
	"github.com/aiedr/edr/wire"
)

// Problem is something wrong, or with Warning merely worth knowing, in a pack.
type Problem = document.Problem

// Config is what one or more files of packs say.
type Config struct {
	Packs      []*Pack
	Decorators Decorators
}

// Decorators are osquery's: statements whose first row is added to every result.
type Decorators struct {
	Load     []string                   `json:"load,omitempty"`
	Always   []string                   `json:"always,omitempty"`
	Interval map[time.Duration][]string `json:"-"`
}

// Empty says whether there is no decorator.
func (d Decorators) Empty() bool { return len(d.Load)+len(d.Always)+len(d.Interval) == 0 }

// Pack is a list of queries that share conditions on the host.
type Pack struct {
	// Name is empty for a configuration's own schedule, whose queries are
	// known by their bare names.
	Name     string
	Platform string // as osquery tests it; see Runs
	Version  string // least version of osquery; see OsqueryVersion
	Shard    int64  // 1 to 100, the percentage of hosts; 0 all
	// Discovery statements must each have a row, or the pack does not run.
	Discovery []string
	Queries   []*Query

	File string
	Line int
}

// Query is one scheduled statement.
type Query struct {
	Name        string // within the pack
	SQL         string
	Interval    time.Duration // 0: not said
	Snapshot    bool          // report the whole answer, not the difference
	Removed     bool          // report rows that are gone
	Platform    string
	Version     string
	Shard       int64
	Description string
	Value       string
	// Denylist says that a statement during which the agent died is not run
	// again for a day.
	Denylist bool
	// StartupPriority orders the queries that run once at the start; negative: none.
	StartupPriority int64

	// Ours: each added row for which When holds is a hit. With Baseline the
	// rows of the first answer, with which later ones are compared, are not.
	Title          string
	Severity       wire.Severity // empty: no hits
	Attack         []string
	When           string
	Baseline       bool
	Actions        []string
	FalsePositives []string
	References     []string

	File         string
	Line, Column int
}

// LogName is the name of a query in results: pack_PACK_QUERY, or the bare
// name in a configuration's own schedule.
func (p *Pack) LogName(q *Query) string {
	if p.Name == "" {
		return q.Name
	}
	return "pack_" + p.Name + "_" + q.Name
}

// Hits says whether added rows of the query are hits.
func (q *Query) Hits() bool { return q.Severity != "" }

// Hash is the SHA-256 of all that a person would approve of the query.
func (q *Query) Hash() string {
	text, _ := json.Marshal(q.document()) // texts, numbers and lists always encode
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

type queryJSON struct {
	Query           string        `json:"query"`
	Interval        int64         `json:"interval,omitempty"`
	Snapshot        bool          `json:"snapshot,omitempty"`
	Removed         *bool         `json:"removed,omitempty"`
	Platform        string        `json:"platform,omitempty"`
	Version         string        `json:"version,omitempty"`
	Shard           int64         `json:"shard,omitempty"`
	Description     string        `json:"description,omitempty"`
	Value           string        `json:"value,omitempty"`
	Denylist        *bool         `json:"denylist,omitempty"`
	StartupPriority *int64        `json:"startup_priority,omitempty"`
	Title           string        `json:"title,omitempty"`
	Severity        wire.Severity `json:"severity,omitempty"`
	Attack          []string      `json:"attack,omitempty"`
	When            string        `json:"when,omitempty"`
	Baseline        bool          `json:"baseline,omitempty"`
	Actions         []string      `json:"actions,omitempty"`
	FalsePositives  []string      `json:"falsepositives,omitempty"`
	References      []string      `json:"references,omitempty"`
}

func (q *Query) document() queryJSON {
	no := false
	j := queryJSON{
		Query: q.SQL, Interval: int64(q.Interval / time.Second), Snapshot: q.Snapshot, Platform: q.Platform,
		Version: q.Version, Shard: q.Shard, Description: q.Description, Value: q.Value, Title: q.Title,
		Severity: q.Severity, Attack: q.Attack, When: q.When, Baseline: q.Baseline, Actions: q.Actions,
		FalsePositives: q.FalsePositives, References: q.References,
	}
	if !q.Removed {
		j.Removed = &no
	}
	if !q.Denylist {
		j.Denylist = &no
	}
	if q.StartupPriority >= 0 {
		j.StartupPriority = &q.StartupPriority
	}
	return j
}

// MarshalJSON writes the pack in osquery's JSON, with our entries.
func (p *Pack) MarshalJSON() ([]byte, error) {
	queries := make(map[string]queryJSON, len(p.Queries))
	for _, q := range p.Queries {
		queries[q.Name] = q.document()
	}
	return json.Marshal(struct {
		Platform  string               `json:"platform,omitempty"`
		Version   string               `json:"version,omitempty"`
		Shard     int64                `json:"shard,omitempty"`
		Discovery []string             `json:"discovery,omitempty"`
		Queries   map[string]queryJSON `json:"queries"`
	}{p.Platform, p.Version, p.Shard, p.Discovery, queries})
}

// MarshalJSON writes the configuration in osquery's JSON, all packs in it.
func (c *Config) MarshalJSON() ([]byte, error) {
	packs, schedule := map[string]*Pack{}, map[string]queryJSON{}
	var platform string
	for _, p := range c.Packs {
		if p.Name != "" {
			packs[p.Name] = p
			continue
		}
		platform = p.Platform
		for _, q := range p.Queries {
			schedule[q.Name] = q.document()
		}
	}
	var decorators map[string]any
	if !c.Decorators.Empty() {
		interval := map[string][]string{}
		for d, sql := range c.Decorators.Interval {
			interval[strconv.FormatInt(int64(d/time.Second), 10)] = sql
		}
		decorators = map[string]any{"load": c.Decorators.Load, "always": c.Decorators.Always, "interval": interval}
	}
	return json.Marshal(struct {
		Platform   string               `json:"platform,omitempty"`
		Schedule   map[string]queryJSON `json:"schedule,omitempty"`
		Packs      map[string]*Pack     `json:"packs,omitempty"`
		Decorators map[string]any       `json:"decorators,omitempty"`
	}{platform, schedule, packs, decorators})
}
