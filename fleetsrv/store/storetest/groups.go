package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

func testGroups(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, id := range []string{"h1", "h2", "h3"} {
		host(t, s, all, id)
	}
	host(t, s, tenant2, "x1")
	g := store.Group{Name: "a", Kind: store.GroupManual, Description: "d", Priority: 7, CreatedAt: base, UpdatedAt: base,
		Settings: wire.Settings{Interval: 60, MonitorDirs: []string{"/etc"}, CPULimit: 2.5}}
	ok(t, s.AddGroup(ctx, all, g))
	is(t, s.AddGroup(ctx, all, g), store.ErrExists)
	is(t, s.AddGroup(ctx, groupA, store.Group{Name: "other"}), store.ErrNotFound)
	ok(t, s.AddGroup(ctx, all, store.Group{Name: "b", Kind: store.GroupByRule, MatchAny: true, Conditions: []store.Condition{{Field: "os", Op: "is", Value: "x"}}}))
	ok(t, s.AddGroup(ctx, tenant2, store.Group{Name: "a", Kind: store.GroupManual}))

	ok(t, s.SetMembers(ctx, all, "a", []string{"h1", "h2"}))
	is(t, s.SetMembers(ctx, all, "a", []string{"h3", "none"}), store.ErrNotFound)
	is(t, s.ChangeMembers(ctx, all, "a", []string{"x1"}, nil), store.ErrNotFound) // another tenant's
	members := func(want ...string) {
		t.Helper()
		have, err := s.Members(ctx, all, "a")
		ok(t, err)
		same(t, "members", fmt.Sprint(have), fmt.Sprint(want))
	}
	members("h1", "h2") // a change that fails changes nothing
	ok(t, s.ChangeMembers(ctx, all, "a", []string{"h3", "h3"}, []string{"h1"}))
	members("h2", "h3")
	ok(t, s.ChangeGroups(ctx, all, "h1", []string{"a", "b"}, []string{"none"}))
	members("h1", "h2", "h3")
	of, err := s.GroupsOf(ctx, all, "h1")
	ok(t, err)
	same(t, "groups of h1", fmt.Sprint(of), "[a all b]")
	ok(t, s.RemoveHost(ctx, all, "h3"))
	members("h1", "h2")

	have, err := s.Group(ctx, all, "a")
	ok(t, err)
	same(t, "group", words(have.Name, have.Kind, have.Description, have.Priority, have.HostCount, have.Settings.CPULimit, have.Settings.MonitorDirs), "a manual d 7 2 2.5 [/etc]")
	have, err = s.Group(ctx, all, "b")
	ok(t, err)
	same(t, "group by rule", words(have.MatchAny, have.Conditions), "true [{os is x}]")
	g.Description, g.Settings = "new", wire.Settings{}
	ok(t, s.UpdateGroup(ctx, all, g))
	have, err = s.Group(ctx, all, "a")
	ok(t, err)
	same(t, "changed", words(have.Description, have.Settings.Interval), "new 0")
	is(t, s.UpdateGroup(ctx, all, store.Group{Name: "none"}), store.ErrNotFound)

	// Everybody sees the groups of one's own and no others.
	list, err := s.ListGroups(ctx, groupA)
	ok(t, err)
	same(t, "list of one group", words(len(list), list[0].Name), "1 a")
	_, err = s.Group(ctx, groupA, "b")
	is(t, err, store.ErrNotFound)
	_, err = s.Members(ctx, groupA, "b")
	is(t, err, store.ErrNotFound)
	byHost, err := s.HostGroups(ctx, groupA)
	ok(t, err)
	same(t, "hosts of the group", len(byHost), 2)
	byHost, err = s.HostGroups(ctx, all)
	ok(t, err)
	same(t, "all hosts", words(len(byHost), byHost["h1"]), "2 [a all b]")

	// Hosts by group and label.
	ok(t, s.SetLabels(ctx, all, "h2", []string{"prod", "web"}))
	is(t, s.SetLabels(ctx, none, "h2", nil), store.ErrNotFound)
	for _, f := range []struct {
		f    store.HostFilter
		want string
	}{{store.HostFilter{Group: "b"}, "h1"}, {store.HostFilter{Label: "web"}, "h2"}, {store.HostFilter{Label: "we"}, ""}, {store.HostFilter{Group: "b", Label: "web"}, ""}} {
		f.f.Limit = 10
		l, err := s.ListHosts(ctx, all, f.f)
		ok(t, err)
		ids := []string{}
		for _, h := range l.Hosts {
			ids = append(ids, h.ID)
		}
		same(t, fmt.Sprintf("hosts by %+v", f.f), words(ids, l.Total), words(slices.DeleteFunc([]string{f.want}, func(v string) bool { return v == "" }), len(ids)))
	}

	// A group in use stays.
	ok(t, s.AddUser(ctx, all, store.User{Name: "u", Groups: []string{"a"}, CreatedAt: base}))
	is(t, s.DeleteGroup(ctx, all, "a"), store.ErrConflict)
	ok(t, s.DeleteUser(ctx, all, "u"))
	_, err = s.PutRule(ctx, all, store.Rule{ID: "r", Source: store.Console, Text: []byte("{}"), Version: "1"})
	ok(t, err)
	ok(t, s.TargetRule(ctx, all, "r", []string{"a"}))
	is(t, s.DeleteGroup(ctx, all, "a"), store.ErrConflict)
	ok(t, s.DeleteRule(ctx, all, "r"))
	ok(t, s.DeleteGroup(ctx, all, "a"))
	is(t, s.DeleteGroup(ctx, all, "a"), store.ErrNotFound)
	of, err = s.GroupsOf(ctx, all, "h1")
	ok(t, err)
	same(t, "groups of h1 without a", fmt.Sprint(of), "[all b]")
	_, err = s.Group(ctx, tenant2, "a")
	ok(t, err)
}

func testEdits(t *testing.T, s store.Store) {
	ctx := t.Context()
	r := func(id string) store.Rule {
		return store.Rule{ID: id, Source: store.Console, Text: []byte(`{"a":1}`), Version: "v1", Enabled: true, Written: "a: 1"}
	}
	ok(t, s.AddRules(ctx, all, []store.Rule{r("one"), r("two")}))
	is(t, s.AddRules(ctx, all, []store.Rule{r("three"), r("two")}), store.ErrExists)
	_, err := s.Rule(ctx, all, "three")
	is(t, err, store.ErrNotFound) // all or none
	have, err := s.Rule(ctx, all, "one")
	ok(t, err)
	same(t, "rule", words(have.Targets, have.Written, have.Enabled), "[all] a: 1 true")
	ok(t, s.ApproveRule(ctx, all, "one", "v1", "ann", base))
	ok(t, s.TargetRule(ctx, all, "one", []string{"a", "b"}))
	have, err = s.Rule(ctx, all, "one")
	ok(t, err)
	same(t, "given to other groups", words(have.Targets, have.ApprovedBy == ""), "[a b] true")
	// What is typed otherwise and means the same is kept, and approved still.
	ok(t, s.ApproveRule(ctx, all, "one", "v1", "ann", base))
	again := r("one")
	again.Written = "a: 1 # why"
	_, err = s.PutRule(ctx, all, again)
	ok(t, err)
	have, err = s.Rule(ctx, all, "one")
	ok(t, err)
	same(t, "typed again", words(have.Written, have.ApprovedBy, have.Targets), "a: 1 # why ann [a b]")
	is(t, s.TargetRule(ctx, all, "none", nil), store.ErrNotFound)
	is(t, s.DeleteRule(ctx, tenant2, "one"), store.ErrNotFound)
	ok(t, s.DeleteRule(ctx, all, "one"))
	is(t, s.DeleteRule(ctx, all, "one"), store.ErrNotFound)

	p := func(name string) store.Pack {
		return store.Pack{Name: name, Source: store.Console, Text: []byte(`{"q":1}`), Written: "typed", Disabled: true, Targets: []string{"a"}}
	}
	ok(t, s.AddPacks(ctx, all, []store.Pack{p("p1"), p("p2")}))
	is(t, s.AddPacks(ctx, all, []store.Pack{p("p3"), p("p1")}), store.ErrExists)
	_, err = s.Pack(ctx, all, "p3")
	is(t, err, store.ErrNotFound)
	ok(t, s.EnablePack(ctx, all, "p1", true))
	kept, err := s.Pack(ctx, all, "p1")
	ok(t, err)
	same(t, "pack", words(kept.Disabled, kept.Targets, kept.Written, string(kept.Text)), `false [a] typed {"q":1}`)
	approve := func(want int) {
		t.Helper()
		ok(t, s.ApprovePackQuery(ctx, all, store.PackApproval{Pack: "p1", Query: "q", Version: "old", By: "ann", At: base}))
		ok(t, s.ApprovePackQuery(ctx, all, store.PackApproval{Pack: "p1", Query: "q", Version: "v", By: "bob", At: base}))
		approvals(t, s, want)
	}
	is(t, s.ApprovePackQuery(ctx, all, store.PackApproval{Pack: "none", Query: "q"}), store.ErrNotFound)
	approve(1)
	list, err := s.PackApprovals(ctx, all)
	ok(t, err)
	same(t, "approval", words(list[0].Pack, list[0].Query, list[0].Version, list[0].By, list[0].At.Equal(base)), "p1 q v bob true")
	ok(t, s.UnapprovePackQuery(ctx, all, "p1", "q"))
	approvals(t, s, 0)
	// Other groups, another text, and no pack: each ends what was approved.
	approve(1)
	ok(t, s.TargetPack(ctx, all, "p1", []string{"b"}))
	approvals(t, s, 0)
	approve(1)
	changed := p("p1")
	changed.Text = []byte(`{"q":2}`)
	_, err = s.PutPack(ctx, all, changed)
	ok(t, err)
	approvals(t, s, 0)
	kept, err = s.Pack(ctx, all, "p1")
	ok(t, err)
	same(t, "edited", words(kept.Disabled, kept.Targets, string(kept.Text)), `false [b] {"q":2}`)
	approve(1)
	ok(t, s.DeletePack(ctx, all, "p1"))
	approvals(t, s, 0)
	is(t, s.DeletePack(ctx, all, "p1"), store.ErrNotFound)
	is(t, s.EnablePack(ctx, all, "p1", true), store.ErrNotFound)
	is(t, s.TargetPack(ctx, all, "p1", nil), store.ErrNotFound)
}

func approvals(t *testing.T, s store.Store, want int) {
	t.Helper()
	list, err := s.PackApprovals(t.Context(), all)
	ok(t, err)
	same(t, "approvals", len(list), want)
}
