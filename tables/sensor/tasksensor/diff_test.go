package tasksensor

import (
	"fmt"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	cron := func(user, schedule, command string) Task {
		return Task{Name: "crontab", Type: "cron", Source: "/etc/crontab", User: user, Schedule: schedule, Command: command, Enabled: true}
	}
	timer := func(source, schedule, command string, on bool) Task {
		return Task{Name: "a.timer", Type: "systemd_timer", Source: source, Unit: "a.service", Schedule: schedule, Command: command, Enabled: on}
	}
	a, b := cron("root", "1 * * * *", "/bin/a"), cron("root", "2 * * * *", "/bin/b")
	for _, c := range []struct {
		name          string
		before, after []Task
		want          string
	}{
		{"nothing", []Task{a, b}, []Task{a, b}, ""},
		{"other order", []Task{a, b}, []Task{b, a}, ""},
		{"a line comes", []Task{a}, []Task{a, b}, "created /bin/b"},
		{"a line goes", []Task{a, b}, []Task{b}, "deleted /bin/a"},
		{"the same line twice", []Task{a}, []Task{a, a}, "created /bin/a"},
		{"another time", []Task{a, b}, []Task{a, cron("root", "9 * * * *", "/bin/b")}, "modified /bin/b from 2 * * * * /bin/b root"},
		{"another command, lines swapped", []Task{a, b}, []Task{b, cron("root", "1 * * * *", "/tmp/x")}, "modified /tmp/x from 1 * * * * /bin/a root"},
		{"another user", []Task{a, b}, []Task{cron("ann", "1 * * * *", "/bin/a"), b}, "modified /bin/a from 1 * * * * /bin/a root"},
		{"one changes, one comes", []Task{a}, []Task{b, cron("root", "7 * * * *", "/bin/a")}, "created /bin/b, modified /bin/a from 1 * * * * /bin/a root"},
		{"a timer is overridden", []Task{timer("/usr/lib/a.timer", "daily", "/bin/a", false)}, []Task{timer("/etc/a.timer", "daily", "/tmp/x", true)},
			"modified /tmp/x from daily /bin/a "},
		{"a timer is switched on", []Task{timer("/u", "daily", "/bin/a", false)}, []Task{timer("/u", "daily", "/bin/a", true)}, "modified /bin/a from daily /bin/a "},
		{"all go", []Task{a, timer("/u", "daily", "/bin/t", true)}, nil, "deleted /bin/a, deleted /bin/t"},
	} {
		var got []string
		for _, d := range diff(c.before, c.after) {
			switch {
			case d.now == nil:
				got = append(got, d.action+" "+d.old.Command)
			case d.old == nil:
				got = append(got, d.action+" "+d.now.Command)
			default:
				got = append(got, fmt.Sprintf("%s %s from %s %s %s", d.action, d.now.Command, d.old.Schedule, d.old.Command, d.old.User))
			}
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s: %q, want %q", c.name, s, c.want)
		}
	}
}

func TestWhoTouched(t *testing.T) {
	touched := []touch{
		{path: "/etc/crontab", pid: 1}, {path: "/var/spool/cron/crontabs/ann", old: "/var/spool/cron/crontabs/tmp.X", pid: 2},
		{path: "/etc/systemd/system/x.service.d/o.conf", pid: 3}, {path: "/etc/systemd/system/timers.target.wants/y@1.timer", pid: 4},
		{path: "/etc/crontab", pid: 5},
	}
	for _, c := range []struct {
		task Task
		pid  int64
	}{
		{Task{Type: "cron", Source: "/etc/crontab"}, 5},
		{Task{Type: "cron", Source: "/var/spool/cron/crontabs/ann"}, 2},
		{Task{Type: "cron", Source: "/etc/cron.d/x"}, 0},
		{Task{Type: "systemd_timer", Name: "x.timer", Unit: "x.service", Source: "/usr/lib/systemd/system/x.timer"}, 3},
		{Task{Type: "systemd_timer", Name: "y@1.timer", Unit: "y@1.service", Source: "/usr/lib/systemd/system/y@.timer"}, 4},
		{Task{Type: "systemd_timer", Name: "z.timer", Unit: "z.service", Source: "/usr/lib/systemd/system/z.timer"}, 0},
	} {
		var pid int64
		if who := whoTouched(touched, &c.task); who != nil {
			pid = who.pid
		}
		if pid != c.pid {
			t.Errorf("%+v: by %d, want %d", c.task, pid, c.pid)
		}
	}
}
