package system

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/aiedr/edr/tables"
)

// maxSchedule bounds a schedule's text: none that a person wrote is longer.
const maxSchedule = 256

// nextCron is when a crontab's schedule comes next. It is unknown for @reboot,
// for random ranges, and for what the parser does not know.
func nextCron(schedule string, now time.Time) tables.Opt[int64] {
	if len(schedule) > maxSchedule {
		return tables.Opt[int64]{}
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	fields := strings.Fields(schedule)
	switch {
	case len(fields) == 1 && strings.HasPrefix(fields[0], "@"):
		switch fields[0] {
		case "@midnight", "@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually":
		default:
			return tables.Opt[int64]{}
		}
	case len(fields) == 5:
		fields[4] = sundays(fields[4])
	default:
		return tables.Opt[int64]{}
	}
	s, err := parser.Parse(strings.Join(fields, " "))
	if err != nil {
		return tables.Opt[int64]{}
	}
	return next(s, now)
}

func next(s cron.Schedule, now time.Time) tables.Opt[int64] {
	t := s.Next(now)
	if t.IsZero() {
		return tables.Opt[int64]{} // never, such as the 31st of February
	}
	return tables.Some(t.Unix())
}

// sundays writes the 7 that cron takes for a Sunday as the parser's 0.
func sundays(field string) string {
	parts := strings.Split(field, ",")
	for i, p := range parts {
		span, step, stepped := strings.Cut(p, "/")
		low, high, ranged := strings.Cut(span, "-")
		switch {
		case span == "7":
			parts[i] = "0"
		case ranged && high == "7" && !stepped && low == "7":
			parts[i] = "0"
		case ranged && high == "7" && !stepped && low == "0":
			parts[i] = "*"
		case ranged && high == "7" && !stepped:
			parts[i] = low + "-6,0"
		case ranged && high == "7":
			from, err := strconv.Atoi(low)
			by, err2 := strconv.Atoi(step)
			if err != nil || err2 != nil || by <= 0 || from < 0 {
				continue
			}
			var days []string
			for d := from; d <= 7; d += by {
				days = append(days, strconv.Itoa(d%7))
			}
			parts[i] = strings.Join(days, ",")
		}
	}
	return strings.Join(parts, ",")
}

// nextCalendar is when a systemd calendar expression comes next: of the forms
// [WEEKDAYS] [*-MONTH-DAY] [HOUR:MINUTE[:SECOND]] with numbers, lists, ranges
// and steps, and the short names. Anything else is unknown, not guessed.
func nextCalendar(expr string, now time.Time) tables.Opt[int64] {
	if len(expr) > maxSchedule {
		return tables.Opt[int64]{}
	}
	spec, ok := calendarSpec(strings.ToLower(strings.TrimSpace(expr)))
	if !ok {
		return tables.Opt[int64]{}
	}
	parser := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	s, err := parser.Parse(spec)
	if err != nil {
		return tables.Opt[int64]{}
	}
	return next(s, now)
}

// calendarSpec rewrites a calendar expression as a cron schedule with seconds.
func calendarSpec(expr string) (string, bool) {
	if full, ok := map[string]string{
		"minutely": "*-*-* *:*:00", "hourly": "*-*-* *:00:00", "daily": "*-*-* 00:00:00",
		"weekly": "mon *-*-* 00:00:00", "monthly": "*-*-01 00:00:00", "yearly": "*-01-01 00:00:00",
		"annually": "*-01-01 00:00:00", "quarterly": "*-01,04,07,10-01 00:00:00",
		"semiannually": "*-01,07-01 00:00:00",
	}[expr]; ok {
		expr = full
	}
	if expr == "" {
		return "", false
	}
	dow, month, day, clock := "*", "*", "*", "00:00:00"
	for _, part := range strings.Fields(expr) {
		switch {
		case strings.Contains(part, ":"):
			clock = part
		case part[0] >= 'a' && part[0] <= 'z':
			if dow, _ = weekdays(part); dow == "" {
				return "", false
			}
		default:
			f := strings.Split(part, "-")
			if len(f) == 3 {
				if f[0] != "*" {
					return "", false
				}
				f = f[1:]
			}
			if len(f) != 2 {
				return "", false
			}
			month, day = f[0], f[1]
		}
	}
	if dow != "*" && day != "*" {
		return "", false // cron takes either of the two, systemd both
	}
	t := strings.Split(clock, ":")
	if len(t) == 2 {
		t = append(t, "00")
	}
	if len(t) != 3 {
		return "", false
	}
	out := make([]string, 0, 6)
	for i, f := range []string{t[2], t[1], t[0], day, month} {
		c, ok := calendarField(f, []int{59, 59, 23, 31, 12}[i])
		if !ok {
			return "", false
		}
		out = append(out, c)
	}
	return strings.Join(append(out, dow), " "), true
}

// calendarField rewrites a component: A..B is a range and A/N a step from A.
func calendarField(f string, most int) (string, bool) {
	parts := strings.Split(f, ",")
	for i, p := range parts {
		if p == "*" {
			continue
		}
		p = strings.ReplaceAll(p, "..", "-")
		base, step, stepped := strings.Cut(p, "/")
		if stepped && base != "*" && !strings.Contains(base, "-") {
			base = fmt.Sprintf("%s-%d", base, most)
		}
		if strings.IndexFunc(base+step, func(r rune) bool { return r != '*' && r != '-' && (r < '0' || r > '9') }) >= 0 {
			return "", false
		}
		if stepped {
			p = base + "/" + step
		}
		parts[i] = p
	}
	return strings.Join(parts, ","), true
}

// weekdays rewrites "mon..fri,sun" for cron.
func weekdays(s string) (string, bool) {
	number := func(name string) int {
		for d := time.Sunday; d <= time.Saturday; d++ {
			if full := strings.ToLower(d.String()); name == full || name == full[:3] {
				return int(d)
			}
		}
		return -1
	}
	var days []string
	for _, p := range strings.Split(s, ",") {
		low, high, ranged := strings.Cut(p, "..")
		a := number(low)
		b := a
		if ranged {
			b = number(high)
		}
		if a < 0 || b < 0 {
			return "", false
		}
		for d := a; ; d = (d + 1) % 7 {
			days = append(days, strconv.Itoa(d))
			if d == b {
				break
			}
		}
	}
	return strings.Join(days, ","), true
}
