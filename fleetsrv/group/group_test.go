package group

import (
	"reflect"
	"strings"
	"testing"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

func TestMatch(t *testing.T) {
	h := &store.Host{Labels: []string{"prod", "web"}, Details: wire.HostDetails{Hostname: "Web-01.example", OS: "Debian GNU/Linux 12", Platform: "linux",
		Arch: "amd64", Kernel: "6.1.0", AgentVersion: "1.2.3"}}
	bare := &store.Host{}
	for _, c := range []struct {
		field, op, value string
		want, bare       bool
	}{
		{"hostname", "is", "WEB-01.EXAMPLE", true, false},
		{"hostname", "startswith", "web-", true, false},
		{"hostname", "endswith", ".EXAMPLE", true, false},
		{"hostname", "matches", `^Web-\d+`, true, false},
		{"hostname", "matches", `^web-\d+`, false, false}, // case counts here
		{"os", "contains", "debian", true, false},
		{"platform", "is_not", "windows", true, true},
		{"platform", "is_not", "linux", false, true},
		{"arch", "is", "amd64", true, false},
		{"kernel", "startswith", "6.", true, false},
		{"agent_version", "is", "1.2", false, false},
		{"label", "is", "web", true, false},
		{"label", "is", "db", false, false},
		{"label", "is_not", "web", false, true}, // none of them is
		{"label", "is_not", "db", true, true},
		{"label", "is", "", false, true}, // has no label
	} {
		m, err := Compile([]store.Condition{{Field: c.field, Op: c.op, Value: c.value}}, false)
		if err != nil {
			t.Fatal(err)
		}
		if m.Match(h) != c.want || m.Match(bare) != c.bare {
			t.Errorf("%s %s %q: %v and %v, want %v and %v", c.field, c.op, c.value, m.Match(h), m.Match(bare), c.want, c.bare)
		}
	}
	two := []store.Condition{{Field: "label", Op: "is", Value: "prod"}, {Field: "platform", Op: "is", Value: "windows"}}
	for _, any := range []bool{false, true} {
		m, err := Compile(two, any)
		if err != nil {
			t.Fatal(err)
		}
		if m.Match(h) != any || m.Match(bare) {
			t.Errorf("any %v: %v, %v", any, m.Match(h), m.Match(bare))
		}
	}
}

func TestTrusted(t *testing.T) {
	label := store.Condition{Field: "label", Op: "is", Value: "x"}
	said := store.Condition{Field: "os", Op: "is", Value: "x"}
	for want, groups := range map[bool][]store.Group{
		true:  {{Kind: store.GroupManual}, {Kind: store.GroupBuiltIn}, {Kind: store.GroupByRule, Conditions: []store.Condition{label, label}}},
		false: {{Kind: store.GroupByRule, Conditions: []store.Condition{said}}, {Kind: store.GroupByRule, Conditions: []store.Condition{label, said}}},
	} {
		for _, g := range groups {
			if Trusted(g) != want {
				t.Errorf("%+v: trusted %v", g, !want)
			}
		}
	}
}

func TestEffective(t *testing.T) {
	all := store.Group{Name: store.GroupAll, Priority: 1000, Settings: wire.Settings{Interval: 1, CPULimit: 1, RecorderMiB: 100}}
	a := store.Group{Name: "a", Settings: wire.Settings{CPULimit: 2, MonitorDirs: []string{"/a"}}}
	b := store.Group{Name: "b", Settings: wire.Settings{CPULimit: 3, MonitorDirs: []string{"/b"}}}
	want := wire.Settings{Interval: 1, CPULimit: 2, RecorderMiB: 100, MonitorDirs: []string{"/a"}}
	if got := Effective([]store.Group{b, all, a}); !reflect.DeepEqual(got, want) {
		t.Errorf("of one priority the first name: %+v", got)
	}
	b.Priority = 1
	want.CPULimit, want.MonitorDirs = 3, []string{"/b"}
	if got := Effective([]store.Group{all, a, b}); !reflect.DeepEqual(got, want) {
		t.Errorf("the highest priority: %+v", got)
	}
	if got := Effective(nil); IsSet(got) {
		t.Errorf("of no group: %+v", got)
	}
}

func TestCheckSettings(t *testing.T) {
	for _, good := range []wire.Settings{{}, {Interval: 86400, MonitorDirs: []string{"/etc", `C:\Users`}, CPULimit: 0.1, RecorderMiB: 16, RecorderHours: 1}} {
		if err := CheckSettings(good); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for want, bad := range map[string]wire.Settings{
		"interval_s": {Interval: -1}, "cpu_limit": {CPULimit: -5}, "recorder_mib": {RecorderMiB: 1}, "recorder_hours": {RecorderHours: 1 << 40},
		"monitor_dirs": {MonitorDirs: []string{"/etc/../root"}},
	} {
		if err := CheckSettings(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add("hostname", "matches", "^web-(a|b)+$", "web-ab")
	f.Add("label", "is_not", "", "\x00")
	f.Fuzz(func(t *testing.T, field, op, value, name string) {
		c := []store.Condition{{Field: field, Op: op, Value: value}}
		m, err := Compile(c, false)
		if err != nil {
			return
		}
		h := &store.Host{Labels: []string{name}, Details: wire.HostDetails{Hostname: name}}
		any, err := Compile(c, true)
		if err != nil || m.Match(h) != any.Match(h) {
			t.Errorf("one condition holds for all and not for any: %+v", c)
		}
	})
}
