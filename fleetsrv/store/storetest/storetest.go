// Package storetest is the contract of a store: every backend runs it whole.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// Open makes an empty store; the suite closes it.
type Open func(t *testing.T) store.Store

var (
	all     = store.Everything()
	tenant2 = store.Scope{Tenant: "other", Groups: []string{store.GroupAll}}
	groupA  = store.Scope{Tenant: store.DefaultTenant, Groups: []string{"a"}}
	none    = store.Scope{Tenant: store.DefaultTenant}
	base    = time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.UTC)
)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, store.Store){
		"enrolment":        testEnrolment,
		"hosts":            testHosts,
		"serials":          testSerials,
		"problems":         testProblems,
		"delivery":         testDelivery,
		"delivery is one":  testDeliveryIsOne,
		"alerts":           testAlerts,
		"results":          testResults,
		"outcomes":         testOutcomes,
		"responses":        testResponses,
		"queries":          testQueries,
		"query ends":       testQueryEnds,
		"users":            testUsers,
		"sessions":         testSessions,
		"rules":            testRules,
		"packs":            testPacks,
		"audit":            testAudit,
		"scope":            testScope,
		"exports":          testExports,
		"export cursors":   testExportCursors,
		"groups":           testGroups,
		"edits":            testEdits,
		"events":           testEvents,
		"notes":            testNotes,
		"trends":           testTrends,
		"pruning":          testPruning,
		"alert quota":      testQuota,
		"config serials":   testConfigSerials,
		"writers together": testWritersTogether,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			test(t, s)
		})
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func same[T comparable](t *testing.T, what string, have, want T) {
	t.Helper()
	if have != want {
		t.Fatalf("%s: %v, want %v", what, have, want)
	}
}

// words is values as text with a space between each.
func words(v ...any) string { return strings.TrimSpace(fmt.Sprintln(v...)) }

func token(t *testing.T, s store.Store, sc store.Scope, secret string, uses int) {
	t.Helper()
	ok(t, s.AddEnrolment(t.Context(), sc, store.Enrolment{ID: "e" + secret, Hash: []byte(secret), Note: "n", By: "b",
		CreatedAt: base, ExpiresAt: base.Add(time.Hour), Uses: uses}))
}

// host enrols a host; its fingerprint is its id.
func host(t *testing.T, s store.Store, sc store.Scope, id string, groups ...string) store.Host {
	t.Helper()
	if _, err := s.HostByKey(t.Context(), sc, "fp-"+id); err == nil {
		t.Fatalf("host %s is there", id)
	}
	token(t, s, sc, "tok-"+id, 1)
	h, added, err := s.Enrol(t.Context(), sc, []byte("tok-"+id), store.Host{ID: id, Fingerprint: "fp-" + id, PublicKey: []byte("key-" + id),
		Details: wire.HostDetails{Hostname: "name-" + id, OS: "Test"}, EnrolledAt: base, LastSeen: base, Groups: append(groups, store.GroupAll)}, base)
	ok(t, err)
	if !added {
		t.Fatalf("host %s was not added", id)
	}
	return h
}

func item(n uint64, content string) store.Item {
	hash := make([]byte, 32)
	copy(hash, content)
	return store.Item{Number: n, Hash: hash, Time: base, Kind: wire.KindHit}
}

func hitItem(n uint64, id, entity string, at time.Time) store.Item {
	it := item(n, "hit "+id)
	it.Hit = &wire.Hit{ID: id, Rule: wire.RuleRef{ID: "r", Name: "Rule", Version: "v"}, Severity: wire.High, Title: "T", Time: at, Entity: entity, Count: 1,
		Table: "process_events", Event: []wire.Field{{Name: "pid", Value: wire.ValueOf(int64(7))}}, Process: &wire.Process{PID: 7, StartTime: 9, Name: "p"}}
	return it
}

func receive(t *testing.T, s store.Store, host string, items ...store.Item) store.Changes {
	t.Helper()
	var last uint64
	for _, it := range items {
		last = max(last, it.Number)
	}
	ch, err := s.Receive(t.Context(), all, store.Delivery{Host: host, Outbox: "o", Items: items, Contiguous: last, Time: base})
	ok(t, err)
	return ch
}

func testEnrolment(t *testing.T, s store.Store) {
	ctx := t.Context()
	h := store.Host{ID: "h1", Fingerprint: "f1", PublicKey: []byte("k"), EnrolledAt: base}
	_, _, err := s.Enrol(ctx, all, []byte("nothing"), h, base)
	is(t, err, store.ErrNotFound)
	token(t, s, all, "once", 1)
	token(t, s, all, "twice", 2)
	_, _, err = s.Enrol(ctx, all, []byte("once"), h, base.Add(2*time.Hour))
	is(t, err, store.ErrNotFound) // expired
	_, _, err = s.Enrol(ctx, tenant2, []byte("once"), h, base)
	is(t, err, store.ErrNotFound) // another tenant's
	kept, added, err := s.Enrol(ctx, all, []byte("once"), h, base)
	ok(t, err)
	same(t, "added", added, true)
	same(t, "state", kept.State, store.HostAdmitted)
	// The same key again uses nothing and changes nothing.
	kept, added, err = s.Enrol(ctx, all, []byte("once"), store.Host{ID: "other", Fingerprint: "f1"}, base)
	ok(t, err)
	same(t, "added again", added, false)
	same(t, "id", kept.ID, "h1")
	_, _, err = s.Enrol(ctx, all, []byte("once"), store.Host{ID: "h2", Fingerprint: "f2"}, base)
	is(t, err, store.ErrNotFound) // used up
	// A key without a token waits; a good token admits it.
	kept, _, err = s.Enrol(ctx, all, nil, store.Host{ID: "h3", Fingerprint: "f3"}, base)
	ok(t, err)
	same(t, "state", kept.State, store.HostPending)
	kept, added, err = s.Enrol(ctx, all, []byte("twice"), store.Host{ID: "x", Fingerprint: "f3"}, base)
	ok(t, err)
	same(t, "state", kept.State, store.HostAdmitted)
	same(t, "id", kept.ID, "h3")
	same(t, "added", added, true)
	list, err := s.ListEnrolments(ctx, all)
	ok(t, err)
	used := map[string]int{}
	for _, e := range list {
		used[e.ID] = e.Used
		if len(e.Hash) != 0 {
			t.Error("a list shows the hash of a token")
		}
	}
	same(t, "uses", words(used), "map[eonce:1 etwice:1]")
	ok(t, s.DeleteEnrolment(ctx, all, "etwice"))
	is(t, s.DeleteEnrolment(ctx, all, "etwice"), store.ErrNotFound)
	_, _, err = s.Enrol(ctx, all, []byte("twice"), store.Host{ID: "h4", Fingerprint: "f4"}, base)
	is(t, err, store.ErrNotFound)
}

func testHosts(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "b")
	host(t, s, all, "a")
	_, _, err := s.Enrol(ctx, all, nil, store.Host{ID: "p", Fingerprint: "fp-p", EnrolledAt: base}, base)
	ok(t, err)
	ok(t, s.SeeHosts(ctx, all, map[string]store.Sighting{"a": {Time: base.Add(time.Hour), Address: "10.0.0.1"}, "unknown": {Time: base}}))
	ok(t, s.SeeHosts(ctx, all, map[string]store.Sighting{"a": {Time: base.Add(time.Minute)}})) // never back
	h, err := s.Host(ctx, all, "a")
	ok(t, err)
	same(t, "last seen", h.LastSeen, base.Add(time.Hour))
	same(t, "address", h.Address, "10.0.0.1")
	same(t, "key", string(h.PublicKey), "key-a")
	f := store.HostFilter{Online: base.Add(30 * time.Minute), Limit: 10}
	list, err := s.ListHosts(ctx, all, f)
	ok(t, err)
	same(t, "counts", words(list.Online, list.Offline, list.Waiting, list.Total, len(list.Hosts)), "1 1 1 3 3")
	for status, want := range map[string]string{"online": "[a]", "offline": "[b]", "pending": "[p]"} {
		f.Status = status
		list, err := s.ListHosts(ctx, all, f)
		ok(t, err)
		var ids []string
		for _, h := range list.Hosts {
			ids = append(ids, h.ID)
		}
		same(t, status, words(ids), want)
		same(t, status+" total", list.Total, 1)
	}
	f.Status, f.Text = "", "name-%"
	list, err = s.ListHosts(ctx, all, f)
	ok(t, err)
	same(t, "a wildcard is text", list.Total, 0)
	f.Text = "NAME-B"
	list, err = s.ListHosts(ctx, all, f)
	ok(t, err)
	same(t, "found by name", list.Total, 1)
	f.Text, f.Limit, f.Offset = "", 1, 1
	list, err = s.ListHosts(ctx, all, f)
	ok(t, err)
	same(t, "second page", words(len(list.Hosts), list.Total), "1 3")
	ids, err := s.HostIDs(ctx, all)
	ok(t, err)
	same(t, "ids", words(ids), "[a b]")
	ok(t, s.SetDetails(ctx, all, "a", wire.HostDetails{Hostname: "new", UUID: "u"}))
	ok(t, s.AdmitHost(ctx, all, "p"))
	is(t, s.AdmitHost(ctx, all, "p"), store.ErrConflict)
	is(t, s.AdmitHost(ctx, all, "none"), store.ErrNotFound)
	ok(t, s.RemoveHost(ctx, all, "a"))
	is(t, s.RemoveHost(ctx, all, "a"), store.ErrNotFound)
	_, err = s.Host(ctx, all, "a")
	is(t, err, store.ErrNotFound)
	// Its key is known all the same, so that it is refused for good.
	h, err = s.HostByKey(ctx, all, "fp-a")
	ok(t, err)
	same(t, "state", h.State, store.HostRemoved)
	_, err = s.Receive(ctx, all, store.Delivery{Host: "a", Outbox: "o", Items: []store.Item{item(1, "x")}, Contiguous: 1})
	is(t, err, store.ErrNotFound)
}

func testSerials(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	var last uint64
	for _, n := range []int{1, 16, 1, 3} {
		first, err := s.NextSerials(ctx, all, "h", n)
		ok(t, err)
		same(t, "first serial", first, last+1)
		last = first + uint64(n) - 1
	}
	_, err := s.NextSerials(ctx, all, "none", 1)
	is(t, err, store.ErrNotFound)
}

func testProblems(t *testing.T, s store.Store) {
	ctx := t.Context()
	host(t, s, all, "h")
	for i := range 3 {
		ok(t, s.AddProblem(ctx, all, "h", wire.Problem{Time: base.Add(time.Duration(i) * time.Second), Source: "s", Error: "e", Count: 2}))
	}
	list, err := s.Problems(ctx, all, "h", 10)
	ok(t, err)
	same(t, "one problem", len(list), 1)
	same(t, "count", list[0].Count, 6)
	same(t, "time", list[0].Time, base.Add(2*time.Second))
	for i := range 300 {
		ok(t, s.AddProblem(ctx, all, "h", wire.Problem{Time: base.Add(time.Duration(i) * time.Minute), Source: "s", Error: fmt.Sprint("invented ", i), Count: 1}))
	}
	list, err = s.Problems(ctx, all, "h", 1000)
	ok(t, err)
	if len(list) > 250 || list[0].Error != "invented 299" {
		t.Errorf("%d problems are kept, the newest is %q", len(list), list[0].Error)
	}
}

func testUsers(t *testing.T, s store.Store) {
	ctx := t.Context()
	u := store.User{Name: "ann", Hash: "h", Role: "admin", Classes: []string{"inventory"}, Groups: []string{"all"}, MustChange: true, CreatedAt: base}
	ok(t, s.AddUser(ctx, all, u))
	is(t, s.AddUser(ctx, all, u), store.ErrExists)
	have, err := s.User(ctx, all, "ann")
	ok(t, err)
	same(t, "user", words(have.Hash, have.Role, have.Classes, have.Groups, have.MustChange, have.CreatedAt.Equal(base)), "h admin [inventory] [all] true true")
	_, err = s.User(ctx, all, "bob")
	is(t, err, store.ErrNotFound)
	have.Role = "viewer"
	ok(t, s.UpdateUser(ctx, all, have, false))
	list, err := s.ListUsers(ctx, all)
	ok(t, err)
	same(t, "role", list[0].Role, "viewer")
	ok(t, s.DeleteUser(ctx, all, "ann"))
	is(t, s.DeleteUser(ctx, all, "ann"), store.ErrNotFound)
	is(t, s.UpdateUser(ctx, all, have, false), store.ErrNotFound)
}

func testSessions(t *testing.T, s store.Store) {
	ctx := t.Context()
	u := store.User{Name: "ann", Role: "admin", CreatedAt: base}
	ok(t, s.AddUser(ctx, all, u))
	session := store.Session{Hash: []byte("s1"), User: "ann", CSRF: "c", CreatedAt: base, ExpiresAt: base.Add(time.Hour)}
	ok(t, s.AddSession(ctx, all, session))
	have, who, err := s.SessionByHash(ctx, all, []byte("s1"), base)
	ok(t, err)
	same(t, "session", have.CSRF+who.Name, "cann")
	_, _, err = s.SessionByHash(ctx, all, []byte("s1"), base.Add(time.Hour))
	is(t, err, store.ErrNotFound)
	ok(t, s.DeleteSession(ctx, all, []byte("s1")))
	_, _, err = s.SessionByHash(ctx, all, []byte("s1"), base)
	is(t, err, store.ErrNotFound)
	ok(t, s.AddSession(ctx, all, session))
	ok(t, s.UpdateUser(ctx, all, u, true))
	_, _, err = s.SessionByHash(ctx, all, []byte("s1"), base)
	is(t, err, store.ErrNotFound)

	ok(t, s.AddToken(ctx, all, store.Token{Hash: []byte("t1"), User: "ann", Note: "n", CreatedAt: base}))
	ok(t, s.AddToken(ctx, all, store.Token{Hash: []byte("t2"), User: "ann", CreatedAt: base, ExpiresAt: base.Add(time.Hour)}))
	is(t, s.AddToken(ctx, all, store.Token{Hash: []byte("t3"), User: "nobody"}), store.ErrNotFound)
	_, who, err = s.TokenByHash(ctx, all, []byte("t1"), base.Add(1000*time.Hour))
	ok(t, err)
	same(t, "tokens", who.Tokens, 2)
	_, _, err = s.TokenByHash(ctx, all, []byte("t2"), base.Add(time.Hour))
	is(t, err, store.ErrNotFound)
	ok(t, s.DeleteUser(ctx, all, "ann"))
	_, _, err = s.TokenByHash(ctx, all, []byte("t1"), base)
	is(t, err, store.ErrNotFound)
}

func testRules(t *testing.T, s store.Store) {
	ctx := t.Context()
	r := store.Rule{ID: "r", Source: store.Builtin, Text: []byte(`{"a":1}`), Version: "v1", Enabled: true}
	changed, err := s.PutRule(ctx, all, r)
	ok(t, err)
	same(t, "changed", changed, true)
	changed, err = s.PutRule(ctx, all, r)
	ok(t, err)
	same(t, "changed again", changed, false)
	is(t, s.ApproveRule(ctx, all, "r", "v2", "ann", base), store.ErrConflict)
	is(t, s.ApproveRule(ctx, all, "none", "v1", "ann", base), store.ErrNotFound)
	ok(t, s.ApproveRule(ctx, all, "r", "v1", "ann", base))
	have, err := s.Rule(ctx, all, "r")
	ok(t, err)
	same(t, "approved", have.ApprovedBy+have.ApprovedAt.String(), "ann"+base.String())
	ok(t, s.EnableRule(ctx, all, "r", false))
	// A new text keeps the switch and loses the approval; the old text again does not bring it back.
	r.Version, r.Text = "v2", []byte(`{"a":2}`)
	_, err = s.PutRule(ctx, all, r)
	ok(t, err)
	r.Version, r.Text = "v1", []byte(`{"a":1}`)
	_, err = s.PutRule(ctx, all, r)
	ok(t, err)
	have, err = s.Rule(ctx, all, "r")
	ok(t, err)
	same(t, "after edits", words(have.ApprovedBy, have.Enabled, string(have.Text)), `false {"a":1}`)
	ok(t, s.ApproveRule(ctx, all, "r", "v1", "ann", base))
	ok(t, s.UnapproveRule(ctx, all, "r"))
	have, err = s.Rule(ctx, all, "r")
	ok(t, err)
	same(t, "withdrawn", have.ApprovedBy, "")
	_, err = s.PutRule(ctx, all, store.Rule{ID: "mine", Source: store.Local, Text: []byte("{}"), Version: "v"})
	ok(t, err)
	ok(t, s.RetainContent(ctx, all, store.Builtin, []string{}, []string{}))
	list, err := s.ListRules(ctx, all)
	ok(t, err)
	same(t, "what is left", words(len(list), list[0].ID), "1 mine")
}

func testPacks(t *testing.T, s store.Store) {
	ctx := t.Context()
	p := store.Pack{Name: "p", Source: store.Builtin, Text: []byte(`{"q":1}`)}
	for i, want := range []bool{true, false} {
		changed, err := s.PutPack(ctx, all, p)
		ok(t, err)
		same(t, fmt.Sprint("changed ", i), changed, want)
	}
	list, err := s.ListPacks(ctx, all)
	ok(t, err)
	same(t, "pack", string(list[0].Text), `{"q":1}`)
	v, err := s.Setting(ctx, all, "k")
	ok(t, err)
	same(t, "unset", v, "")
	ok(t, s.SetSetting(ctx, all, "k", "1"))
	ok(t, s.SetSetting(ctx, all, "k", "2"))
	v, err = s.Setting(ctx, all, "k")
	ok(t, err)
	same(t, "set", v, "2")
	v, err = s.Setting(ctx, tenant2, "k")
	ok(t, err)
	same(t, "another tenant's", v, "")
}

func testAudit(t *testing.T, s store.Store) {
	ctx := t.Context()
	for i := range 5 {
		ok(t, s.AddAudit(ctx, all, store.AuditEntry{Time: base, User: "ann", Address: "a", Action: fmt.Sprint("act ", i), Object: "o", Detail: "d"}))
	}
	list, err := s.ListAudit(ctx, all, 0, 2)
	ok(t, err)
	same(t, "newest first", list[0].Action+list[1].Action, "act 4act 3")
	list, err = s.ListAudit(ctx, all, list[1].ID, 10)
	ok(t, err)
	same(t, "the rest", words(len(list), list[0].Action), "3 act 2")
	list, err = s.ListAudit(ctx, tenant2, 0, 10)
	ok(t, err)
	same(t, "another tenant's", len(list), 0)
}

// testWritersTogether: writes that share a transaction neither lose nor undo
// each other.
func testWritersTogether(t *testing.T, s store.Store) {
	ctx := context.WithoutCancel(t.Context())
	host(t, s, all, "h")
	const n = 200
	errs := make(chan error, n)
	for i := range n {
		go func() {
			if i%4 == 0 { // fails, beside the others
				err := s.AddUser(ctx, all, store.User{Name: "taken", CreatedAt: base})
				if errors.Is(err, store.ErrExists) {
					err = nil
				}
				errs <- err
				return
			}
			_, err := s.Receive(ctx, all, store.Delivery{Host: "h", Outbox: "o", Items: []store.Item{hitItem(uint64(i), fmt.Sprint("hit ", i), "e", base)}, Contiguous: uint64(i)})
			errs <- err
		}()
	}
	for range n {
		ok(t, <-errs)
	}
	list, err := s.ListAlerts(ctx, all, store.AlertFilter{Limit: 10})
	ok(t, err)
	same(t, "alerts", len(list.Alerts), 1)
	same(t, "count", list.Alerts[0].Count, n-n/4)
	users, err := s.ListUsers(ctx, all)
	ok(t, err)
	same(t, "users", len(users), 1)
}
