package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/command"
	"github.com/aiedr/edr/fleetsrv/live"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

type hostView struct {
	ID           string     `json:"id"`
	Hostname     string     `json:"hostname"`
	Status       string     `json:"status"`
	OS           string     `json:"os"`
	Platform     string     `json:"platform"`
	Arch         string     `json:"arch"`
	Kernel       string     `json:"kernel"`
	CPU          string     `json:"cpu"`
	Memory       int64      `json:"memory_bytes"`
	AgentVersion string     `json:"agent_version"`
	UUID         string     `json:"uuid"`
	Address      string     `json:"address"`
	EnrolledAt   *time.Time `json:"enrolled_at"`
	LastSeen     *time.Time `json:"last_seen"`
	Fingerprint  string     `json:"key_fingerprint"`
	Labels       []string   `json:"labels"`
	Groups       []string   `json:"groups"`
	// ConfigSerial is of the configuration that the host is to have; its
	// health says which it has.
	ConfigSerial uint64         `json:"config_serial"`
	Health       *wire.Health   `json:"health"`
	OpenAlerts   int            `json:"open_alerts"`
	Problems     []wire.Problem `json:"problems"`
}

// hostStatus is how a host is shown.
func (a *API) hostStatus(state string, id string, seen time.Time) string {
	switch {
	case state == store.HostPending:
		return "pending"
	case state == store.HostAdmitted && (a.Dispatch.Online(id) || a.Now().Sub(seen) < command.OnlineFor):
		return "online"
	}
	return "offline"
}

func (a *API) hostView(h store.Host) hostView {
	d := h.Details
	serial, _ := a.Content.Configured(h.ID)
	return hostView{Groups: many(h.Groups), ConfigSerial: serial, ID: h.ID, Hostname: d.Hostname, Status: a.hostStatus(h.State, h.ID, h.LastSeen), OS: d.OS, Platform: d.Platform,
		Arch: d.Arch, Kernel: d.Kernel, CPU: d.CPU, Memory: d.Memory, AgentVersion: d.AgentVersion, UUID: d.UUID, Address: h.Address,
		EnrolledAt: at(h.EnrolledAt), LastSeen: at(h.LastSeen), Fingerprint: h.Fingerprint, Labels: many(h.Labels), Health: h.Health,
		OpenAlerts: h.OpenAlerts, Problems: []wire.Problem{}}
}

func (a *API) listHosts(c *gin.Context) {
	n, err := limit(c, 100, 1000)
	if err != nil {
		a.fail(c, err)
		return
	}
	offset, err := number(c, "offset", 0, 0, 1<<40)
	if err != nil {
		a.fail(c, err)
		return
	}
	status := c.Query("status")
	switch status {
	case "", "online", "offline", "pending":
	default:
		a.fail(c, badRequest("there is no status %q; it is online, offline or pending", status))
		return
	}
	l, err := a.Store.ListHosts(c.Request.Context(), who(c).Scope, store.HostFilter{
		Text: c.Query("q"), Group: c.Query("group"), Label: c.Query("label"), Status: status, Online: a.Now().Add(-command.OnlineFor), Limit: n, Offset: int(offset)})
	if err != nil {
		a.fail(c, err)
		return
	}
	out := []hostView{}
	for _, h := range l.Hosts {
		out = append(out, a.hostView(h))
	}
	c.JSON(http.StatusOK, gin.H{"hosts": out, "total": l.Total,
		"counts": gin.H{"online": l.Online, "offline": l.Offline, "pending": l.Waiting}})
}

func (a *API) getHost(c *gin.Context) {
	ctx, sc := c.Request.Context(), who(c).Scope
	h, err := a.Store.Host(ctx, sc, c.Param("id"))
	if err != nil {
		a.fail(c, err)
		return
	}
	v := a.hostView(h)
	problems, err := a.Store.Problems(ctx, sc, h.ID, 100)
	if err != nil {
		a.fail(c, err)
		return
	}
	v.Problems = many(problems)
	c.JSON(http.StatusOK, v)
}

func (a *API) admitHost(c *gin.Context) {
	ctx, sc, id := c.Request.Context(), who(c).Scope, c.Param("id")
	if _, err := a.Store.Host(ctx, sc, id); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.audit(c, "admit host", id, ""); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.Store.AdmitHost(ctx, sc, id); err != nil {
		a.fail(c, err)
		return
	}
	a.Bus.Publish(live.Change{Topic: live.TopicHost, ID: id})
	a.getHost(c)
}

func (a *API) removeHost(c *gin.Context) {
	ctx, sc, id := c.Request.Context(), who(c).Scope, c.Param("id")
	h, err := a.Store.Host(ctx, sc, id)
	if err != nil {
		a.fail(c, err)
		return
	}
	if err := a.audit(c, "remove host", id, h.Details.Hostname); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.Store.RemoveHost(ctx, sc, id); err != nil {
		a.fail(c, err)
		return
	}
	a.EndSessions(h.Fingerprint)
	a.Dispatch.Forget(id)
	a.Bus.Publish(live.Change{Topic: live.TopicHost, ID: id})
	c.JSON(http.StatusOK, gin.H{"ok": true})
}
