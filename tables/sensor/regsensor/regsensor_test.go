package regsensor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/winreg"
	"github.com/aiedr/edr/tables/winreg/winregtest"
)

// told gathers what a sensor publishes.
type told struct {
	mu     sync.Mutex
	events []*event.Registry
	more   chan struct{}
}

func newTold() *told { return &told{more: make(chan struct{}, 1)} }

func (o *told) Publish(e event.Event) {
	o.mu.Lock()
	o.events = append(o.events, e.(*event.Registry))
	o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
}

func (o *told) Lost(uint64, string) {}

// wait waits until an event holds.
func (o *told) wait(t *testing.T, what string, holds func(*event.Registry) bool) *event.Registry {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		o.mu.Lock()
		i := slices.IndexFunc(o.events, holds)
		all := slices.Clone(o.events)
		o.mu.Unlock()
		if i >= 0 {
			return all[i]
		}
		select {
		case <-o.more:
		case <-deadline:
			t.Fatalf("no event %s among %s", what, lines(all))
		}
	}
}

func (o *told) take() []*event.Registry {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.events
	o.events = nil
	return out
}

func lines(events []*event.Registry) string {
	var out []string
	for _, e := range events {
		out = append(out, fmt.Sprintf("%s %s|%s|%s|%s|%s|%s", e.Action, e.Key, e.Value, e.DataType, e.Data, e.OldData, e.Category))
	}
	return strings.Join(out, "\n")
}

// hand is a notifier that a test plays.
type hand struct {
	mu     sync.Mutex
	keys   []string
	dirty  []string
	token  chan struct{}
	bad    chan struct{}
	why    error
	deaf   map[string]string
	closed bool
}

func newHand() *hand { return &hand{token: make(chan struct{}, 1), bad: make(chan struct{})} }

func (h *hand) watch(keys []string) map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys = keys
	return h.deaf
}
func (h *hand) changed() <-chan struct{} { return h.token }
func (h *hand) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.dirty
	h.dirty = nil
	return out
}
func (h *hand) failed() <-chan struct{} { return h.bad }
func (h *hand) err() error              { return h.why }
func (h *hand) close()                  { h.closed = true }

func (h *hand) notice(key string) {
	h.mu.Lock()
	h.dirty = append(h.dirty, key)
	h.mu.Unlock()
	h.token <- struct{}{}
}

func start(t *testing.T, tree *winregtest.Tree, h *hand, o Options) (*told, *running) {
	t.Helper()
	o.now = tree.Now
	if o.Drain == 0 {
		o.Drain = time.Microsecond
	}
	o = o.withDefaults()
	places, err := placesOf(o.Keys)
	if err != nil {
		t.Fatal(err)
	}
	m := &look{o: o, places: places, name: "made", tree: func() (winreg.Tree, error) { return tree, nil }}
	if h != nil {
		m.notify = func() (notifier, error) { return h, nil }
	}
	out := newTold()
	r, err := m.Start(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return out, r.(*running)
}

const (
	run   = `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run`
	alice = `HKEY_USERS\S-1-5-21-1`
	bob   = `HKEY_USERS\S-1-5-21-2`
	ours  = `HKEY_LOCAL_MACHINE\SOFTWARE\Ours`
)

func TestChangesAreTold(t *testing.T) {
	tree := winregtest.New(run, alice, alice+`_Classes`)
	tree.Set(run, "Old", winreg.TypeString, winregtest.Text("there before"))
	tree.Set(run, "Gone", winreg.TypeString, winregtest.Text("soon"))
	h := newHand()
	out, r := start(t, tree, h, Options{Keys: []string{`hklm\SOFTWARE\Ours\`}})
	if got := out.take(); got != nil {
		t.Fatalf("what was there at the start was told: %s", lines(got))
	}
	if !slices.Contains(h.keys, run) || !slices.Contains(h.keys, ours) || !slices.Contains(h.keys, alice+`\Environment`) {
		t.Errorf("watched: %q", h.keys)
	}
	for _, k := range h.keys {
		if strings.Contains(k, "_Classes") || strings.Contains(k, winreg.CurrentUser) {
			t.Errorf("watched: %s", k)
		}
	}

	tree.Tick(time.Minute)
	changed := tree.Now()
	tree.Set(run, "Old", winreg.TypeString, winregtest.Text("now evil"))
	tree.Set(run, "", winreg.TypeDWord, []byte{1, 0, 0, 0})
	tree.Unset(run, "gone")
	tree.Set(ours+`\Deep\Deeper`, "x", winreg.TypeBinary, []byte{0xab})
	tree.Tick(time.Minute)
	h.notice(run)
	h.notice(ours)
	e := out.wait(t, "below -regs", func(e *event.Registry) bool { return e.Value == "x" })
	if !e.When().Equal(changed) || e.Source != "made" || e.PID != 0 {
		t.Errorf("time %v, want %v; source %q", e.When(), changed, e.Source)
	}
	want := strings.Join([]string{
		`deleted ` + run + `|Gone|REG_SZ|soon||autostart`,
		`created ` + run + `|(Default)|REG_DWORD|1||autostart`,
		`modified ` + run + `|Old|REG_SZ|now evil|there before|autostart`,
		`created ` + ours + `||subkey|||regs`,
		`created ` + ours + `\Deep||subkey|||regs`,
		`created ` + ours + `\Deep\Deeper||subkey|||regs`,
		`created ` + ours + `\Deep\Deeper|x|REG_BINARY|AB||regs`,
	}, "\n")
	if got := lines(out.take()); got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}

	tree.Remove(ours)
	h.notice(ours)
	out.wait(t, "of the end", func(e *event.Registry) bool {
		return e.Action == "deleted" && e.Key == ours+`\Deep\Deeper` && e.DataType == subkeyType
	})
	if got := lines(out.take()); !strings.Contains(got, `deleted `+ours+`\Deep\Deeper|x|REG_BINARY|AB|`) {
		t.Errorf("told\n%s", got)
	}
	if text, less := r.Describe(); less || !strings.Contains(text, "1 users") {
		t.Errorf("%s, %v", text, less)
	}
}

func TestUsersComeAndGo(t *testing.T) {
	tree := winregtest.New(alice)
	out, r := start(t, tree, newHand(), Options{})
	tree.Set(bob+`\Environment`, "UserInitMprLogonScript", winreg.TypeString, winregtest.Text("before the logon"))
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	if got := out.take(); got != nil {
		t.Errorf("a user who logs on: %s", lines(got))
	}
	tree.Tick(time.Minute)
	tree.Set(bob+`\Environment`, "UserInitMprLogonScript", winreg.TypeString, winregtest.Text("after"))
	r.compareAll()
	if got := lines(out.take()); !strings.Contains(got, `modified `+bob+`\Environment|UserInitMprLogonScript|REG_SZ|after|before the logon|autostart`) {
		t.Errorf("told %s", got)
	}
	tree.Remove(bob)
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	r.compareAll()
	if got := out.take(); got != nil {
		t.Errorf("a user who logs off: %s", lines(got))
	}
}

func TestUnreadableIsSaidAndNotTakenForGone(t *testing.T) {
	tree := winregtest.New(alice)
	tree.Set(run+`\Sub`, "x", winreg.TypeString, winregtest.Text("1"))
	out, r := start(t, tree, newHand(), Options{})
	tree.Tick(time.Minute)
	tree.Deny(run)
	r.compareAll()
	if got := out.take(); got != nil {
		t.Errorf("told %s", lines(got))
	}
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	if text, less := r.Describe(); !less || !strings.Contains(text, "access denied") {
		t.Errorf("%q, %v", text, less)
	}
}

func TestBoundsAreSaid(t *testing.T) {
	tree := winregtest.New(alice)
	for i := range 50 {
		tree.Add(fmt.Sprintf(`%s\%02d`, ours, i))
	}
	out, r := start(t, tree, newHand(), Options{Keys: []string{ours}, MaxKeys: 20})
	r.compareAll()
	if got := out.take(); got != nil {
		t.Errorf("told %s", lines(got))
	}
	if text, less := r.Describe(); !less || !strings.Contains(text, "more than 20 keys") {
		t.Errorf("%q, %v", text, less)
	}
	long := strings.Repeat("a", 3*maxText)
	if a, b := clip(long), clip(long+"b"); a == b || len(a) > maxText+200 {
		t.Errorf("%d bytes, the same: %v", len(a), a == b)
	}
}

func TestUnchangedKeysAreNotReadAgain(t *testing.T) {
	tree := winregtest.New(alice)
	for i := range 100 {
		tree.Set(fmt.Sprintf(`%s\%02d`, ours, i), "x", winreg.TypeString, winregtest.Text("1"))
	}
	tree.Tick(time.Hour)
	out, r := start(t, tree, newHand(), Options{Keys: []string{ours}})
	before := tree.Reads
	tree.Set(ours+`\07`, "x", winreg.TypeString, winregtest.Text("2"))
	r.compareAll()
	if n := tree.Reads - before; n > 3 {
		t.Errorf("%d keys were read for one that changed", n)
	}
	// Within the clock's granularity a second change leaves the time as it was.
	tree.Set(ours+`\07`, "x", winreg.TypeString, winregtest.Text("3"))
	r.compareAll()
	if got := lines(out.take()); !strings.HasSuffix(got, `|3|2|regs`) {
		t.Errorf("told %s", got)
	}
}

func TestDeafIsSaidAndFailureEnds(t *testing.T) {
	tree := winregtest.New(alice)
	h := newHand()
	h.deaf = map[string]string{run: "no notices for it"}
	_, r := start(t, tree, h, Options{})
	if text, less := r.Describe(); !less || !strings.Contains(text, "no notices for it") {
		t.Errorf("%q, %v", text, less)
	}
	h.why = context.DeadlineExceeded
	close(h.bad)
	<-r.Done()
	if r.Err() == nil || !h.closed {
		t.Errorf("%v, closed %v", r.Err(), h.closed)
	}
}

func TestPollingFindsChanges(t *testing.T) {
	tree := winregtest.New(alice)
	out, r := start(t, tree, nil, Options{Interval: time.Millisecond})
	tree.Set(run, "New", winreg.TypeString, winregtest.Text("x"))
	out.wait(t, "by polling", func(e *event.Registry) bool { return e.Value == "New" })
	if text, less := r.Describe(); !less || !strings.Contains(text, "compares every") {
		t.Errorf("%q, %v", text, less)
	}
}

func TestKeysThatAreNone(t *testing.T) {
	for key, want := range map[string]string{
		`C:\Windows`: "HKEY_LOCAL_MACHINE", `HKLM\SOFTWARE\*`: "in full", ``: "HKLM",
	} {
		if _, err := Spec(Options{Keys: []string{key}}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "-regs") {
			t.Errorf("%q: %v", key, err)
		}
	}
	places, err := placesOf([]string{`HKLM\SOFTWARE\Microsoft`, `HKCU\Software`})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range resolve(places, []string{"S-1-5-18"}) {
		if below(p.key, `hkey_local_machine\software\microsoft`) || below(p.key, `HKEY_USERS\S-1-5-18\Software`) {
			t.Errorf("%s is watched twice", p.key)
		}
	}
	var _ sensor.Mechanism = &look{}
}
