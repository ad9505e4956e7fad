// Package store says what the server keeps, as the server needs it. Each
// database is a folder below and passes the contract suite in storetest.
//
// Every method takes a Scope: the tenant and the groups that the caller may
// see. A row outside it answers ErrNotFound, as if it were not there.
package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aiedr/edr/wire"
)

// ErrNotFound is answered for what is not there, or not in the scope.
var ErrNotFound = errors.New("not found")

// ErrExists is answered where a name or key is taken already.
var ErrExists = errors.New("exists already")

// ErrConflict is answered where the state of a thing does not allow a change.
var ErrConflict = errors.New("its state does not allow this")

// GroupAll is the group that every host is in.
const GroupAll = "all"

// DefaultTenant is the one tenant there is now.
const DefaultTenant = "default"

// Scope is what a caller may see.
type Scope struct {
	Tenant string
	Groups []string
}

// Everything is the scope of the server itself and of operators of all groups.
func Everything() Scope { return Scope{Tenant: DefaultTenant, Groups: []string{GroupAll}} }

// All says whether the scope reaches every host of its tenant.
func (s Scope) All() bool { return slices.Contains(s.Groups, GroupAll) }

// Store is a whole backend.
type Store interface {
	Hosts
	Enrolments
	Intake
	Alerts
	Responses
	Queries
	Users
	Content
	Audit
	Exports
	Groups
	Events
	Upkeep
	ContentEdits
	// Ping says whether the database answers.
	Ping(ctx context.Context) error
	Close() error
}

// Hosts keeps the machines.
type Hosts interface {
	// Enrol adds a host, all or nothing: it takes one use of the token with
	// this hash (ErrNotFound if there is none, it has expired or is used up)
	// and adds the host; with an empty hash the host is pending. A key that is
	// there already is answered as it stands and uses nothing, except that a
	// good token admits a pending host. added says whether anything changed.
	Enrol(ctx context.Context, sc Scope, tokenHash []byte, h Host, now time.Time) (kept Host, added bool, err error)
	// HostByKey finds a host by its key's fingerprint, removed ones too.
	HostByKey(ctx context.Context, sc Scope, fingerprint string) (Host, error)
	Host(ctx context.Context, sc Scope, id string) (Host, error)
	ListHosts(ctx context.Context, sc Scope, f HostFilter) (HostList, error)
	// HostIDs lists the ids of all admitted hosts.
	HostIDs(ctx context.Context, sc Scope) ([]string, error)
	// SetDetails replaces what a host says of itself.
	SetDetails(ctx context.Context, sc Scope, id string, d wire.HostDetails) error
	// AdmitHost ends the waiting of a pending host; ErrConflict if it does not wait.
	AdmitHost(ctx context.Context, sc Scope, id string) error
	// RemoveHost takes a host out of every list and refuses its key for good;
	// what it sent stays.
	RemoveHost(ctx context.Context, sc Scope, id string) error
	// SeeHosts moves the times at which hosts were last heard of.
	SeeHosts(ctx context.Context, sc Scope, seen map[string]Sighting) error
	// NextSerials takes n serials for a host's commands and answers the first:
	// above all before, also after a restart.
	NextSerials(ctx context.Context, sc Scope, id string, n int) (uint64, error)
	// Problems are the newest problems of a host.
	Problems(ctx context.Context, sc Scope, id string, limit int) ([]wire.Problem, error)
	// AddProblem keeps a problem that the server itself saw with a host.
	AddProblem(ctx context.Context, sc Scope, id string, p wire.Problem) error
}

// Enrolments keeps the tokens by which hosts join, hashed.
type Enrolments interface {
	AddEnrolment(ctx context.Context, sc Scope, e Enrolment) error
	ListEnrolments(ctx context.Context, sc Scope) ([]Enrolment, error)
	DeleteEnrolment(ctx context.Context, sc Scope, id string) error
}

// Intake takes what hosts send.
type Intake interface {
	// Receive keeps the records of one post, each (host, outbox, number, hash)
	// once, all in one transaction, and says what changed.
	Receive(ctx context.Context, sc Scope, d Delivery) (Changes, error)
	// Held answers what is kept of an outbox, with the hashes of the numbers
	// from..to.
	Held(ctx context.Context, sc Scope, host, outbox string, from, to uint64) (Held, error)
	ListResults(ctx context.Context, sc Scope, f ResultFilter) ([]Result, error)
	// RaiseAlert keeps an alert of the server's own, such as a cloned host.
	RaiseAlert(ctx context.Context, sc Scope, host string, h wire.Hit) (int64, error)
}

// Alerts keeps hits as alerts.
type Alerts interface {
	ListAlerts(ctx context.Context, sc Scope, f AlertFilter) (AlertList, error)
	Alert(ctx context.Context, sc Scope, id int64) (Alert, error)
	SetAlertStatus(ctx context.Context, sc Scope, id int64, status string) error
}

// Responses keeps what was asked of hosts and what came of it.
type Responses interface {
	AddResponse(ctx context.Context, sc Scope, r Response) error
	Response(ctx context.Context, sc Scope, id string) (Response, error)
	ListResponses(ctx context.Context, sc Scope, f ResponseFilter) ([]Response, error)
	// SetResponseState moves a response from one of the given states; ErrConflict otherwise.
	SetResponseState(ctx context.Context, sc Scope, id, to string, from ...string) error
	// ExpireResponses ends those whose time is over and lists them.
	ExpireResponses(ctx context.Context, sc Scope, now time.Time) ([]Response, error)
	// FailedResponses counts those that failed, were refused or expired since.
	FailedResponses(ctx context.Context, sc Scope, since time.Time) (int, error)
}

// Queries keeps live queries, where they stand on each host, and their rows.
type Queries interface {
	AddQuery(ctx context.Context, sc Scope, q Query, hosts []QueryHost) error
	Query(ctx context.Context, sc Scope, id string) (Query, error)
	ListQueries(ctx context.Context, sc Scope, limit int) ([]Query, error)
	OpenQueries(ctx context.Context, sc Scope) ([]Query, error)
	EndQuery(ctx context.Context, sc Scope, id string, stopped bool) error
	// MoveQueryHosts puts the hosts of a query that are in one of the from
	// states into another: the named ones while the query is open, all of them
	// with an empty list. It answers those moved.
	MoveQueryHosts(ctx context.Context, sc Scope, id string, hosts []string, to string, from ...string) ([]string, error)
	// AddAnswer keeps a part once; fresh is false where it was kept before,
	// the query is unknown or not asked of the host, or has ended.
	AddAnswer(ctx context.Context, sc Scope, host string, a Answer) (part QueryPart, qh QueryHost, fresh bool, err error)
	// QueryParts lists kept parts with rows of sequence above after, in order.
	QueryParts(ctx context.Context, sc Scope, id string, after int64, limit int) ([]QueryPart, error)
}

// Users keeps people, their sessions and tokens.
type Users interface {
	AddUser(ctx context.Context, sc Scope, u User) error
	User(ctx context.Context, sc Scope, name string) (User, error)
	ListUsers(ctx context.Context, sc Scope) ([]User, error)
	// UpdateUser replaces role, classes, password and flags, and ends the
	// person's sessions if endSessions is set.
	UpdateUser(ctx context.Context, sc Scope, u User, endSessions bool) error
	DeleteUser(ctx context.Context, sc Scope, name string) error
	AddSession(ctx context.Context, sc Scope, s Session) error
	// SessionByHash finds a living session and its user.
	SessionByHash(ctx context.Context, sc Scope, hash []byte, now time.Time) (Session, User, error)
	DeleteSession(ctx context.Context, sc Scope, hash []byte) error
	AddToken(ctx context.Context, sc Scope, t Token) error
	// TokenByHash finds an API token and its user.
	TokenByHash(ctx context.Context, sc Scope, hash []byte, now time.Time) (Token, User, error)
}

// Content keeps rules, packs and what was approved.
type Content interface {
	// PutRule keeps a rule's text; where the version differs from the kept
	// one its approval ends. It reports whether anything changed.
	PutRule(ctx context.Context, sc Scope, r Rule) (bool, error)
	ListRules(ctx context.Context, sc Scope) ([]Rule, error)
	Rule(ctx context.Context, sc Scope, id string) (Rule, error)
	EnableRule(ctx context.Context, sc Scope, id string, on bool) error
	// ApproveRule approves exactly this version; ErrConflict if another is kept.
	ApproveRule(ctx context.Context, sc Scope, id, version, by string, at time.Time) error
	UnapproveRule(ctx context.Context, sc Scope, id string) error
	PutPack(ctx context.Context, sc Scope, p Pack) (bool, error)
	ListPacks(ctx context.Context, sc Scope) ([]Pack, error)
	// RetainContent deletes the rules and packs of a source that are not named.
	RetainContent(ctx context.Context, sc Scope, source string, rules, packs []string) error
	// Setting reads a named value, empty if it was never set.
	Setting(ctx context.Context, sc Scope, key string) (string, error)
	SetSetting(ctx context.Context, sc Scope, key, value string) error
}

// Audit keeps what operators did. There is no method to change an entry, and
// the database refuses it too.
type Audit interface {
	AddAudit(ctx context.Context, sc Scope, e AuditEntry) error
	ListAudit(ctx context.Context, sc Scope, before int64, limit int) ([]AuditEntry, error)
}
