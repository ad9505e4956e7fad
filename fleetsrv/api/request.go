package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
)

const (
	cookieName = "edr_session"
	csrfHeader = "X-EDR-CSRF"
	maxBody    = 1 << 20
)

// problem is an error for the caller.
type problem struct {
	status  int
	message string
}

func (p *problem) Error() string { return p.message }

// invalidContent is a text that has problems.
type invalidContent struct{ problems []Problem }

func (e *invalidContent) Error() string {
	for _, p := range e.problems {
		if !p.Warning {
			return fmt.Sprintf("line %d: %s (%s)", p.Line, p.Message, p.Next)
		}
	}
	return "the text has problems"
}

// hard says whether any problem is more than a warning.
func hard(ps []Problem) bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return !p.Warning })
}

func badRequest(format string, args ...any) error {
	return &problem{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// fail answers an error in the one shape that there is.
func (a *API) fail(c *gin.Context, err error) {
	var p *problem
	var wrong *invalidContent
	if errors.As(err, &wrong) {
		c.AbortWithStatusJSON(http.StatusBadRequest, gin.H{"error": gin.H{"code": "invalid_content", "message": wrong.Error(), "problems": wrong.problems}})
		return
	}
	var tooLarge *http.MaxBytesError
	status, message := http.StatusInternalServerError, ""
	switch {
	case errors.As(err, &p):
		status, message = p.status, p.message
	case errors.As(err, &tooLarge):
		status, message = http.StatusRequestEntityTooLarge, fmt.Sprintf("the request's body is larger than %d bytes", tooLarge.Limit)
	case errors.Is(err, store.ErrNotFound):
		status, message = http.StatusNotFound, err.Error()+"; it may have been removed, or lies outside your groups"
	case errors.Is(err, store.ErrExists), errors.Is(err, store.ErrConflict):
		status, message = http.StatusConflict, err.Error()+"; reload and look at its present state"
	case c.Request.Context().Err() != nil:
		c.Abort()
		return
	default:
		a.Log.Error("a request failed", "method", c.Request.Method, "path", c.FullPath(), "err", err)
		message = "the server could not do this; its log has the reason"
	}
	c.AbortWithStatusJSON(status, gin.H{"error": gin.H{"code": statusCodes[status], "message": message}})
}

// guard holds for every route: bounded bodies, bounded time, and no request
// that another site's page made.
func (a *API) guard(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)
	if err := http.NewCrossOriginProtection().Check(c.Request); err != nil {
		a.fail(c, &problem{http.StatusForbidden, "the request comes from a page of another site"})
	}
}

// decode reads a JSON body, strictly.
func decode(c *gin.Context, into any) error {
	if t, _, err := mime.ParseMediaType(c.GetHeader("Content-Type")); err != nil || t != "application/json" {
		return &problem{http.StatusUnsupportedMediaType, "the body must be JSON, with Content-Type: application/json"}
	}
	d := json.NewDecoder(c.Request.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return err
		}
		return badRequest("read the body: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); err != io.EOF {
		return badRequest("read the body: more follows after the JSON object")
	}
	return nil
}

const principalKey = "edr.principal"

func who(c *gin.Context) *auth.Principal {
	p, _ := c.Get(principalKey)
	principal, _ := p.(*auth.Principal)
	return principal
}

// authenticate finds who asks, by API token or session.
func (a *API) authenticate(c *gin.Context) {
	p, err := a.principal(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	if p.CSRF != "" && c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead &&
		!auth.Equal(c.GetHeader(csrfHeader), p.CSRF) {
		a.fail(c, &problem{http.StatusForbidden, "the header " + csrfHeader + " is missing or wrong; read it from /api/v1/me"})
		return
	}
	if p.MustChange && c.FullPath() != "/api/v1/me" && c.FullPath() != "/api/v1/me/password" && c.FullPath() != "/api/v1/logout" {
		a.fail(c, &problem{http.StatusForbidden, "change your password first (POST /api/v1/me/password)"})
		return
	}
	c.Set(principalKey, p)
}

var errLogin = &problem{http.StatusUnauthorized, "log in first, or send an API token that is valid (Authorization: Bearer …)"}

func (a *API) principal(c *gin.Context) (*auth.Principal, error) {
	ctx := c.Request.Context()
	if h := c.GetHeader("Authorization"); h != "" {
		token, ok := strings.CutPrefix(h, "Bearer ")
		if !ok || !strings.HasPrefix(token, auth.TokenPrefix) {
			return nil, errLogin
		}
		_, u, err := a.Store.TokenByHash(ctx, store.Everything(), auth.Hash(token), a.Now())
		if errors.Is(err, store.ErrNotFound) {
			return nil, errLogin
		}
		if err != nil {
			return nil, err
		}
		return auth.PrincipalOf(u), nil
	}
	cookie, err := c.Request.Cookie(cookieName)
	if err != nil || cookie.Value == "" {
		return nil, errLogin
	}
	hash := auth.Hash(cookie.Value)
	s, u, err := a.Store.SessionByHash(ctx, store.Everything(), hash, a.Now())
	if errors.Is(err, store.ErrNotFound) {
		return nil, errLogin
	}
	if err != nil {
		return nil, err
	}
	p := auth.PrincipalOf(u)
	p.CSRF, p.Session = s.CSRF, hash
	return p, nil
}

// need refuses who lacks a right.
func (a *API) need(r auth.Right) gin.HandlerFunc {
	return func(c *gin.Context) {
		if r != "" && !who(c).Can(r) {
			a.fail(c, &problem{http.StatusForbidden, fmt.Sprintf("this needs the right %q, which the role %s has not; ask an administrator", r, who(c).Role)})
		}
	}
}

// wide refuses who may not see all groups: what such a route changes reaches
// beyond any of them.
func (a *API) wide(h func(*gin.Context)) func(*gin.Context) {
	return func(c *gin.Context) {
		if !who(c).Scope.All() {
			a.fail(c, &problem{http.StatusForbidden, "this reaches beyond your groups: ask somebody whose grant is all groups"})
			return
		}
		h(c)
	}
}

// mayGive refuses to touch what reaches groups outside the caller's grant.
func mayGive(c *gin.Context, targets ...[]string) error {
	sc := who(c).Scope
	for _, list := range targets {
		for _, g := range list {
			if !sc.All() && !slices.Contains(sc.Groups, g) {
				return &problem{http.StatusForbidden, fmt.Sprintf("it is given to the group %s, which is not yours; ask somebody whose grant is all groups", g)}
			}
		}
	}
	return nil
}

// audit writes what the caller is about to do; what cannot be written is not done.
func (a *API) audit(c *gin.Context, action, object, detail string) error {
	return a.auditAs(c, who(c).Name, action, object, detail)
}

func (a *API) auditAs(c *gin.Context, name, action, object, detail string) error {
	return a.Store.AddAudit(c.Request.Context(), store.Everything(), store.AuditEntry{
		Time: a.Now(), User: name, Address: c.RemoteIP(), Action: action, Object: object, Detail: detail})
}

// number reads a whole number of the query string within bounds.
func number(c *gin.Context, name string, fallback, low, high int64) (int64, error) {
	s := c.Query(name)
	if s == "" {
		return fallback, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < low {
		return 0, badRequest("%s=%q is no number of %d or more", name, s, low)
	}
	return min(n, high), nil
}

func limit(c *gin.Context, fallback, most int64) (int, error) {
	n, err := number(c, "limit", fallback, 1, most)
	return int(n), err
}

// at is a time for JSON: null where there is none.
func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// many is a list for JSON: never null.
func many[T any](v []T) []T {
	if v == nil {
		return []T{}
	}
	return v
}
