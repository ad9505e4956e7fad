// Package api is the server's HTTP interface for people and scripts: JSON
// under /api/v1, as openapi.json there describes it.
package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/command"
	"github.com/aiedr/edr/fleetsrv/export"
	"github.com/aiedr/edr/fleetsrv/group"
	"github.com/aiedr/edr/fleetsrv/live"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/upkeep"
)

// SQL prepares statements as the agents' engine would, without their data.
type SQL interface {
	// Check answers the data classes that a statement reads, or an error with
	// SQLite's message and place.
	Check(ctx context.Context, sql string) (classes []string, err error)
}

// Content is the rules and packs.
type Content interface {
	Rules(ctx context.Context, sc store.Scope) ([]Rule, error)
	Packs(ctx context.Context, sc store.Scope) ([]Pack, error)
	// ParseRules reads and checks a text of rules, ParsePacks one of packs; name
	// is that of a pack whose text has none. With a problem that is no warning
	// nothing of it is kept.
	ParseRules(text string) ([]store.Rule, []CheckedRule, []Problem)
	ParsePacks(ctx context.Context, name, text string) ([]store.Pack, []CheckedPack, []Problem)
	// CheckSQL prepares one statement and answers the data classes that it reads.
	CheckSQL(ctx context.Context, sql string) ([]string, []Problem)
	// QueryClasses are the data classes of a scheduled query's results, as bits.
	QueryClasses(query string) int64
	// Configured answers the serial of the configuration that a host is to have.
	Configured(host string) (uint64, json.RawMessage)
	// Changed gives hosts their new configurations after content or groups have
	// changed, HostChanged one host after its groups have.
	Changed(ctx context.Context) error
	HostChanged(ctx context.Context, host string) error
}

// Members keeps who is in the groups that go by conditions.
type Members interface {
	Matching(ctx context.Context, sc store.Scope, match *group.Matcher) ([]store.Host, error)
	Refresh(ctx context.Context, g store.Group) error
	Host(ctx context.Context, id string) (bool, error)
}

// Retention says what the deletion of old things did last.
type Retention interface{ LastRun() *upkeep.Run }

// Enroller makes enrol tokens.
type Enroller interface {
	// EnrolToken answers the token's text and its secret, which is kept hashed.
	EnrolToken() (text, secret string, err error)
	// EnrolCommand is what to run on a new host.
	EnrolCommand() string
}

// Options say what the API stands on.
type Options struct {
	Store    store.Store
	Dispatch *command.Dispatcher
	Queries  *live.Queries
	Bus      *live.Bus
	SQL      SQL
	Content  Content
	Members  Members
	Upkeep   Retention
	Enrol    Enroller
	// EndSessions ends a removed host's sealed sessions.
	EndSessions func(fingerprint string)
	// ResponseLife is how long a response waits for its host.
	ResponseLife time.Duration
	Now          func() time.Time
	Log          *slog.Logger
	Logins       func(ok bool)
	// Sinks says how each sink stands; nil without any.
	Sinks func(context.Context) ([]export.State, error)
	// Stopping ends when the server stops: the streams end then.
	Stopping context.Context
}

// API answers requests.
type API struct {
	Options
	throttle *auth.Throttle
	overview overviewCache
	streams  streamCount
}

// New makes an API.
func New(o Options) *API {
	if o.ResponseLife == 0 {
		o.ResponseLife = time.Hour
	}
	if o.Stopping == nil {
		o.Stopping = context.Background()
	}
	if o.Logins == nil {
		o.Logins = func(bool) {}
	}
	return &API{Options: o, throttle: auth.NewThrottle(o.Now), streams: streamCount{open: map[string]int{}}}
}

// route is one entry of the interface; the tests hold it against
// openapi.json.
type route struct {
	method, path string
	right        auth.Right // "" needs none
	handle       func(*gin.Context)
}

// open lists the routes that need no login.
func (a *API) open() []route {
	return []route{
		{"POST", "/login", "", a.login},
		{"GET", "/openapi.json", "", a.openapi},
	}
}

// closed lists the routes that need one, with the right that they need.
func (a *API) closed() []route {
	return []route{
		{"GET", "/me", "", a.me},
		{"POST", "/logout", "", a.logout},
		{"POST", "/me/password", "", a.changePassword},
		{"GET", "/overview", "", a.getOverview},
		{"GET", "/stream", "", a.stream},
		{"GET", "/hosts", "", a.listHosts},
		{"GET", "/hosts/:id", "", a.getHost},
		{"POST", "/hosts/:id/admit", auth.Hosts, a.admitHost},
		{"DELETE", "/hosts/:id", auth.Hosts, a.removeHost},
		{"PATCH", "/hosts/:id", auth.Hosts, a.wide(a.patchHost)},
		{"GET", "/alerts", "", a.listAlerts},
		{"GET", "/alerts/:id", "", a.getAlert},
		{"PATCH", "/alerts/:id", auth.Triage, a.patchAlert},
		{"GET", "/alerts/:id/notes", "", a.listNotes},
		{"POST", "/alerts/:id/notes", auth.Triage, a.postNote},
		{"POST", "/responses", auth.Respond, a.postResponse},
		{"GET", "/responses", "", a.listResponses},
		{"GET", "/responses/:id", "", a.getResponse},
		{"POST", "/queries", auth.Query, a.postQuery},
		{"POST", "/queries/check", auth.Query, a.checkQuery},
		{"GET", "/queries", "", a.listQueries},
		{"GET", "/queries/:id", "", a.getQuery},
		{"POST", "/queries/:id/stop", auth.Query, a.stopQuery},
		{"GET", "/queries/:id/rows", "", a.queryRows},
		{"GET", "/queries/:id/stream", "", a.queryStream},
		{"GET", "/queries/:id/export", "", a.queryExport},
		{"GET", "/tables", "", a.listTables},
		{"GET", "/rules", "", a.listRules},
		{"POST", "/rules", auth.Rules, a.postRules},
		{"POST", "/rules/check", auth.Rules, a.checkRules},
		{"GET", "/rules/schema", "", a.ruleSchema},
		{"GET", "/rules/:id", "", a.getRule},
		{"PUT", "/rules/:id", auth.Rules, a.putRule},
		{"PATCH", "/rules/:id", auth.Rules, a.patchRule},
		{"DELETE", "/rules/:id", auth.Rules, a.deleteRule},
		{"POST", "/rules/:id/approve", auth.Respond, a.approveRule},
		{"DELETE", "/rules/:id/approve", auth.Respond, a.unapproveRule},
		{"GET", "/packs", "", a.listPacks},
		{"POST", "/packs", auth.Rules, a.postPack},
		{"POST", "/packs/check", auth.Rules, a.checkPacks},
		{"POST", "/packs/import", auth.Rules, a.importPacks},
		{"GET", "/packs/:name", "", a.getPack},
		{"PUT", "/packs/:name", auth.Rules, a.putPack},
		{"PATCH", "/packs/:name", auth.Rules, a.patchPack},
		{"DELETE", "/packs/:name", auth.Rules, a.deletePack},
		{"POST", "/packs/:name/queries/:query/approve", auth.Respond, a.approvePackQuery},
		{"DELETE", "/packs/:name/queries/:query/approve", auth.Respond, a.unapprovePackQuery},
		{"GET", "/groups", "", a.listGroups},
		{"POST", "/groups", auth.Hosts, a.wide(a.postGroup)},
		{"POST", "/groups/check", auth.Hosts, a.wide(a.checkGroup)},
		{"GET", "/groups/:name", "", a.getGroup},
		{"PATCH", "/groups/:name", auth.Hosts, a.wide(a.patchGroup)},
		{"DELETE", "/groups/:name", auth.Hosts, a.wide(a.deleteGroup)},
		{"POST", "/groups/:name/hosts", auth.Hosts, a.wide(a.changeMembers)},
		{"GET", "/events", "", a.listEvents},
		{"PATCH", "/events/:id", auth.Triage, a.patchEvent},
		{"GET", "/people", "", a.listPeople},
		{"GET", "/settings", auth.Settings, a.wide(a.getSettings)},
		{"PATCH", "/settings", auth.Settings, a.wide(a.patchSettings)},
		{"GET", "/sinks", auth.Settings, a.wide(a.listSinks)},
		{"GET", "/results", "", a.listResults},
		{"POST", "/enrolments", auth.Hosts, a.wide(a.postEnrolment)},
		{"GET", "/enrolments", auth.Hosts, a.wide(a.listEnrolments)},
		{"DELETE", "/enrolments/:id", auth.Hosts, a.wide(a.deleteEnrolment)},
		{"GET", "/users", auth.Users, a.wide(a.listUsers)},
		{"POST", "/users", auth.Users, a.wide(a.postUser)},
		{"PATCH", "/users/:name", auth.Users, a.wide(a.patchUser)},
		{"DELETE", "/users/:name", auth.Users, a.wide(a.deleteUser)},
		{"POST", "/users/:name/tokens", auth.Users, a.wide(a.postToken)},
		{"GET", "/audit", auth.Audit, a.wide(a.listAudit)},
	}
}

// Mount adds the API to a router.
func (a *API) Mount(r *gin.Engine) {
	g := r.Group("/api/v1", a.guard)
	for _, rt := range a.open() {
		g.Handle(rt.method, rt.path, rt.handle)
	}
	for _, rt := range a.closed() {
		g.Handle(rt.method, rt.path, a.authenticate, a.need(rt.right), rt.handle)
	}
}

// streamCount bounds the open streams of one person.
type streamCount struct {
	mu   sync.Mutex
	open map[string]int
}

const maxStreams = 50

func (s *streamCount) begin(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[name] >= maxStreams {
		return false
	}
	s.open[name]++
	return true
}

func (s *streamCount) end(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[name]--; s.open[name] <= 0 {
		delete(s.open, name)
	}
}

var statusCodes = map[int]string{
	http.StatusBadRequest: "bad_request", http.StatusUnauthorized: "unauthorized", http.StatusForbidden: "forbidden",
	http.StatusNotFound: "not_found", http.StatusConflict: "conflict", http.StatusRequestEntityTooLarge: "too_large",
	http.StatusUnsupportedMediaType: "unsupported_media_type", http.StatusTooManyRequests: "too_many_requests",
	http.StatusInternalServerError: "internal", http.StatusServiceUnavailable: "unavailable",
}
