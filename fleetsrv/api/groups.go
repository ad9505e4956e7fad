package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/group"
	"github.com/aiedr/edr/fleetsrv/live"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

type groupView struct {
	Name        string            `json:"name"`
	Kind        string            `json:"kind"`
	Description string            `json:"description"`
	Match       string            `json:"match"`
	Conditions  []store.Condition `json:"conditions"`
	Hosts       *[]string         `json:"hosts,omitempty"`
	HostCount   int               `json:"host_count"`
	Trusted     bool              `json:"trusted"`
	Priority    int               `json:"priority"`
	Settings    wire.Settings     `json:"settings"`
	Rules       []string          `json:"rules"`
	Packs       []string          `json:"packs"`
	Users       []string          `json:"users"`
	CreatedAt   *time.Time        `json:"created_at"`
	UpdatedAt   *time.Time        `json:"updated_at"`
}

func matchOf(any bool) string {
	if any {
		return "any"
	}
	return "all"
}

func viewGroup(g store.Group) groupView {
	return groupView{Name: g.Name, Kind: g.Kind, Description: g.Description, Match: matchOf(g.MatchAny), Conditions: many(g.Conditions),
		HostCount: g.HostCount, Trusted: group.Trusted(g), Priority: g.Priority, Settings: g.Settings,
		Rules: []string{}, Packs: []string{}, Users: []string{}, CreatedAt: at(g.CreatedAt), UpdatedAt: at(g.UpdatedAt)}
}

// groupViews are all groups of the caller's, with what is given to them.
func (a *API) groupViews(c *gin.Context) ([]groupView, error) {
	ctx, sc := c.Request.Context(), who(c).Scope
	groups, err := a.Store.ListGroups(ctx, sc)
	if err != nil {
		return nil, err
	}
	if sc.All() && !slices.ContainsFunc(groups, func(g store.Group) bool { return g.Name == store.GroupAll }) {
		l, err := a.Store.ListHosts(ctx, sc, store.HostFilter{})
		if err != nil {
			return nil, err
		}
		groups = append([]store.Group{{Name: store.GroupAll, Kind: store.GroupBuiltIn, HostCount: l.Total}}, groups...)
	}
	views := make([]groupView, len(groups))
	index := map[string]*groupView{}
	for i, g := range groups {
		views[i] = viewGroup(g)
		index[g.Name] = &views[i]
	}
	add := func(targets []string, name string, into func(*groupView) *[]string) {
		for _, t := range targets {
			if v := index[t]; v != nil {
				list := into(v)
				*list = append(*list, name)
			}
		}
	}
	rules, err := a.Store.ListRules(ctx, sc)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		add(r.Targets, r.ID, func(v *groupView) *[]string { return &v.Rules })
	}
	packs, err := a.Store.ListPacks(ctx, sc)
	if err != nil {
		return nil, err
	}
	for _, p := range packs {
		add(p.Targets, p.Name, func(v *groupView) *[]string { return &v.Packs })
	}
	if !who(c).Can("users") {
		return views, nil
	}
	users, err := a.Store.ListUsers(ctx, store.Everything())
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		add(u.Groups, u.Name, func(v *groupView) *[]string { return &v.Users })
	}
	return views, nil
}

func (a *API) listGroups(c *gin.Context) {
	views, err := a.groupViews(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"groups": views})
}

func (a *API) answerGroup(c *gin.Context, status int, name string) {
	views, err := a.groupViews(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	for _, v := range views {
		if v.Name != name {
			continue
		}
		if v.Kind == store.GroupManual {
			hosts, err := a.Store.Members(c.Request.Context(), who(c).Scope, name)
			if err != nil {
				a.fail(c, err)
				return
			}
			hosts = many(hosts)
			v.Hosts = &hosts
		}
		c.JSON(status, v)
		return
	}
	a.fail(c, fmt.Errorf("read group %s: %w", name, store.ErrNotFound))
}

func (a *API) getGroup(c *gin.Context) { a.answerGroup(c, http.StatusOK, c.Param("name")) }

// groupInput is what is given of a group; nil is left as it is.
type groupInput struct {
	Name        string             `json:"name"`
	Kind        string             `json:"kind"`
	Description *string            `json:"description"`
	Match       *string            `json:"match"`
	Conditions  *[]store.Condition `json:"conditions"`
	Priority    *int               `json:"priority"`
	Settings    *wire.Settings     `json:"settings"`
	Hosts       *[]string          `json:"hosts"`
}

const (
	maxDescription = 2000
	maxPriority    = 1000000
)

// onto puts what is given onto a group and checks the whole.
func (in *groupInput) onto(g *store.Group) error {
	if in.Description != nil {
		g.Description = *in.Description
	}
	if in.Match != nil {
		if *in.Match != "all" && *in.Match != "any" {
			return badRequest("there is no match %q; it is all or any", *in.Match)
		}
		g.MatchAny = *in.Match == "any"
	}
	if in.Conditions != nil {
		g.Conditions = *in.Conditions
	}
	if in.Priority != nil {
		g.Priority = *in.Priority
	}
	if in.Settings != nil {
		g.Settings = *in.Settings
	}
	switch {
	case len(g.Description) > maxDescription:
		return badRequest("the description is longer than %d bytes", maxDescription)
	case g.Priority < -maxPriority || g.Priority > maxPriority:
		return badRequest("priority is a number from -%d to %d", maxPriority, maxPriority)
	case g.Kind == store.GroupByRule && in.Hosts != nil:
		return badRequest("a group by rule takes its hosts by its conditions: leave hosts out, or make the group by hand (kind manual)")
	case g.Kind != store.GroupByRule && len(g.Conditions) > 0:
		return badRequest("a group by hand has no conditions: leave them out, or make the group by rule (kind rule)")
	case g.Kind == store.GroupBuiltIn && (in.Hosts != nil || in.Priority != nil || in.Match != nil):
		return badRequest("every host is in the group all, and its settings come last: only its description and settings can be changed")
	}
	if g.Kind == store.GroupByRule {
		if _, err := group.Compile(g.Conditions, g.MatchAny); err != nil {
			return badRequest("%v", err)
		}
	}
	if err := group.CheckSettings(g.Settings); err != nil {
		return badRequest("settings: %v", err)
	}
	return nil
}

func (a *API) postGroup(c *gin.Context) {
	var in groupInput
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	now := a.Now()
	g := store.Group{Name: in.Name, Kind: in.Kind, CreatedAt: now, UpdatedAt: now}
	var err error
	switch {
	case in.Kind != store.GroupManual && in.Kind != store.GroupByRule:
		err = badRequest("there is no kind of group %q; it is manual or rule", in.Kind)
	case in.Name == store.GroupAll:
		err = &problem{http.StatusConflict, "the group all is there already: every host is in it"}
	case !group.Name.MatchString(in.Name):
		err = badRequest("the name %q will not do: use up to 64 letters a-z, digits, and . _ -, beginning with a letter or digit", in.Name)
	default:
		err = in.onto(&g)
	}
	ctx, sc := c.Request.Context(), who(c).Scope
	if err == nil {
		err = a.audit(c, "add group", g.Name, describe(g, in.Hosts))
	}
	if err == nil {
		err = a.Store.AddGroup(ctx, sc, g)
	}
	if err == nil {
		err = a.fill(c, g, in.Hosts)
		if err != nil { // a group without its hosts is no group
			err = errors.Join(err, a.Store.DeleteGroup(ctx, sc, g.Name))
		}
	}
	if err == nil {
		err = a.changed(c)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerGroup(c, http.StatusCreated, g.Name)
}

// describe says what a group is, for the audit log.
func describe(g store.Group, hosts *[]string) string {
	what := g.Kind
	if g.Kind == store.GroupByRule {
		var parts []string
		for _, cond := range g.Conditions {
			parts = append(parts, fmt.Sprintf("%s %s %q", cond.Field, cond.Op, cond.Value))
		}
		what += ", " + matchOf(g.MatchAny) + " of: " + strings.Join(parts, "; ")
	}
	if hosts != nil {
		what += ", hosts " + strings.Join(*hosts, " ")
	}
	if group.IsSet(g.Settings) {
		what += fmt.Sprintf(", settings %+v", g.Settings)
	}
	return what
}

// fill puts the hosts into a group.
func (a *API) fill(c *gin.Context, g store.Group, hosts *[]string) error {
	ctx, sc := c.Request.Context(), who(c).Scope
	switch {
	case g.Kind == store.GroupByRule:
		return a.Members.Refresh(ctx, g)
	case g.Kind == store.GroupManual && hosts != nil:
		return a.Store.SetMembers(ctx, sc, g.Name, *hosts)
	}
	return nil
}

// theGroup reads a group; all is there also where nothing is set for it.
func (a *API) theGroup(c *gin.Context) (store.Group, error) {
	ctx, sc, name := c.Request.Context(), who(c).Scope, c.Param("name")
	g, err := a.Store.Group(ctx, sc, name)
	if name == store.GroupAll && errors.Is(err, store.ErrNotFound) {
		now := a.Now()
		g = store.Group{Name: name, Kind: store.GroupBuiltIn, CreatedAt: now, UpdatedAt: now}
		if err = a.Store.AddGroup(ctx, sc, g); errors.Is(err, store.ErrExists) {
			return a.Store.Group(ctx, sc, name)
		}
	}
	return g, err
}

func (a *API) patchGroup(c *gin.Context) {
	var in groupInput
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if in.Name != "" || in.Kind != "" {
		a.fail(c, badRequest("a group keeps its name and kind: make another group instead"))
		return
	}
	g, err := a.theGroup(c)
	trusted := group.Trusted(g)
	if err == nil {
		err = in.onto(&g)
	}
	if err == nil && trusted && !group.Trusted(g) {
		err = a.noGrant(c, g.Name)
	}
	if err == nil {
		err = a.audit(c, "change group", g.Name, describe(g, in.Hosts))
	}
	if err == nil {
		g.UpdatedAt = a.Now()
		err = a.Store.UpdateGroup(c.Request.Context(), who(c).Scope, g)
	}
	if err == nil {
		err = a.fill(c, g, in.Hosts)
	}
	if err == nil {
		err = a.changed(c)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerGroup(c, http.StatusOK, g.Name)
}

// noGrant refuses to let a group that is somebody's grant go by what hosts say
// of themselves.
func (a *API) noGrant(c *gin.Context, name string) error {
	users, err := a.Store.ListUsers(c.Request.Context(), store.Everything())
	if err != nil {
		return err
	}
	for _, u := range users {
		if slices.Contains(u.Groups, name) {
			return &problem{http.StatusConflict, fmt.Sprintf("the group is in the grant of %s, and a grant does not go by what a host says of itself: use conditions over label, or change the grant first", u.Name)}
		}
	}
	return nil
}

func (a *API) deleteGroup(c *gin.Context) {
	name := c.Param("name")
	if name == store.GroupAll {
		a.fail(c, &problem{http.StatusConflict, "the group all cannot be deleted: every host is in it"})
		return
	}
	views, err := a.groupViews(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	i := slices.IndexFunc(views, func(v groupView) bool { return v.Name == name })
	if i < 0 {
		a.fail(c, fmt.Errorf("delete group %s: %w", name, store.ErrNotFound))
		return
	}
	var uses []string
	for what, names := range map[string][]string{"rules": views[i].Rules, "packs": views[i].Packs, "users": views[i].Users} {
		if len(names) > 0 {
			uses = append(uses, what+" "+strings.Join(names, ", "))
		}
	}
	slices.Sort(uses)
	if len(uses) > 0 {
		err = &problem{http.StatusConflict, fmt.Sprintf("the group %s is used by %s: give these to other groups first", name, strings.Join(uses, "; "))}
	}
	if err == nil {
		err = a.audit(c, "delete group", name, "")
	}
	if err == nil {
		err = a.Store.DeleteGroup(c.Request.Context(), who(c).Scope, name)
	}
	if err == nil {
		err = a.changed(c)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"ok": true})
}

func (a *API) changeMembers(c *gin.Context) {
	var in struct {
		Add    []string `json:"add"`
		Remove []string `json:"remove"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	g, err := a.theGroup(c)
	if err == nil && g.Kind != store.GroupManual {
		err = &problem{http.StatusConflict, "the hosts of group " + g.Name + " are not named by hand: change its conditions, or the labels of hosts"}
	}
	if err == nil && len(in.Add)+len(in.Remove) == 0 {
		err = badRequest("nothing is to be changed: give add or remove, lists of host ids")
	}
	if err == nil {
		err = a.audit(c, "change hosts of group", g.Name, "add "+strings.Join(in.Add, " ")+"; remove "+strings.Join(in.Remove, " "))
	}
	if err == nil {
		err = a.Store.ChangeMembers(c.Request.Context(), who(c).Scope, g.Name, in.Add, in.Remove)
	}
	if err == nil {
		err = a.changed(c)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	for _, id := range slices.Concat(in.Add, in.Remove) {
		a.Bus.Publish(live.Change{Topic: live.TopicHost, ID: id})
	}
	a.answerGroup(c, http.StatusOK, g.Name)
}

// checkGroup shows which hosts conditions would hold for.
func (a *API) checkGroup(c *gin.Context) {
	var in struct {
		Match      string            `json:"match"`
		Conditions []store.Condition `json:"conditions"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if in.Match != "" && in.Match != "all" && in.Match != "any" {
		a.fail(c, badRequest("there is no match %q; it is all or any", in.Match))
		return
	}
	match, err := group.Compile(in.Conditions, in.Match == "any")
	if err != nil {
		a.fail(c, badRequest("%v", err))
		return
	}
	hosts, err := a.Members.Matching(c.Request.Context(), who(c).Scope, match)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := []gin.H{}
	for _, h := range hosts[:min(len(hosts), 500)] {
		out = append(out, gin.H{"id": h.ID, "hostname": h.Details.Hostname})
	}
	c.JSON(http.StatusOK, gin.H{"hosts": out, "total": len(hosts),
		"trusted": group.Trusted(store.Group{Kind: store.GroupByRule, Conditions: in.Conditions})})
}

const maxLabels = 50

// patchHost sets a host's labels, by which it may join groups.
func (a *API) patchHost(c *gin.Context) {
	var in struct {
		Labels *[]string `json:"labels"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if in.Labels == nil {
		a.fail(c, badRequest("nothing is to be changed: give labels"))
		return
	}
	labels := slices.Clone(*in.Labels)
	slices.Sort(labels)
	labels = slices.Compact(labels)
	if len(labels) > maxLabels {
		a.fail(c, badRequest("a host has at most %d labels", maxLabels))
		return
	}
	for _, l := range labels {
		if !group.Label.MatchString(l) {
			a.fail(c, badRequest("the label %q will not do: use up to 100 letters, digits, blanks and . _ : / @ = -, beginning with a letter or digit", l))
			return
		}
	}
	ctx, sc := c.Request.Context(), who(c).Scope
	h, err := a.Store.Host(ctx, sc, c.Param("id"))
	if err == nil {
		err = a.audit(c, "set labels of host", h.ID, strings.Join(h.Labels, ", ")+" → "+strings.Join(labels, ", "))
	}
	if err == nil {
		err = a.Store.SetLabels(ctx, sc, h.ID, labels)
	}
	if err == nil {
		_, err = a.Members.Host(ctx, h.ID)
	}
	if err == nil {
		err = a.Content.HostChanged(ctx, h.ID)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.Bus.Publish(live.Change{Topic: live.TopicHost, ID: h.ID})
	a.getHost(c)
}
