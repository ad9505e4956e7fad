package api

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/upkeep"
)

type me struct {
	Name       string       `json:"name"`
	Role       auth.Role    `json:"role"`
	Rights     []auth.Right `json:"rights"`
	Classes    []string     `json:"classes"`
	Groups     []string     `json:"groups"`
	CSRF       string       `json:"csrf"`
	MustChange bool         `json:"must_change_password,omitempty"`
}

func meOf(p *auth.Principal) me {
	return me{p.Name, p.Role, p.Role.Rights(), many(p.Classes), many(p.Scope.Groups), p.CSRF, p.MustChange}
}

func (a *API) me(c *gin.Context) { c.JSON(http.StatusOK, meOf(who(c))) }

// login begins a session. A wrong name and a wrong password look and last the
// same.
func (a *API) login(c *gin.Context) {
	var in struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if len(in.Name) > 200 {
		a.fail(c, badRequest("the name is too long"))
		return
	}
	name := strings.ToLower(strings.TrimSpace(in.Name))
	if wait := a.throttle.Begin(name, c.RemoteIP()); wait > 0 {
		s := int(math.Ceil(wait.Seconds()))
		c.Header("Retry-After", fmt.Sprint(s))
		a.fail(c, &problem{http.StatusTooManyRequests, fmt.Sprintf("too many failed logins; try again in %d s", s)})
		return
	}
	ctx := c.Request.Context()
	u, err := a.Store.User(ctx, store.Everything(), name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		a.fail(c, err)
		return
	}
	if !auth.VerifyPassword(u.Hash, in.Password) {
		a.Logins(false)
		a.Log.Warn("a login failed", "name", name, "address", c.RemoteIP())
		if err := a.auditAs(c, name, "login failed", "", ""); err != nil {
			a.fail(c, err)
			return
		}
		a.fail(c, &problem{http.StatusUnauthorized, "the name or the password is wrong"})
		return
	}
	a.throttle.Succeed(name, c.RemoteIP())
	a.Logins(true)
	if err := a.auditAs(c, name, "login", "", ""); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.begin(c, u); err != nil {
		a.fail(c, err)
	}
}

// begin makes a session, sets its cookie and answers who it is.
func (a *API) begin(c *gin.Context, u store.User) error {
	secret, now := auth.Secret(), a.Now()
	life, err := upkeep.SessionLife(c.Request.Context(), a.Store)
	if err != nil {
		return err
	}
	s := store.Session{Hash: auth.Hash(secret), User: u.Name, CSRF: auth.Secret(), Address: c.RemoteIP(), CreatedAt: now, ExpiresAt: now.Add(life)}
	if err := a.Store.AddSession(c.Request.Context(), store.Everything(), s); err != nil {
		return err
	}
	u.LastLogin = now
	if err := a.Store.UpdateUser(c.Request.Context(), store.Everything(), u, false); err != nil {
		return err
	}
	http.SetCookie(c.Writer, &http.Cookie{Name: cookieName, Value: secret, Path: "/", MaxAge: int(life / time.Second),
		HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode})
	p := auth.PrincipalOf(u)
	p.CSRF = s.CSRF
	c.JSON(http.StatusOK, meOf(p))
	return nil
}

func (a *API) logout(c *gin.Context) {
	p := who(c)
	if p.Session != nil {
		if err := a.audit(c, "logout", "", ""); err != nil {
			a.fail(c, err)
			return
		}
		if err := a.Store.DeleteSession(c.Request.Context(), store.Everything(), p.Session); err != nil {
			a.fail(c, err)
			return
		}
	}
	http.SetCookie(c.Writer, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode})
	c.JSON(http.StatusOK, gin.H{"ok": true})
}

// changePassword replaces one's own password; every session of the person
// ends, and this one is begun anew.
func (a *API) changePassword(c *gin.Context) {
	var in struct {
		Old string `json:"old"`
		New string `json:"new"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	p, ctx := who(c), c.Request.Context()
	if p.Session == nil {
		a.fail(c, &problem{http.StatusForbidden, "a password is changed from a login, not with an API token"})
		return
	}
	if wait := a.throttle.Begin(p.Name, c.RemoteIP()); wait > 0 {
		a.fail(c, &problem{http.StatusTooManyRequests, "too many wrong passwords; try again later"})
		return
	}
	u, err := a.Store.User(ctx, store.Everything(), p.Name)
	if err != nil {
		a.fail(c, err)
		return
	}
	if !auth.VerifyPassword(u.Hash, in.Old) {
		a.fail(c, &problem{http.StatusForbidden, "the old password is wrong"})
		return
	}
	a.throttle.Succeed(p.Name, c.RemoteIP())
	if err := auth.CheckPassword(p.Name, in.New); err != nil {
		a.fail(c, badRequest("%v", err))
		return
	}
	if err := a.audit(c, "change password", p.Name, ""); err != nil {
		a.fail(c, err)
		return
	}
	if u.Hash, err = auth.HashPassword(in.New); err != nil {
		a.fail(c, err)
		return
	}
	u.MustChange = false
	if err := a.Store.UpdateUser(ctx, store.Everything(), u, true); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.begin(c, u); err != nil {
		a.fail(c, err)
	}
}
