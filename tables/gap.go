package tables

import "fmt"

// GapError says that a part of the event log cannot be read while the rest
// can. EventLog.Read may yield it at the place of the gap and then goes on: it
// is the one error that does not end a read. Event tables turn it into a
// warning of the query.
type GapError struct {
	FromID, ToID uint64 // ids of the missing events, both inclusive; 0, 0 where unknown
	Reason       string
}

func (e *GapError) Error() string {
	if e.FromID == 0 && e.ToID == 0 {
		return "events are missing from the record: " + e.Reason
	}
	return fmt.Sprintf("events %d to %d are missing from the record: %s", e.FromID, e.ToID, e.Reason)
}
