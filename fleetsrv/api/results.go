package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
)

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
