package api

import (
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/upkeep"
)

func (a *API) getSettings(c *gin.Context) {
	values, limits := map[string]int64{}, map[string]upkeep.Setting{}
	for _, s := range upkeep.Settings() {
		v, err := upkeep.Get(c.Request.Context(), a.Store, s.Name)
		if err != nil {
			a.fail(c, err)
			return
		}
		values[s.Name], limits[s.Name] = v, s
	}
	out := gin.H{"settings": values, "limits": limits, "last_run": nil}
	if a.Upkeep != nil {
		out["last_run"] = a.Upkeep.LastRun()
	}
	c.JSON(http.StatusOK, out)
}

func (a *API) patchSettings(c *gin.Context) {
	var in map[string]int64
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if len(in) == 0 {
		a.fail(c, badRequest("nothing is to be changed: give a setting and its value"))
		return
	}
	var what []string
	for name, v := range in {
		s, err := upkeep.Find(name)
		if err == nil {
			err = s.Check(v)
		}
		if err != nil {
			a.fail(c, badRequest("%v", err))
			return
		}
		what = append(what, fmt.Sprintf("%s = %d", name, v))
	}
	sort.Strings(what)
	if err := a.audit(c, "change settings", "", strings.Join(what, "; ")); err != nil {
		a.fail(c, err)
		return
	}
	for name, v := range in {
		if err := a.Store.SetSetting(c.Request.Context(), store.Everything(), name, strconv.FormatInt(v, 10)); err != nil {
			a.fail(c, err)
			return
		}
	}
	a.getSettings(c)
}
