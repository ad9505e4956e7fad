package evidence

import (
	"context"
	"iter"
	"strconv"

	"www.velocidex.com/golang/evtx"

	"github.com/aiedr/edr/tables"
)

// WindowsEvent is a row of windows_events.
type WindowsEvent struct {
	Time         int64  `col:"time,additional" doc:"Time at which the event was received, or of the event itself in evidence, in seconds since the Unix epoch."`
	Datetime     string `col:"datetime" doc:"Time of the event in UTC as ISO 8601, with seven digits of a second."`
	Source       string `col:"source,additional" doc:"Channel of the event, such as Security. Of the live log those that = names are read, else System, Application, Security and Setup."`
	ProviderName string `col:"provider_name" doc:"Name of the provider."`
	ProviderGUID string `col:"provider_guid" doc:"GUID of the provider, in braces."`
	ComputerName string `col:"computer_name" doc:"Name of the computer that recorded it."`
	EventID      int32  `col:"eventid,additional" doc:"Event ID, such as 4624 for a logon."`
	Task         int32  `col:"task" doc:"Task of the event."`
	Level        int32  `col:"level" doc:"Level of the event: 1 critical, 2 error, 3 warning, 4 information, 5 verbose; 0 for audits."`
	Keywords     string `col:"keywords" doc:"Keywords of the event as a bit mask: 0x and hexadecimal digits."`
	Data         string `col:"data" doc:"Data of the event as JSON: its EventData or UserData, each value a text as Windows prints it."`
	EID          string `col:"eid,hidden" doc:"Number of the event in this host's record, or in the evidence file."`
	RecordID     int64  `col:"record_id,ours" doc:"EventRecordID: number of the record in the log that it comes from; an exported file may number it anew, as eid tells."`
	User         string `col:"user,ours" doc:"SID of the user that the event names as its own; empty for none."`
	PID          int64  `col:"pid,ours" doc:"Process that wrote the event; 0 where unknown."`
	TID          int64  `col:"tid,ours" doc:"Thread that wrote the event; 0 where unknown."`
	Opcode       int32  `col:"opcode,ours" doc:"Opcode of the event."`
	Version      int32  `col:"version,ours" doc:"Version of the event's definition."`
	Evidence     string `col:"evidence,index,optimized,ours" doc:"EVTX file or folder of them to read instead of the live log, as asked; empty for the live one."`
	EvidenceFile string `col:"evidence_file,ours" doc:"File that the record was read from; empty for the live log."`
}

// WindowsEvents is the table of the Windows event log.
var WindowsEvents = tables.New(tables.Spec[WindowsEvent]{
	Name: "windows_events", Doc: "Events of the Windows event log, live or, on any system, of EVTX files given as evidence. The live reader was compiled and never run on Windows.",
	Examples: []string{
		"SELECT datetime, computer_name, data FROM windows_events WHERE eventid = 4625",
		"SELECT eventid, count(*) FROM windows_events WHERE evidence = '/cases/7/Security.evtx' GROUP BY eventid",
		"SELECT datetime, json_extract(data, '$.EventData.CommandLine') AS command FROM windows_events WHERE evidence = '/cases/7' AND eventid IN (1, 4688)",
	},
	Class: tables.Personal, Platforms: tables.Windows, Evented: true,
	Scan: scanEvents,
})

var evtxKind = kind{what: "EVTX file", magic: evtx.EVTX_HEADER_MAGIC, suffix: []string{".evtx"}}

func scanEvents(ctx context.Context, q *tables.Query) iter.Seq2[WindowsEvent, error] {
	f := noFilter()
	f.low, f.high = q.IntRange("time")
	if f.ids, f.byID = q.Ints("eventid"); !f.byID {
		f.idLow, f.idHigh = q.IntRange("eventid")
	}
	wantsData := q.Wants("data")
	if live(q) {
		return func(yield func(WindowsEvent, error) bool) {
			for r, err := range liveEvents(ctx, q, f) {
				if err != nil {
					yield(WindowsEvent{}, err)
					return
				}
				if !yield(eventRow(r, wantsData), nil) {
					return
				}
			}
		}
	}
	return scanSources(ctx, q, evtxKind, func(s source, warn func(error), yield func(WindowsEvent) bool) error {
		for r, err := range ReadEVTX(ctx, s.r, s.size, warn) {
			if err != nil {
				return err
			}
			if !f.has(r.Time.Unix(), int64(r.EventID)) {
				continue
			}
			row := eventRow(r, wantsData)
			row.Evidence, row.EvidenceFile = s.asked, s.path
			if !yield(row) {
				return nil
			}
		}
		return nil
	})
}

func eventRow(r *Record, wantsData bool) WindowsEvent {
	row := WindowsEvent{
		Time: r.Time.Unix(), Datetime: isoTime(r.Time), Source: r.Channel,
		ProviderName: r.Provider, ProviderGUID: r.ProviderGUID, ComputerName: r.Computer,
		EventID: int32(r.EventID), Task: int32(r.Task), Level: int32(r.Level), Keywords: r.Keywords,
		EID: strconv.FormatUint(r.ID, 10), RecordID: int64(r.RecordID), User: r.User, PID: r.PID, TID: r.TID,
		Opcode: int32(r.Opcode), Version: int32(r.Version),
	}
	if wantsData {
		row.Data = r.Data()
	}
	return row
}
