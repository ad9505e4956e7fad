package evidence

import (
	"context"
	"iter"

	"github.com/aiedr/edr/tables"
)

// WindowsEvent is a row of windows_events.
type WindowsEvent struct {
	Time         int64  `col:"time,additional" doc:"Time at which the event was received, or of the event itself in evidence, in seconds since the Unix epoch."`
	Datetime     string `col:"datetime" doc:"Time of the event in UTC as ISO 8601."`
	Source       string `col:"source" doc:"Channel of the event, such as Security."`
	ProviderName string `col:"provider_name" doc:"Name of the provider."`
	ProviderGUID string `col:"provider_guid" doc:"GUID of the provider."`
	ComputerName string `col:"computer_name" doc:"Name of the computer that recorded it."`
	EventID      int32  `col:"eventid" doc:"Event ID, such as 4624 for a logon."`
	Task         int32  `col:"task" doc:"Task of the event."`
	Level        int32  `col:"level" doc:"Level of the event: 1 critical, 2 error, 3 warning, 4 information, 5 verbose."`
	Keywords     string `col:"keywords" doc:"Keywords of the event as a bit mask."`
	Data         string `col:"data" doc:"Data of the event as JSON."`
	EID          string `col:"eid,hidden" doc:"Number of the event in this host's record, or in the evidence file."`
	Evidence     string `col:"evidence,index,ours" doc:"EVTX file or folder of them to read instead of the live log; empty for the live one."`
}

// WindowsEvents is the table of the Windows event log.
var WindowsEvents = tables.New(tables.Spec[WindowsEvent]{
	Name: "windows_events", Doc: "Events of the Windows event log, live or of EVTX files given as evidence.",
	Examples: []string{
		"SELECT datetime, computer_name, data FROM windows_events WHERE eventid = 4625",
		"SELECT eventid, count(*) FROM windows_events WHERE evidence = '/cases/7/Security.evtx' GROUP BY eventid",
	},
	Class: tables.Personal, Platforms: tables.Windows, Evented: true,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[WindowsEvent, error] {
		return unread[WindowsEvent](q, "windows_events")
	},
})
