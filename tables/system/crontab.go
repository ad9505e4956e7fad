package system

import (
	"context"
	"fmt"
	"iter"

	"github.com/aiedr/edr/tables"
)

// CronRow is a row of crontab.
type CronRow struct {
	Event     string `col:"event" doc:"The @event that starts the job, such as @reboot; empty for one with a time."`
	Minute    string `col:"minute" doc:"Minute field."`
	Hour      string `col:"hour" doc:"Hour field."`
	Day       string `col:"day_of_month" doc:"Day of the month field."`
	Month     string `col:"month" doc:"Month field."`
	Weekday   string `col:"day_of_week" doc:"Day of the week field."`
	Command   string `col:"command" doc:"All behind the fields of time: in a system crontab the user stands first."`
	Path      string `col:"path" doc:"File that has the line."`
	PIDWithNS int32  `col:"pid_with_namespace,additional,hidden" doc:"Other namespaces are not read in this version: anything but 0 is an error."`
}

// Crontab is osquery's table of cron jobs.
var Crontab = tables.New(tables.Spec[CronRow]{
	Name: "crontab", Doc: "Lines of the system's and the users' crontabs; scheduled_tasks has more.",
	Examples: []string{"SELECT command, path FROM crontab WHERE event = '@reboot'"},
	Class:    tables.Inventory, Platforms: tables.Linux,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[CronRow, error] {
		if err := q.Host.Needs(tables.Linux); err != nil {
			return fail[CronRow](err)
		}
		if err := q.Unbuilt("pid_with_namespace"); err != nil {
			return fail[CronRow](err)
		}
		return func(yield func(CronRow, error) bool) {
			s := &taskScan{q: q}
			for _, f := range s.cronFiles() {
				data, ok := s.read(f.name)
				if !ok {
					continue
				}
				for c, err := range cronLines(data) {
					if err != nil {
						q.Warn(fmt.Errorf("%s %w", f.name, err))
						continue
					}
					row := CronRow{
						Event: c.event, Minute: c.minute, Hour: c.hour, Day: c.day, Month: c.month,
						Weekday: c.weekday, Command: c.rest, Path: f.name,
					}
					if !yield(row, nil) {
						return
					}
				}
			}
		}
	},
})
