package system

import (
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/aiedr/edr/tables"
)

// spools are where cron keeps users' crontabs: Debian, Red Hat, SUSE.
var spools = []string{"/var/spool/cron/crontabs", "/var/spool/cron", "/var/spool/cron/tabs"}

// cronFile is a crontab with whose it is: of the system, where each line names
// its user, or of one user.
type cronFile struct {
	name, user string
	ignored    bool // cron does not read a file of this name here
}

// cronFiles finds the crontabs of a root.
func (s *taskScan) cronFiles() []cronFile {
	files := []cronFile{{name: "/etc/crontab"}}
	_, err := s.q.Host.Root.Lstat("/etc/debian_version")
	debian := err == nil
	for _, e := range s.list("/etc/cron.d") {
		if e.IsDir() {
			continue
		}
		files = append(files, cronFile{name: "/etc/cron.d/" + e.Name(), ignored: ignoredName(e.Name(), debian)})
	}
	for _, dir := range spools {
		for _, e := range s.list(dir) {
			if !e.IsDir() {
				files = append(files, cronFile{name: path.Join(dir, e.Name()), user: e.Name()})
			}
		}
	}
	return files
}

// ignoredName says whether cron passes over a name in /etc/cron.d: Debian's
// takes letters, digits, "_" and "-" only, the others leave out hidden files
// and the copies of editors and package managers.
func ignoredName(name string, debian bool) bool {
	if debian {
		return strings.IndexFunc(name, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
		}) >= 0
	}
	for _, end := range []string{"~", ".rpmsave", ".rpmorig", ".rpmnew", ",v", ".cfsaved"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#")
}

func (s *taskScan) systemCrontabs() { s.crontabs(func(f cronFile) bool { return f.user == "" }) }
func (s *taskScan) userCrontabs()   { s.crontabs(func(f cronFile) bool { return f.user != "" }) }

func (s *taskScan) crontabs(which func(cronFile) bool) {
	for _, f := range s.cronFiles() {
		if !which(f) || s.stopped {
			continue
		}
		data, ok := s.read(f.name)
		if !ok {
			continue
		}
		for c, err := range cronLines(data) {
			if err != nil {
				s.q.Warn(fmt.Errorf("%s %w", f.name, err))
				continue
			}
			t := Task{
				Name: path.Base(f.name), Type: typeCron, Source: f.name, Schedule: c.schedule(), Command: c.rest,
				Enabled: !f.ignored, NextRunTime: nextCron(c.schedule(), s.now),
			}
			if f.user != "" {
				t.User = tables.Some(f.user)
			} else {
				user, command := c.userCommand()
				if command == "" {
					s.q.Warn(fmt.Errorf("%s line %d: a user but no command", f.name, c.line))
					continue
				}
				t.User, t.Command = tables.Some(user), command
			}
			s.emit(t)
		}
	}
}

// runParts lists the scripts in the folders that run-parts is started on. When
// they run is written where it is started, so the next time is not told.
func (s *taskScan) runParts() {
	for _, every := range []string{"hourly", "daily", "weekly", "monthly", "yearly"} {
		dir := "/etc/cron." + every
		for _, e := range s.list(dir) {
			name := path.Join(dir, e.Name())
			if e.IsDir() || e.Name() == ".placeholder" {
				continue
			}
			fi, err := s.q.Host.Root.Stat(name)
			if err != nil {
				s.q.Warn(err)
				continue
			}
			s.emit(Task{
				Name: e.Name(), Type: typeCron, Source: name, Schedule: "@" + every, Command: name, Path: name,
				User: tables.Some("root"), Enabled: fi.Mode().IsRegular() && fi.Mode()&0o111 != 0,
			})
		}
	}
}

func (s *taskScan) anacrontab() {
	const name = "/etc/anacrontab"
	data, ok := s.read(name)
	if !ok {
		return
	}
	for a, err := range anacronLines(data) {
		if err != nil {
			s.q.Warn(fmt.Errorf("%s %w", name, err))
			continue
		}
		t := Task{
			Name: a.id, Type: typeAnacron, Source: name, Schedule: "every " + a.period + " days",
			Command: a.command, User: tables.Some("root"), Enabled: true,
		}
		if a.period[0] == '@' {
			t.Schedule = a.period
		}
		// anacron writes the day of the last run, as YYYYMMDD, into a file
		// that is named for the job.
		if !strings.Contains(a.id, "/") {
			if stamp, ok := s.read("/var/spool/anacron/" + a.id); ok {
				if day, err := time.ParseInLocation("20060102", strings.TrimSpace(string(stamp)), s.now.Location()); err == nil {
					t.LastRunTime = tables.Some(day.Unix())
				} else {
					s.q.Warn(fmt.Errorf("/var/spool/anacron/%s holds no day", a.id))
				}
			}
		}
		s.emit(t)
	}
}

// atJobs lists what at(1) has queued. A job's name tells when: the queue, five
// hexadecimal digits of its number, eight of the minute since the epoch.
func (s *taskScan) atJobs() {
	for _, dir := range []string{"/var/spool/cron/atjobs", "/var/spool/at"} {
		for _, e := range s.list(dir) {
			name := e.Name()
			if e.IsDir() || len(name) != 14 || name[0] == '.' {
				continue
			}
			minute, err := strconv.ParseInt(name[6:], 16, 64)
			if err != nil {
				s.q.Warn(fmt.Errorf("%s: the name of an at job is malformed", path.Join(dir, name)))
				continue
			}
			data, ok := s.read(path.Join(dir, name))
			if !ok {
				continue
			}
			when := time.Unix(minute*60, 0)
			t := Task{
				Name: name, Type: typeAt, Source: path.Join(dir, name), Schedule: when.UTC().Format(time.RFC3339),
				Command: atCommand(string(data)), NextRunTime: tables.Some(when.Unix()), Enabled: name[0] != '=',
			}
			if fi, err := s.q.Host.Root.Stat(path.Join(dir, name)); err == nil {
				t.User = s.owner(fi)
			}
			s.emit(t)
		}
	}
}

// atCommand takes the commands out of an at job: they stand behind the shell
// line that ends in a word, up to the line that repeats the word.
func atCommand(job string) string {
	lines := strings.Split(strings.TrimRight(job, "\n"), "\n")
	end := len(lines) - 1
	for i := range lines {
		_, mark, ok := strings.Cut(lines[i], "<< '")
		if mark = strings.TrimSuffix(mark, "'"); ok && i < end && mark == lines[end] {
			return strings.TrimSpace(strings.Join(lines[i+1:end], "\n"))
		}
	}
	// Red Hat's has no such line: the job's own lines follow its settings.
	for i := len(lines) - 1; i > 0; i-- {
		if strings.HasPrefix(lines[i], "}") {
			return strings.TrimSpace(strings.Join(lines[i+1:], "\n"))
		}
	}
	return strings.TrimSpace(job)
}

// owner is the name of the user that a file belongs to, or the number.
func (s *taskScan) owner(fi os.FileInfo) tables.Opt[string] {
	uid, ok := fileOwner(fi)
	if !ok {
		return tables.Opt[string]{}
	}
	for _, u := range s.accounts {
		if u.uid == uid {
			return tables.Some(u.name)
		}
	}
	return tables.Some(strconv.FormatUint(uint64(uid), 10))
}
