package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/live"
	"github.com/aiedr/edr/fleetsrv/store"
)

type noteView struct {
	ID   string     `json:"id"`
	By   string     `json:"by"`
	Time *time.Time `json:"time"`
	Text string     `json:"text"`
}

func viewNote(n store.Note) noteView {
	return noteView{strconv.FormatInt(n.ID, 10), n.By, at(n.Time), n.Text}
}

func (a *API) notes(c *gin.Context, alert int64) ([]noteView, error) {
	list, err := a.Store.ListNotes(c.Request.Context(), who(c).Scope, alert)
	out := []noteView{}
	for _, n := range list {
		out = append(out, viewNote(n))
	}
	return out, err
}

func (a *API) listNotes(c *gin.Context) {
	id, err := alertID(c, c.Param("id"))
	if err == nil {
		_, err = a.Store.Alert(c.Request.Context(), who(c).Scope, id)
	}
	var out []noteView
	if err == nil {
		out, err = a.notes(c, id)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"notes": out})
}

func (a *API) postNote(c *gin.Context) {
	var in struct {
		Text string `json:"text"`
	}
	id, err := alertID(c, c.Param("id"))
	if err == nil {
		err = decode(c, &in)
	}
	switch {
	case err != nil:
	case strings.TrimSpace(in.Text) == "":
		err = badRequest("the field text is empty: write a note")
	case len(in.Text) > maxNote:
		err = badRequest("the note is longer than %d bytes", maxNote)
	}
	ctx, sc := c.Request.Context(), who(c).Scope
	if err == nil {
		_, err = a.Store.Alert(ctx, sc, id)
	}
	if err == nil {
		err = a.audit(c, "add note to alert", c.Param("id"), in.Text)
	}
	var n store.Note
	if err == nil {
		n, err = a.Store.AddNote(ctx, sc, id, store.Note{By: who(c).Name, Time: a.Now(), Text: in.Text})
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.Bus.Publish(live.Change{Topic: live.TopicAlert, ID: c.Param("id")})
	c.JSON(http.StatusCreated, viewNote(n))
}

// listPeople are those that an alert can be assigned to.
func (a *API) listPeople(c *gin.Context) {
	us, err := a.Store.ListUsers(c.Request.Context(), store.Everything())
	if err != nil {
		a.fail(c, err)
		return
	}
	names := []string{}
	for _, u := range us {
		names = append(names, u.Name)
	}
	c.JSON(http.StatusOK, gin.H{"people": names})
}
