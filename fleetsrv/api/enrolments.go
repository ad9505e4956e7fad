package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
)

// Bounds of an enrol token.
const (
	DefaultEnrolLife = 24 * time.Hour
	MaxEnrolLife     = 365 * 24 * time.Hour
	maxEnrolUses     = 1000000
)

func (a *API) postEnrolment(c *gin.Context) {
	var in struct {
		Note    string `json:"note"`
		Expires int64  `json:"expires_in_s"`
		Uses    int    `json:"uses"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	life := DefaultEnrolLife
	if in.Expires != 0 {
		life = time.Duration(in.Expires) * time.Second
	}
	switch {
	case in.Expires < 0 || in.Expires > int64(MaxEnrolLife/time.Second):
		a.fail(c, badRequest("expires_in_s is a number of seconds up to %d", int64(MaxEnrolLife/time.Second)))
		return
	case in.Uses < 0 || in.Uses > maxEnrolUses:
		a.fail(c, badRequest("uses is a number up to %d; 0 means any number of hosts", maxEnrolUses))
		return
	case len(in.Note) > 500:
		a.fail(c, badRequest("the note is longer than 500 bytes"))
		return
	}
	text, secret, err := a.Enrol.EnrolToken()
	if err != nil {
		a.fail(c, err)
		return
	}
	now := a.Now()
	e := store.Enrolment{ID: auth.ID("e"), Hash: auth.Hash(secret), Note: in.Note, By: who(c).Name, CreatedAt: now, ExpiresAt: now.Add(life), Uses: in.Uses}
	if err := a.audit(c, "make enrol token", e.ID, in.Note); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.Store.AddEnrolment(c.Request.Context(), who(c).Scope, e); err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusCreated, gin.H{"id": e.ID, "token": text, "expires_at": at(e.ExpiresAt), "command": a.Enrol.EnrolCommand()})
}

func (a *API) listEnrolments(c *gin.Context) {
	es, err := a.Store.ListEnrolments(c.Request.Context(), who(c).Scope)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := []gin.H{}
	for _, e := range es {
		out = append(out, gin.H{"id": e.ID, "note": e.Note, "by": e.By, "created_at": at(e.CreatedAt), "expires_at": at(e.ExpiresAt),
			"uses": e.Uses, "used": e.Used, "expired": !a.Now().Before(e.ExpiresAt)})
	}
	c.JSON(http.StatusOK, gin.H{"enrolments": out})
}

func (a *API) deleteEnrolment(c *gin.Context) {
	if err := a.audit(c, "delete enrol token", c.Param("id"), ""); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.Store.DeleteEnrolment(c.Request.Context(), who(c).Scope, c.Param("id")); err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"ok": true})
}
