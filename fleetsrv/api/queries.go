package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/live"
	"github.com/aiedr/edr/fleetsrv/store"
)

type queryHostView struct {
	ID        string   `json:"id"`
	Hostname  string   `json:"hostname"`
	State     string   `json:"state"`
	Rows      int64    `json:"rows"`
	Error     string   `json:"error"`
	Warnings  []string `json:"warnings"`
	Truncated bool     `json:"truncated"`
	WallMS    float64  `json:"wall_ms"`
	CPUMS     float64  `json:"cpu_ms"`
}

func viewQueryHost(h store.QueryHost) queryHostView {
	ms := func(ns int64) float64 { return float64(ns/1000) / 1000 }
	return queryHostView{h.Host, h.Hostname, h.State, h.Rows, h.Error, many(h.Warnings), h.Truncated, ms(h.WallNS), ms(h.CPUNS)}
}

type queryView struct {
	ID         string          `json:"id"`
	SQL        string          `json:"sql"`
	By         string          `json:"by"`
	CreatedAt  *time.Time      `json:"created_at"`
	DeadlineAt *time.Time      `json:"deadline_at"`
	MaxRows    int             `json:"max_rows"`
	Classes    []string        `json:"classes"`
	Done       bool            `json:"done"`
	Stopped    bool            `json:"stopped"`
	Columns    []string        `json:"columns"`
	Rows       int64           `json:"rows"`
	Hosts      []queryHostView `json:"hosts"`
	Counts     map[string]int  `json:"counts"`
}

func viewQuery(q store.Query) queryView {
	v := queryView{ID: q.ID, SQL: q.SQL, By: q.By, CreatedAt: at(q.CreatedAt), DeadlineAt: at(q.DeadlineAt), MaxRows: q.MaxRows, Classes: many(q.Classes),
		Done: q.Done, Stopped: q.Stopped, Columns: many(q.Columns), Rows: q.Rows, Hosts: []queryHostView{}, Counts: map[string]int{}}
	for _, s := range []string{store.QueryPending, store.QueryRows, store.QueryNone, store.QueryError, store.QueryOffline, store.QueryExpired} {
		v.Counts[s] = q.Counts[s]
	}
	v.Counts[store.QueryPending] += q.Counts[store.QuerySent]
	for _, h := range q.Hosts {
		v.Hosts = append(v.Hosts, viewQueryHost(h))
	}
	return v
}

const maxSQL = 64 << 10

func (a *API) postQuery(c *gin.Context) {
	var in struct {
		SQL      string   `json:"sql"`
		Hosts    []string `json:"hosts"`
		Groups   []string `json:"groups"`
		All      bool     `json:"all"`
		Deadline float64  `json:"deadline_s"`
		MaxRows  int      `json:"max_rows"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	asked, err := a.hostsOf(c, in.Groups)
	if err != nil {
		a.fail(c, err)
		return
	}
	in.Hosts = append(in.Hosts, asked...)
	if len(in.Groups) > 0 && len(in.Hosts) == 0 && !in.All {
		a.fail(c, badRequest("no host is asked: there is none in %s", strings.Join(in.Groups, ", ")))
		return
	}
	ask, err := a.ask(c, in.SQL, in.Hosts, in.All, in.Deadline, in.MaxRows)
	if err != nil {
		a.fail(c, err)
		return
	}
	target := "all hosts"
	if !in.All {
		target = strings.Join(append(in.Groups, in.Hosts...), " ")
	}
	if err := a.audit(c, "live query", target, in.SQL); err != nil {
		a.fail(c, err)
		return
	}
	q, err := a.Queries.Start(c.Request.Context(), who(c), ask)
	if errors.Is(err, live.ErrNoHosts) {
		err = badRequest("%v", err)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusCreated, viewQuery(q))
}

// hostsOf are the admitted hosts of groups, of those that the caller may see.
func (a *API) hostsOf(c *gin.Context, groups []string) ([]string, error) {
	var out []string
	ctx, sc := c.Request.Context(), who(c).Scope
	if len(groups) == 0 {
		return nil, nil
	}
	admitted, err := a.Store.HostIDs(ctx, sc)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		if g == store.GroupAll {
			return admitted, nil
		}
		if _, err := a.Store.Group(ctx, sc, g); err != nil {
			return nil, err
		}
		ids, err := a.Store.Members(ctx, sc, g)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if slices.Contains(admitted, id) {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// ask checks a query before it is kept: the statement prepares, reads only,
// and reads no data class that the person may not see.
func (a *API) ask(c *gin.Context, sql string, hosts []string, all bool, deadline float64, maxRows int) (live.Ask, error) {
	out := live.Ask{SQL: sql, Hosts: hosts, All: all, Deadline: live.DefaultDeadline, MaxRows: live.DefaultMaxRows}
	switch {
	case strings.TrimSpace(sql) == "":
		return out, badRequest("the field sql is empty: write a SELECT")
	case len(sql) > maxSQL:
		return out, badRequest("the statement is longer than %d bytes", maxSQL)
	case all && len(hosts) > 0:
		return out, badRequest("give hosts or all, not both")
	case !all && len(hosts) == 0:
		return out, badRequest("no host is asked: give hosts (a list of ids) or all: true")
	case deadline < 0 || deadline > live.MaxDeadline.Seconds():
		return out, badRequest("deadline_s is a number of seconds up to %.0f", live.MaxDeadline.Seconds())
	case maxRows < 0 || maxRows > live.MaxMaxRows:
		return out, badRequest("max_rows is a number up to %d", live.MaxMaxRows)
	}
	if deadline > 0 {
		out.Deadline = time.Duration(deadline * float64(time.Second))
	}
	if maxRows > 0 {
		out.MaxRows = maxRows
	}
	classes, err := a.SQL.Check(c.Request.Context(), sql)
	if err != nil {
		return out, badRequest("the statement cannot be asked: %v", err)
	}
	out.Classes = classes
	if err := mayRead(who(c), classes); err != nil {
		return out, err
	}
	return out, nil
}

func mayRead(p *auth.Principal, classes []string) error {
	if p.MayRead(classes) {
		return nil
	}
	return &problem{http.StatusForbidden, fmt.Sprintf("the statement reads data of the classes %s, and you may read %s; ask an administrator",
		strings.Join(classes, ", "), strings.Join(p.Classes, ", "))}
}

func (a *API) listQueries(c *gin.Context) {
	n, err := limit(c, 50, 500)
	if err != nil {
		a.fail(c, err)
		return
	}
	qs, err := a.Store.ListQueries(c.Request.Context(), who(c).Scope, n)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := []queryView{}
	for _, q := range qs {
		out = append(out, viewQuery(q))
	}
	c.JSON(http.StatusOK, gin.H{"queries": out})
}

// query reads the query that a request names, if its classes may be read.
func (a *API) query(c *gin.Context) (store.Query, error) {
	q, err := a.Store.Query(c.Request.Context(), who(c).Scope, c.Param("id"))
	if err != nil {
		return q, err
	}
	return q, mayRead(who(c), q.Classes)
}

func (a *API) getQuery(c *gin.Context) {
	q, err := a.query(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, viewQuery(q))
}

func (a *API) stopQuery(c *gin.Context) {
	id := c.Param("id")
	ctx, sc := c.Request.Context(), who(c).Scope
	if _, err := a.Store.Query(ctx, sc, id); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.audit(c, "stop query", id, ""); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.Queries.Stop(ctx, sc, id); err != nil {
		a.fail(c, err)
		return
	}
	q, err := a.Store.Query(ctx, sc, id)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, viewQuery(q))
}
