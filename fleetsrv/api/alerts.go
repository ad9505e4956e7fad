package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/live"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

type alertHost struct {
	ID       string `json:"id"`
	Hostname string `json:"hostname"`
	Status   string `json:"status"`
}

// processView is a process with its start as text too: a browser's numbers are
// exact to 2^53 only, which nanoseconds since boot pass after 104 days.
type processView struct {
	wire.Process
	StartText string `json:"start_time_text"`
}

func viewProcess(p *wire.Process) *processView {
	if p == nil {
		return nil
	}
	return &processView{*p, strconv.FormatInt(p.StartTime, 10)}
}

func viewProcesses(ps []wire.Process) []processView {
	out := make([]processView, len(ps))
	for i := range ps {
		out[i] = *viewProcess(&ps[i])
	}
	return out
}

type alertView struct {
	ID          string             `json:"id"`
	Host        alertHost          `json:"host"`
	Rule        wire.RuleRef       `json:"rule"`
	Severity    wire.Severity      `json:"severity"`
	Title       string             `json:"title"`
	Description string             `json:"description"`
	Attack      []string           `json:"attack"`
	Status      string             `json:"status"`
	Count       int64              `json:"count"`
	FirstSeen   *time.Time         `json:"first_seen"`
	LastSeen    *time.Time         `json:"last_seen"`
	Table       string             `json:"table"`
	Entity      string             `json:"entity"`
	Event       []wire.Field       `json:"event"`
	Process     *processView       `json:"process"`
	Ancestry    []processView      `json:"ancestry"`
	Actions     []wire.ActionState `json:"actions"`
	Responses   []responseView     `json:"responses"`
	Assignee    string             `json:"assignee"`
	Verdict     string             `json:"verdict"`
	NotesCount  int                `json:"notes_count"`
	// Withheld says that what the hits show is of data classes that the reader
	// may not see.
	Withheld bool `json:"withheld,omitempty"`
}

// alertHit is one hit of an alert, with the process that an operator may act on.
type alertHit struct {
	ID       string             `json:"id"`
	Time     *time.Time         `json:"time"`
	Count    int64              `json:"count"`
	Title    string             `json:"title"`
	Entity   string             `json:"entity"`
	Event    []wire.Field       `json:"event"`
	Process  *processView       `json:"process"`
	Ancestry []processView      `json:"ancestry"`
	Actions  []wire.ActionState `json:"actions"`
}

func (a *API) alertView(c *gin.Context, v store.Alert) alertView {
	out := a.wholeAlert(v)
	if a.withheld(c, v.Rule) {
		out.Withheld, out.Entity, out.Event, out.Process, out.Ancestry = true, "", []wire.Field{}, nil, []processView{}
	}
	return out
}

func (a *API) wholeAlert(v store.Alert) alertView {
	return alertView{Assignee: v.Assignee, Verdict: v.Verdict, NotesCount: v.Notes,
		ID:   strconv.FormatInt(v.ID, 10),
		Host: alertHost{v.Host, v.Hostname, a.hostStatus(v.HostState, v.Host, v.LastSeenHost)},
		Rule: v.Rule, Severity: v.Severity, Title: v.Title, Description: v.Description, Attack: many(v.Attack), Status: v.Status,
		Count: v.Count, FirstSeen: at(v.FirstSeen), LastSeen: at(v.LastSeen), Table: v.Table, Entity: v.Entity, Event: many(v.Event),
		Process: viewProcess(v.Process), Ancestry: viewProcesses(v.Ancestry), Actions: many(v.Actions), Responses: []responseView{}}
}

func alertID(c *gin.Context, s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 1 {
		return 0, &problem{http.StatusNotFound, "there is no alert " + strconv.Quote(s) + "; an alert's id is a number"}
	}
	return id, nil
}

func (a *API) listAlerts(c *gin.Context) {
	n, err := limit(c, 100, 1000)
	if err != nil {
		a.fail(c, err)
		return
	}
	before, err := number(c, "before", 0, 0, 1<<62)
	if err != nil {
		a.fail(c, err)
		return
	}
	from, err := moment(c, "from")
	if err != nil {
		a.fail(c, err)
		return
	}
	to, err := moment(c, "to")
	if err != nil {
		a.fail(c, err)
		return
	}
	l, err := a.Store.ListAlerts(c.Request.Context(), who(c).Scope, store.AlertFilter{
		Status: c.Query("status"), Severity: c.Query("severity"), Host: c.Query("host"), Text: c.Query("q"), Before: before, Limit: n,
		Assignee: c.Query("assignee"), Rule: c.Query("rule"), Technique: c.Query("technique"), Group: c.Query("group"), From: from, To: to})
	if err != nil {
		a.fail(c, err)
		return
	}
	out := []alertView{}
	for _, v := range l.Alerts {
		out = append(out, a.alertView(c, v))
	}
	counts := map[string]int{}
	for _, s := range wire.Severities() {
		counts[string(s)] = l.Open[string(s)]
	}
	c.JSON(http.StatusOK, gin.H{"alerts": out, "total": l.Total, "counts": counts})
}

func (a *API) getAlert(c *gin.Context) {
	id, err := alertID(c, c.Param("id"))
	if err != nil {
		a.fail(c, err)
		return
	}
	ctx, sc := c.Request.Context(), who(c).Scope
	v, err := a.Store.Alert(ctx, sc, id)
	if err != nil {
		a.fail(c, err)
		return
	}
	view := a.alertView(c, v)
	rs, err := a.Store.ListResponses(ctx, sc, store.ResponseFilter{Alert: id, Limit: 100})
	if err != nil {
		a.fail(c, err)
		return
	}
	for _, r := range rs {
		view.Responses = append(view.Responses, viewResponse(r))
	}
	linkUndone(view.Responses)
	notes, err := a.notes(c, id)
	if err != nil {
		a.fail(c, err)
		return
	}
	hits, total, err := a.alertHits(c, v)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, struct {
		alertView
		Hits  []alertHit `json:"hits"`
		Total int        `json:"hits_total"`
		Notes []noteView `json:"notes"`
	}{view, hits, total, notes})
}

// shownHits is how many hits are shown with an alert.
const shownHits = 50

func (a *API) alertHits(c *gin.Context, v store.Alert) ([]alertHit, int, error) {
	out := []alertHit{}
	kept, total, err := a.Store.AlertHits(c.Request.Context(), who(c).Scope, v.ID, shownHits)
	for _, e := range kept {
		h := e.Hit
		if h == nil || a.withheld(c, h.Rule) {
			continue
		}
		out = append(out, alertHit{ID: eventID(e.EventID), Time: at(e.Time), Count: max(h.Count, 1), Title: h.Title, Entity: h.Entity,
			Event: many(h.Event), Process: viewProcess(h.Process), Ancestry: viewProcesses(h.Ancestry), Actions: many(h.Actions)})
	}
	return out, total, err
}

// patchAlert changes who looks at an alert, and what came of it.
func (a *API) patchAlert(c *gin.Context) {
	var in struct {
		Status   *string `json:"status"`
		Assignee *string `json:"assignee"`
		Verdict  *string `json:"verdict"`
	}
	id, err := alertID(c, c.Param("id"))
	if err == nil {
		err = decode(c, &in)
	}
	if err == nil {
		err = a.checkAlert(c, in.Status, in.Assignee, in.Verdict)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	ctx, sc := c.Request.Context(), who(c).Scope
	v, err := a.Store.Alert(ctx, sc, id)
	for _, part := range []struct {
		name, was string
		to        *string
	}{{"status", v.Status, in.Status}, {"assignee", v.Assignee, in.Assignee}, {"verdict", v.Verdict, in.Verdict}} {
		if err == nil && part.to != nil {
			err = a.audit(c, "set alert "+part.name, c.Param("id"), part.was+" → "+*part.to)
		}
	}
	if err == nil {
		err = a.Store.ChangeAlert(ctx, sc, id, store.AlertChange{Status: in.Status, Assignee: in.Assignee, Verdict: in.Verdict})
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.Bus.Publish(live.Change{Topic: live.TopicAlert, ID: c.Param("id")}, live.Change{Topic: live.TopicHost, ID: v.Host})
	a.getAlert(c)
}

func (a *API) checkAlert(c *gin.Context, status, assignee, verdict *string) error {
	if status == nil && assignee == nil && verdict == nil {
		return badRequest("nothing is to be changed: give status, assignee or verdict")
	}
	if status != nil {
		switch *status {
		case store.AlertOpen, store.AlertAcknowledged, store.AlertClosed:
		default:
			return badRequest("there is no status %q; it is open, acknowledged or closed", *status)
		}
	}
	if verdict != nil {
		switch *verdict {
		case "", store.TruePositive, store.FalsePositive, store.Benign:
		default:
			return badRequest("there is no verdict %q; it is true_positive, false_positive, benign, or empty for none", *verdict)
		}
	}
	if assignee != nil && *assignee != "" {
		if _, err := a.Store.User(c.Request.Context(), store.Everything(), *assignee); errors.Is(err, store.ErrNotFound) {
			return badRequest("there is no person %q; see GET /people", *assignee)
		} else if err != nil {
			return err
		}
	}
	return nil
}
