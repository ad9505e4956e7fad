package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

type markView struct {
	By   string     `json:"by"`
	Time *time.Time `json:"time"`
	Note string     `json:"note"`
}

type eventView struct {
	ID       string          `json:"id"`
	Kind     string          `json:"kind"`
	Time     *time.Time      `json:"time"`
	Received *time.Time      `json:"received"`
	Host     gin.H           `json:"host"`
	Title    string          `json:"title"`
	Severity string          `json:"severity"`
	Query    string          `json:"query"`
	Rule     *wire.RuleRef   `json:"rule"`
	Alert    string          `json:"alert"`
	Action   string          `json:"action"`
	Table    string          `json:"table"`
	Entity   string          `json:"entity"`
	Values   json.RawMessage `json:"values"`
	// Withheld says that the values are of data classes that the reader may not see.
	Withheld bool         `json:"withheld,omitempty"`
	Process  *processView `json:"process"`
	Attack   []string     `json:"attack"`
	Handled  *markView    `json:"handled"`
}

func eventID(id store.EventID) string { return id.Kind[:1] + strconv.FormatInt(id.ID, 10) }

func parseEventID(s string) (store.EventID, error) {
	kind := map[string]string{"h": store.EventHit, "r": store.EventResult}
	if len(s) > 1 {
		n, err := strconv.ParseInt(s[1:], 10, 64)
		if k := kind[s[:1]]; k != "" && err == nil && n > 0 {
			return store.EventID{Kind: k, ID: n}, nil
		}
	}
	return store.EventID{}, &problem{http.StatusNotFound, "there is no event " + strconv.Quote(s) + "; an event's id is h or r and a number"}
}

// withheld says whether a hit shows data that the reader may not see: one of a
// pack's query shows what the query reads.
func (a *API) withheld(c *gin.Context, r wire.RuleRef) bool {
	return r.Pack != "" && a.Content.QueryClasses(r.ID)&^auth.Mask(who(c).Classes) != 0
}

func (a *API) eventView(c *gin.Context, e *store.Event) (eventView, error) {
	v := eventView{ID: eventID(e.EventID), Kind: e.Kind, Time: at(e.Time), Received: at(e.Received),
		Host: gin.H{"id": e.Host, "hostname": e.Hostname}, Attack: []string{}, Values: json.RawMessage("{}")}
	if m := e.Handled; m != nil {
		v.Handled = &markView{m.By, at(m.At), m.Note}
	}
	if r := e.Result; r != nil {
		values, err := object(r.Columns, r.Values)
		v.Title, v.Query, v.Action, v.Values = r.Query, r.Query, r.Action, values
		return v, err
	}
	h := e.Hit
	if h == nil {
		return v, nil
	}
	rule := h.Rule
	v.Title, v.Severity, v.Rule, v.Table, v.Entity, v.Attack = h.Title, string(h.Severity), &rule, h.Table, h.Entity, many(h.Attack)
	if e.Alert > 0 {
		v.Alert = strconv.FormatInt(e.Alert, 10)
	}
	if a.withheld(c, rule) {
		v.Withheld, v.Entity = true, ""
		return v, nil
	}
	v.Process = viewProcess(h.Process)
	columns := make([]string, len(h.Event))
	cells := make([]wire.Value, len(h.Event))
	for i, f := range h.Event {
		columns[i], cells[i] = f.Name, f.Value
	}
	raw, err := json.Marshal(cells)
	if err == nil {
		v.Values, err = object(columns, raw)
	}
	return v, err
}

// A cursor is base64 of time, kind and id.
func cursorText(n *store.EventCursor) string {
	if n == nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%s", n.Time.UnixNano(), eventID(n.EventID)))
}

func parseCursor(s string) (*store.EventCursor, error) {
	if s == "" {
		return nil, nil
	}
	wrong := badRequest("before=%q is no cursor: give next of the page before", s)
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, wrong
	}
	first, id, ok := strings.Cut(string(b), ".")
	ns, err := strconv.ParseInt(first, 10, 64)
	if !ok || err != nil {
		return nil, wrong
	}
	e, err := parseEventID(id)
	if err != nil {
		return nil, wrong
	}
	return &store.EventCursor{Time: time.Unix(0, ns), EventID: e}, nil
}

// moment reads a time of the query string; zero where there is none.
func moment(c *gin.Context, name string) (time.Time, error) {
	s := c.Query(name)
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, badRequest("%s=%q is no time of RFC 3339, such as 2026-05-01T12:00:00Z", name, s)
	}
	return t, nil
}

// scanned is how many events of a kind one request looks through for a text.
const scanned = 20000

func (a *API) listEvents(c *gin.Context) {
	f, err := a.eventFilter(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	page, err := a.Store.ListEvents(c.Request.Context(), who(c).Scope, f)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := []eventView{}
	for i := range page.Events {
		v, err := a.eventView(c, &page.Events[i])
		if err != nil {
			a.fail(c, err)
			return
		}
		out = append(out, v)
	}
	answer := gin.H{"events": out, "next": cursorText(page.Next), "searched_to": nil}
	if page.Next != nil {
		answer["searched_to"] = at(page.Next.Time)
	}
	c.JSON(http.StatusOK, answer)
}

func (a *API) eventFilter(c *gin.Context) (store.EventFilter, error) {
	f := store.EventFilter{Host: c.Query("host"), Group: c.Query("group"), Kind: c.Query("kind"), Query: c.Query("query"), Rule: c.Query("rule"),
		Severity: c.Query("severity"), Classes: auth.Mask(who(c).Classes)}
	var err error
	if f.Limit, err = limit(c, 100, 1000); err != nil {
		return f, err
	}
	if f.From, err = moment(c, "from"); err != nil {
		return f, err
	}
	if f.To, err = moment(c, "to"); err != nil {
		return f, err
	}
	if f.Before, err = parseCursor(c.Query("before")); err != nil {
		return f, err
	}
	if f.Kind != "" && f.Kind != store.EventHit && f.Kind != store.EventResult {
		return f, badRequest("there is no kind %q; it is hit or result", f.Kind)
	}
	if f.Severity != "" && !slices.Contains(wire.Severities(), wire.Severity(f.Severity)) {
		return f, badRequest("there is no severity %q; they are %v", f.Severity, wire.Severities())
	}
	switch h := c.Query("handled"); h {
	case "":
	case "true", "false":
		yes := h == "true"
		f.Handled = &yes
	default:
		return f, badRequest("handled=%q is neither true nor false", h)
	}
	if q := strings.ToLower(strings.TrimSpace(c.Query("q"))); q != "" {
		f.Scan = scanned
		f.Match = func(e *store.Event) bool { return a.mentions(c, e, q) }
	}
	return f, nil
}

// mentions says whether a text stands in what the reader may see of an event.
func (a *API) mentions(c *gin.Context, e *store.Event, q string) bool {
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), q) }
	if has(e.Hostname) || has(e.Host) {
		return true
	}
	if r := e.Result; r != nil {
		return has(r.Query) || has(string(r.Values))
	}
	h := e.Hit
	if h == nil {
		return false
	}
	if has(h.Title) || has(h.Rule.ID) || has(h.Rule.Name) || slices.ContainsFunc(h.Attack, has) {
		return true
	}
	if a.withheld(c, h.Rule) {
		return false
	}
	if p := h.Process; has(h.Entity) || p != nil && (has(p.Cmdline) || has(p.Path) || has(p.Name) || has(p.User)) {
		return true
	}
	return slices.ContainsFunc(h.Event, func(f wire.Field) bool { return has(f.Value.String()) })
}

const maxNote = 10000

func (a *API) patchEvent(c *gin.Context) {
	var in struct {
		Handled *bool  `json:"handled"`
		Note    string `json:"note"`
	}
	id, err := parseEventID(c.Param("id"))
	if err == nil {
		err = decode(c, &in)
	}
	switch {
	case err != nil:
	case in.Handled == nil:
		err = badRequest("the field handled is missing")
	case len(in.Note) > maxNote:
		err = badRequest("the note is longer than %d bytes", maxNote)
	case !*in.Handled && in.Note != "":
		err = badRequest("a note goes with handled: true")
	}
	ctx, sc, classes := c.Request.Context(), who(c).Scope, auth.Mask(who(c).Classes)
	if err == nil {
		_, err = a.Store.Event(ctx, sc, id, classes)
	}
	if err == nil {
		err = a.audit(c, "handle event", c.Param("id"), fmt.Sprintf("%t %s", *in.Handled, in.Note))
	}
	if err == nil {
		var m *store.Mark
		if *in.Handled {
			m = &store.Mark{By: who(c).Name, At: a.Now(), Note: in.Note}
		}
		err = a.Store.MarkEvent(ctx, sc, id, m)
	}
	var v eventView
	if err == nil {
		var e store.Event
		if e, err = a.Store.Event(ctx, sc, id, classes); err == nil {
			v, err = a.eventView(c, &e)
		}
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, v)
}
