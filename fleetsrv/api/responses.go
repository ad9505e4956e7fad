package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/command"
	"github.com/aiedr/edr/fleetsrv/live"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

type responseView struct {
	ID        string          `json:"id"`
	Host      string          `json:"host"`
	Action    string          `json:"action"`
	Args      json.RawMessage `json:"args"`
	By        string          `json:"by"`
	Reason    string          `json:"reason"`
	DryRun    bool            `json:"dry_run"`
	Alert     *string         `json:"alert"`
	CreatedAt *time.Time      `json:"created_at"`
	ExpiresAt *time.Time      `json:"expires_at"`
	State     string          `json:"state"`
	Plan      string          `json:"plan"`
	Seen      string          `json:"seen"`
	Error     string          `json:"error"`
	// Undo is a wire.Undo, what takes the action back; null where nothing can.
	Undo json.RawMessage `json:"undo"`
	// UndoneBy is the response that did so; only in lists.
	UndoneBy   *string    `json:"undone_by"`
	FinishedAt *time.Time `json:"finished_at"`
}

func viewResponse(r store.Response) responseView {
	v := responseView{ID: r.ID, Host: r.Host, Action: r.Action, Args: r.Args, By: r.By, Reason: r.Reason, DryRun: r.DryRun,
		CreatedAt: at(r.CreatedAt), ExpiresAt: at(r.ExpiresAt), State: r.State, Plan: r.Plan, Seen: r.Seen, Error: r.Error, Undo: r.Undo, FinishedAt: at(r.FinishedAt)}
	if r.Alert != 0 {
		s := strconv.FormatInt(r.Alert, 10)
		v.Alert = &s
	}
	return v
}

func (a *API) postResponse(c *gin.Context) {
	var in struct {
		Host   string          `json:"host"`
		Action string          `json:"action"`
		Args   json.RawMessage `json:"args"`
		Reason string          `json:"reason"`
		DryRun bool            `json:"dry_run"`
		Alert  json.RawMessage `json:"alert"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	args, err := checkArgs(in.Action, in.Args, in.DryRun)
	if err != nil {
		a.fail(c, err)
		return
	}
	if len(in.Reason) > 2000 {
		a.fail(c, badRequest("the reason is longer than 2000 bytes"))
		return
	}
	ctx, sc, now := c.Request.Context(), who(c).Scope, a.Now()
	h, err := a.Store.Host(ctx, sc, in.Host)
	if err != nil {
		a.fail(c, err)
		return
	}
	if h.State != store.HostAdmitted {
		a.fail(c, &problem{http.StatusConflict, "host " + h.ID + " waits to be admitted: admit it first"})
		return
	}
	alert, err := a.responseAlert(c, in.Alert, in.Host)
	if err != nil {
		a.fail(c, err)
		return
	}
	r := store.Response{ID: auth.ID("r"), Host: in.Host, Action: in.Action, Args: args, By: who(c).Name, Reason: in.Reason, DryRun: in.DryRun,
		Alert: alert, CreatedAt: now, ExpiresAt: now.Add(a.ResponseLife), State: store.ResponsePending}
	if err := a.audit(c, "respond "+in.Action, in.Host, fmt.Sprintf("response %s args %s dry run %v: %s", r.ID, args, in.DryRun, in.Reason)); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.Store.AddResponse(ctx, sc, r); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.SendResponse(r); err != nil {
		a.fail(c, &problem{http.StatusServiceUnavailable, err.Error()})
		return
	}
	a.Bus.Publish(live.Change{Topic: live.TopicResponse, ID: r.ID})
	c.JSON(http.StatusAccepted, viewResponse(r))
}

// responseAlert reads the alert that a response answers: a text or a number,
// of the same host.
func (a *API) responseAlert(c *gin.Context, raw json.RawMessage, host string) (int64, error) {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	if s == "" || s == "null" || s == "0" {
		return 0, nil
	}
	id, err := alertID(c, s)
	if err != nil {
		return 0, err
	}
	al, err := a.Store.Alert(c.Request.Context(), who(c).Scope, id)
	if err != nil {
		return 0, err
	}
	if al.Host != host {
		return 0, badRequest("alert %d is of host %s, not of %s", id, al.Host, host)
	}
	return id, nil
}

// SendResponse queues a response for its host.
func (a *API) SendResponse(r store.Response) error {
	args, err := json.Marshal(wire.Respond{ID: r.ID, Action: r.Action, Args: r.Args, DryRun: r.DryRun, By: r.By, Reason: r.Reason})
	if err != nil {
		return err
	}
	return a.Dispatch.Enqueue(r.Host, command.Item{
		Type: wire.CommandRespond, Ref: r.ID, Expires: r.ExpiresAt,
		Args:  func(time.Time) (json.RawMessage, error) { return args, nil },
		Taken: func() { a.responseMoved(r, store.ResponseSent) },
		Lost: func(why string) {
			a.Log.Warn("a response was not taken by its host", "response", r.ID, "host", r.Host, "why", why)
		},
	})
}

func (a *API) responseMoved(r store.Response, to string) {
	err := a.Store.SetResponseState(contextOfServer(), store.Everything(), r.ID, to, store.ResponsePending)
	if err == nil {
		a.Bus.Publish(live.Change{Topic: live.TopicResponse, ID: r.ID})
	}
}

func (a *API) listResponses(c *gin.Context) {
	n, err := limit(c, 100, 1000)
	if err != nil {
		a.fail(c, err)
		return
	}
	f := store.ResponseFilter{Host: c.Query("host"), Limit: n}
	if s := c.Query("alert"); s != "" {
		if f.Alert, err = alertID(c, s); err != nil {
			a.fail(c, err)
			return
		}
	}
	rs, err := a.Store.ListResponses(c.Request.Context(), who(c).Scope, f)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := []responseView{}
	for _, r := range rs {
		out = append(out, viewResponse(r))
	}
	linkUndone(out)
	c.JSON(http.StatusOK, gin.H{"responses": out})
}

func (a *API) getResponse(c *gin.Context) {
	r, err := a.Store.Response(c.Request.Context(), who(c).Scope, c.Param("id"))
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, viewResponse(r))
}
