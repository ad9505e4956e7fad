package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/aiedr/edr/tables"
)

// Task is a row of scheduled_tasks.
type Task struct {
	Name           string             `col:"name" doc:"Name of the task: of the crontab or script, the job of an anacrontab, or the timer's unit."`
	Action         string             `col:"action" doc:"What is run: the command as written; of a timer, the commands of the unit that it starts."`
	Path           string             `col:"path" doc:"Path of the executable, where the command starts with one; of a Windows task its path in the scheduler, as osquery has it."`
	Enabled        bool               `col:"enabled" doc:"1 if the task will run by its schedule."`
	State          string             `col:"state" doc:"ready or disabled; of a timer also static or masked."`
	Hidden         bool               `col:"hidden" doc:"Windows: 1 if the task is not shown in the interface; 0 on Linux."`
	LastRunTime    tables.Opt[int64]  `col:"last_run_time" doc:"Last run in seconds since the Unix epoch, where anacron or systemd left a time stamp; else NULL."`
	NextRunTime    tables.Opt[int64]  `col:"next_run_time" doc:"Next run in seconds since the Unix epoch, where the schedule tells; NULL for a task that is disabled, runs after an event, or at a random delay."`
	LastRunMessage tables.Opt[string] `col:"last_run_message" doc:"Windows only; NULL on Linux."`
	LastRunCode    tables.Opt[string] `col:"last_run_code" doc:"Windows only; NULL on Linux."`
	Type           string             `col:"type,ours" doc:"cron, anacron, at, systemd_timer or windows_task."`
	User           tables.Opt[string] `col:"user,ours" doc:"User as whom it runs; NULL where its file does not tell."`
	Command        string             `col:"command,ours" doc:"The command line."`
	Schedule       string             `col:"schedule,ours" doc:"The schedule as written; several of a timer are separated by semicolons."`
	Source         string             `col:"source,ours" doc:"File that defines the task."`
	Unit           tables.Opt[string] `col:"unit,ours" doc:"Unit that a timer starts; NULL for others."`
	Evidence       string             `col:"evidence,index,ours" doc:"File or folder of Windows task XML to read instead of the live system, as asked; empty for the live one."`
}

// The types of task.
const (
	typeCron    = "cron"
	typeAnacron = "anacron"
	typeAt      = "at"
	typeTimer   = "systemd_timer"
	typeWindows = "windows_task"
)

// ScheduledTasks is the table of what runs by time.
var ScheduledTasks = tables.New(tables.Spec[Task]{
	Name: "scheduled_tasks", Doc: "What is run by schedule: on Linux jobs of cron, anacron and at, and systemd's timers; on any system the tasks of Windows in XML files given as evidence.",
	Examples: []string{
		"SELECT name, user, schedule, command, source FROM scheduled_tasks WHERE enabled = 1",
		"SELECT * FROM scheduled_tasks WHERE command LIKE '%/tmp/%' OR command LIKE '%curl%'",
		"SELECT path, user, command, hidden FROM scheduled_tasks WHERE evidence = '/cases/7/Windows/System32/Tasks'",
	},
	Class: tables.Inventory, Platforms: tables.Linux,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[Task, error] {
		if asked, ok := q.Strings("evidence"); ok && (len(asked) != 1 || asked[0] != "") {
			return scanTaskFiles(ctx, q, asked)
		}
		if err := q.Host.Needs(tables.Linux); err != nil {
			return fail[Task](err)
		}
		return scanTasks(ctx, q)
	},
})

func scanTasks(ctx context.Context, q *tables.Query) iter.Seq2[Task, error] {
	return func(yield func(Task, error) bool) {
		s := &taskScan{q: q, now: q.Host.Now().In(zone(q)), yield: yield, accounts: accounts(q)}
		for _, part := range []func(){s.systemCrontabs, s.userCrontabs, s.runParts, s.anacrontab, s.atJobs, s.timers} {
			if err := ctx.Err(); err != nil {
				yield(Task{}, err)
				return
			}
			if part(); s.stopped {
				return
			}
		}
	}
}

// taskScan is one reading of the tasks.
type taskScan struct {
	q        *tables.Query
	now      time.Time // in the machine's time zone, as cron counts
	yield    func(Task, error) bool
	stopped  bool
	accounts []userHome
}

func (s *taskScan) emit(t Task) {
	if t.State == "" {
		t.State = "disabled"
		if t.Enabled {
			t.State = "ready"
		}
	}
	if !t.Enabled {
		t.NextRunTime = tables.Opt[int64]{}
	}
	if t.Action == "" {
		t.Action = t.Command
	}
	if t.Path == "" {
		t.Path = commandPath(t.Command)
	}
	if !s.stopped && !s.yield(t, nil) {
		s.stopped = true
	}
}

// maxTaskFile bounds crontabs and units.
const maxTaskFile = 1 << 20

// read reads a file; one that is not there is no lack.
func (s *taskScan) read(name string) ([]byte, bool) {
	data, err := s.q.Host.Root.ReadFile(name, maxTaskFile)
	if err != nil {
		s.lack(err)
		return nil, false
	}
	return data, true
}

func (s *taskScan) list(dir string) []fs.DirEntry {
	entries, err := s.q.Host.Root.ReadDir(dir)
	if err != nil {
		s.lack(err)
	}
	return entries
}

func (s *taskScan) lack(err error) {
	if !errors.Is(err, fs.ErrNotExist) {
		s.q.Warn(err)
	}
}

// zone is the time zone of the machine: /etc/localtime, or UTC without one.
func zone(q *tables.Query) *time.Location {
	data, err := q.Host.Root.ReadFile("/etc/localtime", 1<<20)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			q.Warn(fmt.Errorf("the time zone is taken as UTC: %w", err))
		}
		return time.UTC
	}
	loc, err := time.LoadLocationFromTZData("Local", data)
	if err != nil {
		q.Warn(fmt.Errorf("the time zone is taken as UTC: read /etc/localtime: %w", err))
		return time.UTC
	}
	return loc
}

type userHome struct {
	name, home string
	uid        uint32
}

// accounts are the users of /etc/passwd, whose own units are read.
func accounts(q *tables.Query) []userHome {
	data, err := q.Host.Root.ReadFile("/etc/passwd", 64<<20)
	if err != nil {
		q.Warn(fmt.Errorf("the units in users' folders are left out: %w", err))
		return nil
	}
	var users []userHome
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) != 7 || !strings.HasPrefix(f[5], "/") {
			continue
		}
		if uid, err := strconv.ParseUint(f[2], 10, 32); err == nil {
			users = append(users, userHome{name: f[0], home: f[5], uid: uint32(uid)})
		}
	}
	return users
}

// commandPath is the executable that a command starts with, where it is given
// by its path: behind settings of variables, quotes and systemd's prefixes.
func commandPath(command string) string {
	rest := command
	for {
		var w string
		w, rest = word(rest)
		if w == "" {
			return ""
		}
		if isSetting(w) {
			continue
		}
		w = strings.Trim(strings.TrimLeft(w, "-@:+!"), `"';`)
		if strings.HasPrefix(w, "/") {
			return w
		}
		return ""
	}
}
