package system

import (
	"errors"
	"fmt"
	"iter"
	"strings"
)

// cronLine is one job of a crontab(5).
type cronLine struct {
	line  int    // number in the file, the first being 1
	event string // "@reboot" and the like, or empty
	// minute to weekday are the five fields, empty where event is given.
	minute, hour, day, month, weekday string
	rest                              string // all behind the fields: of a system crontab the user, then the command
}

// schedule is the when of the line as it is written.
func (c cronLine) schedule() string {
	if c.event != "" {
		return c.event
	}
	return strings.Join([]string{c.minute, c.hour, c.day, c.month, c.weekday}, " ")
}

// userCommand splits the rest of a line of a system crontab.
func (c cronLine) userCommand() (user, command string) {
	user, command = word(c.rest)
	return user, strings.TrimLeft(command, " \t")
}

// cronLines yields the jobs of a crontab. An error stands for one line that is
// no job; the others follow. Empty lines, comments and settings are no jobs.
func cronLines(data []byte) iter.Seq2[cronLine, error] {
	return func(yield func(cronLine, error) bool) {
		n := 0
		for line := range strings.Lines(string(data)) {
			n++
			line = strings.Trim(line, " \t\r\n\x00")
			if line == "" || line[0] == '#' || isSetting(line) {
				continue
			}
			c, err := parseCronLine(line)
			c.line = n
			if err != nil {
				err = fmt.Errorf("line %d: %w", n, err)
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

func parseCronLine(line string) (c cronLine, err error) {
	if line[0] == '@' {
		c.event, c.rest = word(line)
		c.rest = strings.TrimLeft(c.rest, " \t")
	} else {
		rest := line
		for _, to := range []*string{&c.minute, &c.hour, &c.day, &c.month, &c.weekday} {
			*to, rest = word(rest)
			if *to == "" {
				return c, errors.New("fewer than five fields of time")
			}
			if strings.IndexFunc(*to, notInField) >= 0 {
				return c, fmt.Errorf("%q is no field of time", clip(*to))
			}
		}
		c.rest = strings.TrimLeft(rest, " \t")
	}
	if c.rest == "" {
		return c, errors.New("no command behind the time")
	}
	return c, nil
}

// notInField says that a rune cannot be in a field: numbers, names, lists,
// ranges, steps and cronie's random "~" can.
func notInField(r rune) bool {
	return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' ||
		r == '*' || r == ',' || r == '-' || r == '/' || r == '~' || r == '?' || r == '#')
}

// isSetting recognizes NAME = value, which may have spaces around the sign.
func isSetting(line string) bool {
	name, _, ok := strings.Cut(line, "=")
	name = strings.TrimRight(name, " \t")
	if !ok || name == "" {
		return false
	}
	if q := name[0]; len(name) > 2 && (q == '"' || q == '\'') && name[len(name)-1] == q {
		name = name[1 : len(name)-1]
	}
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return true
}

// word cuts the first word off.
func word(s string) (first, rest string) {
	s = strings.TrimLeft(s, " \t")
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// clip shortens a text from a file for a message.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// anacronLine is one job of an anacrontab(5).
type anacronLine struct {
	period, delay, id, command string
}

// anacronLines yields the jobs of an anacrontab, as cronLines does.
func anacronLines(data []byte) iter.Seq2[anacronLine, error] {
	return func(yield func(anacronLine, error) bool) {
		n := 0
		for line := range strings.Lines(string(data)) {
			n++
			line = strings.Trim(line, " \t\r\n\x00")
			if line == "" || line[0] == '#' || isSetting(line) {
				continue
			}
			var a anacronLine
			var rest string
			a.period, rest = word(line)
			a.delay, rest = word(rest)
			a.id, rest = word(rest)
			a.command = strings.TrimLeft(rest, " \t")
			var err error
			if a.command == "" {
				err = fmt.Errorf("line %d: not a period, a delay, a name and a command", n)
			}
			if !yield(a, err) {
				return
			}
		}
	}
}
