package sensor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxCauses bounds the causes told apart.
const maxCauses = 16

// losses counts what a sensor lost, by cause.
type losses struct {
	events, times uint64
	causes        []loss
}

type loss struct {
	cause         string
	events, times uint64
	last          time.Time
}

func (l *losses) add(n uint64, cause string, now time.Time) {
	l.events += n
	l.times++
	i := slices.IndexFunc(l.causes, func(x loss) bool { return x.cause == cause })
	if i < 0 && len(l.causes) == maxCauses {
		i, l.causes[maxCauses-1].cause = maxCauses-1, "other causes"
	}
	if i < 0 {
		i = len(l.causes)
		l.causes = append(l.causes, loss{cause: cause})
	}
	c := &l.causes[i]
	c.events += n
	c.times++
	c.last = now
}

// String is for the status: each cause with how many, how often and when last.
func (l *losses) String() string {
	if l.times == 0 {
		return ""
	}
	parts := make([]string, 0, len(l.causes))
	for _, c := range l.causes {
		many := "unknown number"
		if c.events > 0 {
			many = fmt.Sprint(c.events)
		}
		parts = append(parts, fmt.Sprintf("%s: %s, %d times, last %s", c.cause, many, c.times, c.last.UTC().Format(time.RFC3339)))
	}
	return "lost: " + strings.Join(parts, ", ")
}
