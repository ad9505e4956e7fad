package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/tables"
)

// Approval is who approved the present version of a rule.
type Approval struct {
	By   string    `json:"by"`
	Time time.Time `json:"time"`
}

// Rule is a rule as it is shown.
type Rule struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Type        string    `json:"type"`
	Severity    string    `json:"severity"`
	Enabled     bool      `json:"enabled"`
	Conditions  []string  `json:"conditions"`
	Match       string    `json:"match"`
	Actions     []string  `json:"actions"`
	Attack      []string  `json:"attack"`
	Version     string    `json:"version"`
	Approved    *Approval `json:"approved"`
	Source      string    `json:"source"`
	Platform    []string  `json:"platform,omitempty"`
	// Error says why a kept rule does not load; it is then not given to hosts.
	Error string `json:"error,omitempty"`
}

// Pack is a pack as it is shown.
type Pack struct {
	Name     string      `json:"name"`
	Platform string      `json:"platform"`
	Source   string      `json:"source"`
	Queries  []PackQuery `json:"queries"`
	Error    string      `json:"error,omitempty"`
}

// PackQuery is one scheduled query of a pack.
type PackQuery struct {
	Name        string `json:"name"`
	SQL         string `json:"sql"`
	Interval    int64  `json:"interval"` // seconds
	Snapshot    bool   `json:"snapshot"`
	Description string `json:"description"`
	Severity    string `json:"severity,omitempty"`
}

func (a *API) listTables(c *gin.Context) {
	s, err := tables.Schemas()
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, many(s))
}

func (a *API) listRules(c *gin.Context) {
	rules, err := a.Content.Rules(c.Request.Context(), who(c).Scope)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"rules": many(rules)})
}

// answerRule gives hosts the change and answers the rule as it stands.
func (a *API) answerRule(c *gin.Context, id string) {
	ctx := c.Request.Context()
	if err := a.Content.Changed(ctx); err != nil {
		a.fail(c, err)
		return
	}
	rules, err := a.Content.Rules(ctx, who(c).Scope)
	if err != nil {
		a.fail(c, err)
		return
	}
	for _, r := range rules {
		if r.ID == id {
			c.JSON(http.StatusOK, r)
			return
		}
	}
	a.fail(c, store.ErrNotFound)
}

func (a *API) approveRule(c *gin.Context) {
	var in struct {
		Version string `json:"version"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if in.Version == "" {
		a.fail(c, badRequest("the field version is empty: an approval names the version that was read"))
		return
	}
	ctx, sc, id := c.Request.Context(), who(c).Scope, c.Param("id")
	if _, err := a.Store.Rule(ctx, sc, id); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.audit(c, "approve rule", id, "version "+in.Version); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.Store.ApproveRule(ctx, sc, id, in.Version, who(c).Name, a.Now()); err != nil {
		a.fail(c, err)
		return
	}
	a.answerRule(c, id)
}

func (a *API) unapproveRule(c *gin.Context) {
	ctx, sc, id := c.Request.Context(), who(c).Scope, c.Param("id")
	if _, err := a.Store.Rule(ctx, sc, id); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.audit(c, "withdraw approval of rule", id, ""); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.Store.UnapproveRule(ctx, sc, id); err != nil {
		a.fail(c, err)
		return
	}
	a.answerRule(c, id)
}

func (a *API) patchRule(c *gin.Context) {
	var in struct {
		Enabled *bool `json:"enabled"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if in.Enabled == nil {
		a.fail(c, badRequest("the field enabled is missing"))
		return
	}
	ctx, sc, id := c.Request.Context(), who(c).Scope, c.Param("id")
	if _, err := a.Store.Rule(ctx, sc, id); err != nil {
		a.fail(c, err)
		return
	}
	action := "disable rule"
	if *in.Enabled {
		action = "enable rule"
	}
	if err := a.audit(c, action, id, ""); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.Store.EnableRule(ctx, sc, id, *in.Enabled); err != nil {
		a.fail(c, err)
		return
	}
	a.answerRule(c, id)
}

func (a *API) listPacks(c *gin.Context) {
	packs, err := a.Content.Packs(c.Request.Context(), who(c).Scope)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"packs": many(packs)})
}

type resultView struct {
	ID       int64           `json:"id"`
	Host     string          `json:"host"`
	Hostname string          `json:"hostname"`
	Query    string          `json:"query"`
	Time     *time.Time      `json:"time"`
	Action   string          `json:"action"`
	Columns  json.RawMessage `json:"columns"`
}

func (a *API) listResults(c *gin.Context) {
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
	rs, err := a.Store.ListResults(c.Request.Context(), who(c).Scope, store.ResultFilter{
		Query: c.Query("query"), Host: c.Query("host"), Before: before, Classes: auth.Mask(who(c).Classes), Limit: n})
	if err != nil {
		a.fail(c, err)
		return
	}
	out := []resultView{}
	for _, r := range rs {
		v, err := object(r.Columns, r.Values)
		if err != nil {
			a.fail(c, err)
			return
		}
		out = append(out, resultView{r.ID, r.Host, r.Hostname, r.Query, at(r.Time), r.Action, v})
	}
	c.JSON(http.StatusOK, gin.H{"results": out})
}
