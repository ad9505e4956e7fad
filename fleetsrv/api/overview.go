package api

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/command"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// overviewLife is how long an overview is answered again: it reads the health
// of every host, and every open page asks for it.
const overviewLife = 2 * time.Second

type overviewCache struct {
	mu   sync.Mutex
	made map[string]overviewMade
}

type overviewMade struct {
	at time.Time
	v  gin.H
}

func (a *API) getOverview(c *gin.Context) {
	sc := who(c).Scope
	key := sc.Tenant + "\x00" + strings.Join(sc.Groups, "\x00")
	a.overview.mu.Lock()
	defer a.overview.mu.Unlock()
	if m, ok := a.overview.made[key]; ok && a.Now().Sub(m.at) < overviewLife {
		c.JSON(http.StatusOK, m.v)
		return
	}
	v, err := a.makeOverview(c, sc)
	if err != nil {
		a.fail(c, err)
		return
	}
	if a.overview.made == nil || len(a.overview.made) > 100 {
		a.overview.made = map[string]overviewMade{}
	}
	a.overview.made[key] = overviewMade{a.Now(), v}
	c.JSON(http.StatusOK, v)
}

func (a *API) makeOverview(c *gin.Context, sc store.Scope) (gin.H, error) {
	ctx := c.Request.Context()
	online := a.Now().Add(-command.OnlineFor)
	hosts, err := a.Store.ListHosts(ctx, sc, store.HostFilter{Online: online, Limit: 100000})
	if err != nil {
		return nil, err
	}
	sensors := sensorCounts{}
	for _, h := range hosts.Hosts {
		sensors.add(h.Health)
	}
	alerts, err := a.Store.ListAlerts(ctx, sc, store.AlertFilter{Limit: 1})
	if err != nil {
		return nil, err
	}
	bySeverity := map[string]int{}
	for _, s := range wire.Severities() {
		bySeverity[string(s)] = alerts.Open[string(s)]
	}
	failed, err := a.Store.FailedResponses(ctx, sc, a.Now().Add(-7*24*time.Hour))
	if err != nil {
		return nil, err
	}
	rules, err := a.Store.ListRules(ctx, sc)
	if err != nil {
		return nil, err
	}
	enabled := 0
	for _, r := range rules {
		if r.Enabled {
			enabled++
		}
	}
	return gin.H{
		"hosts":            gin.H{"online": hosts.Online, "offline": hosts.Offline, "pending": hosts.Waiting},
		"alerts":           gin.H{"open_by_severity": bySeverity},
		"failed_responses": failed,
		"sensors":          sensors,
		"rules":            gin.H{"enabled": enabled, "total": len(rules)},
	}, nil
}

type sensorCounts struct {
	Healthy  int    `json:"healthy"`
	Degraded int    `json:"degraded"`
	Failed   int    `json:"failed"`
	Lost     uint64 `json:"lost_events"`
}

func (s *sensorCounts) add(h *wire.Health) {
	if h == nil {
		return
	}
	for _, x := range h.Sensors {
		switch x.State {
		case "running":
			s.Healthy++
		case "degraded":
			s.Degraded++
		case "failed":
			s.Failed++
		}
		s.Lost += x.Lost
	}
}
