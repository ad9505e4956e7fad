package system

import (
	"context"
	"iter"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/procfs"
)

// Up is the row of uptime.
type Up struct {
	Days    int32 `col:"days" doc:"Whole days of uptime."`
	Hours   int32 `col:"hours" doc:"Whole hours beyond the days."`
	Minutes int32 `col:"minutes" doc:"Whole minutes beyond the hours."`
	Seconds int32 `col:"seconds" doc:"Seconds beyond the minutes."`
	Total   int64 `col:"total_seconds" doc:"Uptime in seconds, sleep included; /proc/uptime."`
}

// Uptime is the table of the time since boot.
var Uptime = tables.New(tables.Spec[Up]{
	Name: "uptime", Doc: "Time since the machine booted: one row.",
	Examples: []string{"SELECT days, hours, minutes FROM uptime"},
	Class:    tables.Inventory, Platforms: tables.Linux | tables.Windows,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[Up, error] {
		if err := q.Host.Needs(tables.Linux | tables.Windows); err != nil {
			return fail[Up](err)
		}
		t, err := readUptime(q)
		if err != nil {
			return fail[Up](err)
		}
		return one(Up{
			Days: int32(t / 86400), Hours: int32(t / 3600 % 24), Minutes: int32(t / 60 % 60),
			Seconds: int32(t % 60), Total: t,
		})
	},
})

// readUptime is the time since boot in seconds.
func readUptime(q *tables.Query) (int64, error) {
	if onWindows(q) {
		return liveUptime()
	}
	data, err := q.Host.Root.ReadFile("/proc/uptime", small)
	if err != nil {
		return 0, err
	}
	sec, err := procfs.ParseUptime(data)
	return int64(sec), err
}
