package evidence

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// liveChannels are read where a statement names no channel by source =; they
// are osquery's.
var liveChannels = []string{"System", "Application", "Security", "Setup"}

// eventFilter is what a statement leaves of the events.
type eventFilter struct {
	low, high     int64 // time in seconds, inclusive
	ids           []int64
	byID          bool
	idLow, idHigh int64
}

// has says whether an event is one of them.
func (f eventFilter) has(at, id int64) bool {
	if at < f.low || at > f.high || id < f.idLow || id > f.idHigh {
		return false
	}
	if !f.byID {
		return true
	}
	for _, want := range f.ids {
		if id == want {
			return true
		}
	}
	return false
}

// maxQueryIDs is how many numbers a query of the event log names: Windows
// refuses long ones.
const maxQueryIDs = 10

// xpath is the part of the filter that the event log itself can apply; * for
// none of it.
func (f eventFilter) xpath() string {
	var parts []string
	if f.byID && len(f.ids) > 0 && len(f.ids) <= maxQueryIDs {
		var ids []string
		for _, id := range f.ids {
			ids = append(ids, fmt.Sprintf("EventID=%d", id))
		}
		parts = append(parts, "("+strings.Join(ids, " or ")+")")
	}
	// Times beyond what the log can hold bound nothing.
	var times []string
	const first, last = 0, 253402300799 // 1970 and the end of 9999
	if f.low > first && f.low <= last {
		times = append(times, "@SystemTime>='"+isoTime(time.Unix(f.low, 0))+"'")
	}
	if f.high >= first && f.high < last {
		times = append(times, "@SystemTime<'"+isoTime(time.Unix(f.high+1, 0))+"'")
	}
	if len(times) > 0 {
		parts = append(parts, "TimeCreated["+strings.Join(times, " and ")+"]")
	}
	if len(parts) == 0 {
		return "*"
	}
	return "*[System[" + strings.Join(parts, " and ") + "]]"
}

func noFilter() eventFilter {
	return eventFilter{low: math.MinInt64, high: math.MaxInt64, idLow: math.MinInt64, idHigh: math.MaxInt64}
}
