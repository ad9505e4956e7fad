package api

import (
	"net/http"
	"slices"
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

// span is a time that an overview looks back over, in even buckets.
type span struct {
	name    string
	bucket  time.Duration
	buckets int
}

func spans() []span {
	return []span{{"24h", time.Hour, 24}, {"7d", 6 * time.Hour, 28}, {"30d", 24 * time.Hour, 30}}
}

func (a *API) getOverview(c *gin.Context) {
	name := c.DefaultQuery("range", "24h")
	i := slices.IndexFunc(spans(), func(s span) bool { return s.name == name })
	if i < 0 {
		a.fail(c, badRequest("there is no range %q; it is 24h, 7d or 30d", name))
		return
	}
	sc := who(c).Scope
	key := sc.Tenant + "\x00" + name + "\x00" + strings.Join(sc.Groups, "\x00")
	a.overview.mu.Lock()
	defer a.overview.mu.Unlock()
	if m, ok := a.overview.made[key]; ok && a.Now().Sub(m.at) < overviewLife {
		c.JSON(http.StatusOK, m.v)
		return
	}
	v, err := a.makeOverview(c, sc, spans()[i])
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

type bucketView struct {
	Time   *time.Time       `json:"time"` // its beginning
	Counts map[string]int64 `json:"counts"`
}

type countView struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Hostname string `json:"hostname,omitempty"`
	Count    int64  `json:"count"`
}

func viewCounts(in []store.Count, hosts bool) []countView {
	out := []countView{}
	for _, n := range in {
		v := countView{ID: n.ID, Name: n.Name, Count: n.Count}
		if hosts {
			v.Hostname = n.Name
		}
		out = append(out, v)
	}
	return out
}

// shownFailures is how many failed responses an overview lists.
const shownFailures = 10

func (a *API) makeOverview(c *gin.Context, sc store.Scope, s span) (gin.H, error) {
	ctx := c.Request.Context()
	now := a.Now()
	hosts, err := a.Store.ListHosts(ctx, sc, store.HostFilter{Online: now.Add(-command.OnlineFor), Limit: 100000})
	if err != nil {
		return nil, err
	}
	sensors := newSensorCounts()
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
	over, err := a.Store.ListAlerts(ctx, sc, store.AlertFilter{Rule: store.QuotaRule, Status: store.AlertOpen, Limit: 1})
	if err != nil {
		return nil, err
	}
	failed, err := a.Store.FailedResponses(ctx, sc, now.Add(-7*24*time.Hour))
	if err != nil {
		return nil, err
	}
	failures, err := a.Store.ListResponses(ctx, sc, store.ResponseFilter{Limit: shownFailures,
		States: []string{store.ResponseFailed, store.ResponseRefused, store.ResponseExpired}})
	if err != nil {
		return nil, err
	}
	shown := []responseView{}
	for _, r := range failures {
		shown = append(shown, viewResponse(r))
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
	// The last bucket is the one that time is in.
	start := now.Truncate(s.bucket).Add(s.bucket).Add(-time.Duration(s.buckets) * s.bucket)
	trends, err := a.Store.Trends(ctx, sc, start, s.bucket, s.buckets)
	if err != nil {
		return nil, err
	}
	buckets := make([]bucketView, len(trends.Buckets))
	for i, counts := range trends.Buckets {
		buckets[i] = bucketView{at(start.Add(time.Duration(i) * s.bucket)), counts}
	}
	return gin.H{
		"hosts":            gin.H{"online": hosts.Online, "offline": hosts.Offline, "pending": hosts.Waiting},
		"alerts":           gin.H{"open_by_severity": bySeverity, "over_time": buckets},
		"failed_responses": failed,
		"failed":           shown,
		"sensors":          sensors.view(),
		"rules":            gin.H{"enabled": enabled, "total": len(rules)},
		"range":            s.name,
		"bucket_s":         int64(s.bucket / time.Second),
		"top_techniques":   viewCounts(trends.Techniques, false),
		"top_rules":        viewCounts(trends.Rules, false),
		"top_hosts":        viewCounts(trends.Hosts, true),
		"hosts_over_quota": over.Total,
	}, nil
}

// sensorCount is how the sensors of one name are on all hosts.
type sensorCount struct {
	Name     string `json:"name"`
	Running  int    `json:"running"`
	Degraded int    `json:"degraded"`
	Failed   int    `json:"failed"`
	Off      int    `json:"off"` // any other state
	Lost     uint64 `json:"lost"`
}

type sensorCounts struct{ byName map[string]*sensorCount }

func newSensorCounts() *sensorCounts { return &sensorCounts{map[string]*sensorCount{}} }

// maxSensorNames bounds what hosts that invent names can make of the list.
const maxSensorNames = 100

func (s *sensorCounts) add(h *wire.Health) {
	if h == nil {
		return
	}
	for _, x := range h.Sensors {
		name := x.Name
		n := s.byName[name]
		if n == nil {
			if len(s.byName) >= maxSensorNames {
				name = "others"
			}
			if n = s.byName[name]; n == nil {
				n = &sensorCount{Name: name}
				s.byName[name] = n
			}
		}
		switch x.State {
		case "running":
			n.Running++
		case "degraded":
			n.Degraded++
		case "failed":
			n.Failed++
		default:
			n.Off++
		}
		n.Lost += x.Lost
	}
}

func (s *sensorCounts) view() gin.H {
	list := []sensorCount{}
	var healthy, degraded, failed int
	var lost uint64
	for _, n := range s.byName {
		list = append(list, *n)
		healthy, degraded, failed, lost = healthy+n.Running, degraded+n.Degraded, failed+n.Failed, lost+n.Lost
	}
	slices.SortFunc(list, func(a, b sensorCount) int { return strings.Compare(a.Name, b.Name) })
	return gin.H{"healthy": healthy, "degraded": degraded, "failed": failed, "lost_events": lost, "by_name": list}
}
