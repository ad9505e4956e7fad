package auth

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPasswords(t *testing.T) {
	h, err := HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	again, err := HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if h == again || strings.Contains(h, "horse") || !strings.HasPrefix(h, "$argon2id$") {
		t.Errorf("hashes %s, %s", h, again)
	}
	for _, c := range []struct {
		hash, password string
		want           bool
	}{
		{h, "correct horse", true}, {h, "correct horsE", false}, {h, "", false}, {"", "", false}, {"", "anything", false},
		{"plain", "plain", false}, {"$argon2id$v=19$m=1,t=0,p=0$AAAA$AAAA", "x", false}, {"$argon2id$v=19$m=99999999,t=1,p=1$AAAA$AAAA", "x", false},
		{"$argon2id$v=19$m=64,t=1,p=1$AAAA$", "x", false}, {h, strings.Repeat("x", MaxPassword+1), false},
	} {
		if got := VerifyPassword(c.hash, c.password); got != c.want {
			t.Errorf("%.30s %.20q: %v, want %v", c.hash, c.password, got, c.want)
		}
	}
	for _, bad := range []string{"", "short", strings.Repeat("x", MaxPassword+1), "ANNANNANNANN"} {
		if CheckPassword("annannannann", bad) == nil {
			t.Errorf("%.20q is accepted", bad)
		}
	}
	if err := CheckPassword("ann", "длинный пароль"); err != nil {
		t.Error(err)
	}
}

func TestThrottle(t *testing.T) {
	now := time.Unix(1e9, 0)
	th := NewThrottle(func() time.Time { return now })
	for i := range freeUser {
		if w := th.Begin("ann", "a"); w != 0 {
			t.Fatalf("failure %d waits %s", i, w)
		}
	}
	w := th.Begin("ann", "b")
	if w <= 0 {
		t.Fatal("a guess from another address goes on at once")
	}
	if w := th.Begin("bob", "a"); w != 0 {
		t.Errorf("another user at the same address waits %s", w)
	}
	// Each further failure doubles the wait.
	last := w
	for range 4 {
		now = now.Add(last)
		if w := th.Begin("ann", "c"); w != 0 {
			t.Fatalf("after its wait it waits %s", w)
		}
		w := th.Begin("ann", "c")
		if w <= last {
			t.Fatalf("the wait %s is no longer than %s", w, last)
		}
		last = w
	}
	// Success forgets, and so does time.
	now = now.Add(last)
	th.Begin("ann", "c")
	th.Succeed("ann", "c")
	if w := th.Begin("ann", "c"); w != 0 {
		t.Errorf("after a success it waits %s", w)
	}
	for i := range freeAddress + 5 {
		th.Begin(fmt.Sprint("user", i), "spray")
	}
	if th.Begin("fresh", "spray") == 0 {
		t.Error("one address tries as many names as it likes")
	}
	now = now.Add(forgetAfter + time.Minute)
	if w := th.Begin("fresh", "spray"); w != 0 {
		t.Errorf("a quiet time is not forgotten: %s", w)
	}
	for i := range maxTracked + 100 {
		th.Begin(fmt.Sprint("many", i), fmt.Sprint("addr", i))
	}
	if len(th.seen) > maxTracked+2 {
		t.Errorf("%d are tracked", len(th.seen))
	}
}

func TestRights(t *testing.T) {
	for _, c := range []struct {
		role Role
		has  []Right
		not  []Right
	}{
		{Admin, []Right{Respond, Query, Triage, Rules, Hosts, Users, Audit}, nil},
		{Responder, []Right{Respond, Query, Triage, Rules}, []Right{Hosts, Users, Audit}},
		{Analyst, []Right{Query, Triage, Rules}, []Right{Respond, Hosts, Users, Audit}},
		{Viewer, nil, []Right{Respond, Query, Triage, Rules, Hosts, Users, Audit}},
		{Role("invented"), nil, []Right{Respond, Query, Users}},
	} {
		p := &Principal{Role: c.role}
		for _, r := range c.has {
			if !p.Can(r) {
				t.Errorf("%s lacks %s", c.role, r)
			}
		}
		for _, r := range c.not {
			if p.Can(r) {
				t.Errorf("%s has %s", c.role, r)
			}
		}
	}
	p := &Principal{Classes: []string{"inventory"}}
	if !p.MayRead(nil) || !p.MayRead([]string{"inventory"}) || p.MayRead([]string{"inventory", "secret"}) || p.MayRead([]string{"a class of later"}) {
		t.Error("data classes are not held apart")
	}
	if _, err := ParseRole("root"); err == nil {
		t.Error("there is a role root")
	}
}
