package system

import (
	"context"
	"iter"
	"time"

	"github.com/aiedr/edr/tables"
)

// Sensor is a row of edr_sensors.
type Sensor struct {
	Name      string            `col:"name" doc:"Name of the sensor."`
	Table     string            `col:"table_name" doc:"Event table that it fills."`
	State     string            `col:"state" doc:"running, degraded, off or failed."`
	Mechanism string            `col:"mechanism" doc:"What it runs on now, such as ebpf, audit, fanotify or inotify."`
	Detail    string            `col:"detail" doc:"Why a better mechanism is not in use, or what failed."`
	Events    int64             `col:"events" doc:"Events published since it started."`
	Lost      int64             `col:"lost" doc:"Events known to be lost, from the kernel to the log."`
	Gaps      int64             `col:"gaps" doc:"How many times events were lost."`
	LastEvent tables.Opt[int64] `col:"last_event" doc:"Time of the newest event in seconds since the Unix epoch; NULL before the first."`
	StartTime tables.Opt[int64] `col:"start_time" doc:"Start of the sensor in seconds since the Unix epoch; NULL if it never started."`
}

// EDRSensors is the table of the sensors' states.
var EDRSensors = tables.New(tables.Spec[Sensor]{
	Name: "edr_sensors", Doc: "The sensors of the agent, with what they run on and what they have lost.",
	Examples: []string{"SELECT name, state, mechanism, events, lost FROM edr_sensors WHERE state != 'running' OR lost > 0"},
	Class:    tables.Inventory, Platforms: tables.AllPlatforms, Ours: true,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[Sensor, error] {
		if q.Host.Sensors == nil {
			return fail[Sensor](errOutside)
		}
		return func(yield func(Sensor, error) bool) {
			for _, s := range q.Host.Sensors() {
				row := Sensor{
					Name: s.Name, Table: s.Table, State: s.State, Mechanism: s.Mechanism, Detail: s.Detail,
					Events: int64(s.Events), Lost: int64(s.Lost), Gaps: int64(s.Gaps),
					LastEvent: seconds(s.LastEvent), StartTime: seconds(s.Started),
				}
				if !yield(row, nil) {
					return
				}
			}
		}
	},
})

// seconds is a time since the Unix epoch, unknown where it is zero.
func seconds(t time.Time) tables.Opt[int64] {
	if t.IsZero() {
		return tables.Opt[int64]{}
	}
	return tables.Some(t.Unix())
}
