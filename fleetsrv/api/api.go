// Package api is the server's HTTP interface for people and scripts: JSON
// under /api/v1, as openapi.json there describes it.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/command"
	"github.com/aiedr/edr/fleetsrv/live"
	"github.com/aiedr/edr/fleetsrv/store"
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
	// Changed gives hosts the new configuration after a rule was switched or approved.
	Changed(ctx context.Context) error
}

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
	Enrol    Enroller
	// EndSessions ends a removed host's sealed sessions.
	EndSessions func(fingerprint string)
	// ResponseLife is how long a response waits for its host.
	ResponseLife time.Duration
	Now          func() time.Time
	Log          *slog.Logger
	Logins       func(ok bool)
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
		{"GET", "/alerts", "", a.listAlerts},
		{"GET", "/alerts/:id", "", a.getAlert},
		{"PATCH", "/alerts/:id", auth.Triage, a.patchAlert},
		{"POST", "/responses", auth.Respond, a.postResponse},
		{"GET", "/responses", "", a.listResponses},
		{"GET", "/responses/:id", "", a.getResponse},
		{"POST", "/queries", auth.Query, a.postQuery},
		{"GET", "/queries", "", a.listQueries},
		{"GET", "/queries/:id", "", a.getQuery},
		{"POST", "/queries/:id/stop", auth.Query, a.stopQuery},
		{"GET", "/queries/:id/rows", "", a.queryRows},
		{"GET", "/queries/:id/stream", "", a.queryStream},
		{"GET", "/queries/:id/export", "", a.queryExport},
		{"GET", "/tables", "", a.listTables},
		{"GET", "/rules", "", a.listRules},
		{"POST", "/rules/:id/approve", auth.Respond, a.approveRule},
		{"DELETE", "/rules/:id/approve", auth.Respond, a.unapproveRule},
		{"PATCH", "/rules/:id", auth.Rules, a.patchRule},
		{"GET", "/packs", "", a.listPacks},
		{"GET", "/results", "", a.listResults},
		{"POST", "/enrolments", auth.Hosts, a.postEnrolment},
		{"GET", "/enrolments", auth.Hosts, a.listEnrolments},
		{"DELETE", "/enrolments/:id", auth.Hosts, a.deleteEnrolment},
		{"GET", "/users", auth.Users, a.listUsers},
		{"POST", "/users", auth.Users, a.postUser},
		{"PATCH", "/users/:name", auth.Users, a.patchUser},
		{"DELETE", "/users/:name", auth.Users, a.deleteUser},
		{"POST", "/users/:name/tokens", auth.Users, a.postToken},
		{"GET", "/audit", auth.Audit, a.listAudit},
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
