package eventlog

import (
	"fmt"
	"strings"
	"time"

	"github.com/aiedr/edr/tables"
)

// Status is the log as a row of edr_sensors: where it is, how far back it
// goes, and what it could not keep or read.
func (l *Log) Status() tables.SensorStatus {
	st := l.Stats()
	s := tables.SensorStatus{
		Name: "event log", State: "running", Mechanism: "disk",
		Events: st.Recorded, Lost: st.NotRecorded, Gaps: st.DamagedBlocks, LastEvent: st.Newest, Started: l.started,
	}
	parts := []string{fmt.Sprintf("%s: %d events in %.1f of %.0f MiB", l.o.Dir, st.Events,
		float64(st.Bytes)/(1<<20), float64(l.o.MaxBytes)/(1<<20))}
	if !st.Oldest.IsZero() {
		parts = append(parts, "since "+st.Oldest.UTC().Format(time.RFC3339))
	}
	if st.ExpiredEvents > 0 {
		parts = append(parts, fmt.Sprintf("%d events given up for size or age", st.ExpiredEvents))
	}
	if st.Unclean {
		parts = append(parts, fmt.Sprintf("the last run did not stop in order: up to %s of events before it may be missing", l.o.SyncEvery))
	}
	if st.CutBytes > 0 {
		parts = append(parts, fmt.Sprintf("%d bytes of a torn end were cut off", st.CutBytes))
	}
	if st.DamagedBlocks > 0 {
		parts = append(parts, fmt.Sprintf("%d places cannot be read", st.DamagedBlocks))
	}
	if len(st.SetAside) > 0 {
		parts = append(parts, "set aside: "+strings.Join(st.SetAside, ", "))
	}
	if st.NotRecorded > 0 {
		parts = append(parts, fmt.Sprintf("%d events could not be kept", st.NotRecorded))
	}
	if st.LastError != "" {
		s.State = "degraded"
		parts = append(parts, fmt.Sprintf("%d events wait in memory: %s", st.PendingEvents, st.LastError))
	}
	s.Detail = strings.Join(parts, "; ")
	return s
}
