package system

import (
	"context"
	"iter"
	"time"

	"github.com/aiedr/edr/tables"
)

// Clock is the row of time.
type Clock struct {
	Weekday       string            `col:"weekday" doc:"Day of the week in UTC."`
	Year          int32             `col:"year" doc:"Year in UTC."`
	Month         int32             `col:"month" doc:"Month in UTC."`
	Day           int32             `col:"day" doc:"Day of the month in UTC."`
	Hour          int32             `col:"hour" doc:"Hour in UTC."`
	Minutes       int32             `col:"minutes" doc:"Minutes in UTC."`
	Seconds       int32             `col:"seconds" doc:"Seconds in UTC."`
	Timezone      string            `col:"timezone" doc:"Time zone of the other columns: always UTC."`
	LocalTimezone string            `col:"local_timezone" doc:"Abbreviation of the machine's time zone."`
	UnixTime      int64             `col:"unix_time,type=INTEGER" doc:"Seconds since the Unix epoch."`
	Timestamp     string            `col:"timestamp" doc:"Time in UTC as osquery's log lines have it."`
	Datetime      string            `col:"datetime" doc:"Time in UTC as ISO 8601."`
	ISO8601       string            `col:"iso_8601" doc:"The same as datetime."`
	WinTimestamp  tables.Opt[int64] `col:"win_timestamp,hidden" doc:"Windows only: 100 nanosecond units since 1601; NULL elsewhere."`
}

// Time is the table of the current time.
var Time = tables.New(tables.Spec[Clock]{
	Name: "time", Doc: "The current time: one row.",
	Examples:  []string{"SELECT unix_time, iso_8601 FROM time"},
	Class:     tables.Inventory,
	Platforms: tables.AllPlatforms,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[Clock, error] {
		c := clock(q.Host.Now())
		if onWindows(q) {
			c.WinTimestamp = tables.Some(q.Host.Now().UnixNano()/100 + epochs)
		}
		return one(c)
	},
})

// epochs lies between the years 1601 and 1970, in units of 100 nanoseconds.
const epochs = 116444736000000000

func clock(now time.Time) Clock {
	utc := now.UTC()
	zone, _ := now.Local().Zone()
	iso := utc.Format("2006-01-02T15:04:05Z")
	return Clock{
		Weekday: utc.Weekday().String(), Year: int32(utc.Year()), Month: int32(utc.Month()),
		Day: int32(utc.Day()), Hour: int32(utc.Hour()), Minutes: int32(utc.Minute()),
		Seconds: int32(utc.Second()), Timezone: "UTC", LocalTimezone: zone,
		UnixTime: utc.Unix(), Timestamp: utc.Format("Mon Jan _2 15:04:05 2006") + " UTC",
		Datetime: iso, ISO8601: iso,
	}
}

// one is a scan of a single row.
func one[Row any](r Row) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) { yield(r, nil) }
}

// fail is a scan that ends before its first row.
func fail[Row any](err error) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		var none Row
		yield(none, err)
	}
}
