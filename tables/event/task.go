package event

import "github.com/aiedr/edr/tables"

// Actions of Task.
const (
	TaskCreated  = "created"
	TaskModified = "modified"
	TaskDeleted  = "deleted"
)

// Task is a change of what runs by schedule: a row of scheduled_task_events.
type Task struct {
	Header
	Action      string `col:"action" doc:"What happened: created, modified or deleted."`
	Name        string `col:"name" doc:"Name of the task, as in scheduled_tasks."`
	Type        string `col:"type" doc:"cron, anacron, at or systemd_timer."`
	TargetPath  string `col:"target_path,index" doc:"File that defines the task; source in scheduled_tasks."`
	Path        string `col:"path" doc:"Path of the executable that the task runs, where its command starts with one."`
	Unit        string `col:"unit" doc:"Unit that a timer starts; empty for others."`
	Command     string `col:"command" doc:"The command line; of a deleted task the last that was seen."`
	OldCommand  string `col:"old_command" doc:"The command line before the change, where the task was modified."`
	Schedule    string `col:"schedule" doc:"The schedule as written; of a deleted task the last that was seen."`
	OldSchedule string `col:"old_schedule" doc:"The schedule before the change, where the task was modified."`
	User        string `col:"user" doc:"User as whom it runs; empty where its file does not tell."`
	OldUser     string `col:"old_user" doc:"User before the change, where the task was modified."`
	Enabled     bool   `col:"enabled" doc:"1 if the task will run by its schedule; of a deleted task the last that was seen."`
	OldEnabled  bool   `col:"old_enabled" doc:"The same before the change, where the task was modified."`
	// Who changed the file, where the file sensor told. A change found by
	// comparing has none.
	PID       int64  `col:"pid,index" doc:"Process ID that changed the file last before the change was read; 0 where unknown."`
	StartTime int64  `col:"start_time_ns" doc:"Start of that process in nanoseconds since boot."`
	Process   string `col:"process_path" doc:"Path of that process's executed file."`
	ProcName  string `col:"process_name" doc:"Short name of that process."`
	Cmdline   string `col:"process_cmdline" doc:"Command line of that process."`
	UserID    int64  `col:"process_uid" doc:"User ID of that process; -1 where unknown."`
	Parent    int64  `col:"process_parent" doc:"Parent process ID of that process."`
}

// Table is the name of the table.
func (*Task) Table() string { return "scheduled_task_events" }

// ScheduledTaskEvents is the table scheduled_task_events.
var ScheduledTaskEvents = tables.New(tables.Spec[Task]{
	Name: "scheduled_task_events",
	Doc:  "Tasks of scheduled_tasks that were made, changed or removed, with what they were before and, where the file sensor saw it, the process that did it.",
	Examples: []string{
		"SELECT datetime(time, 'unixepoch') AS at, action, user, schedule, command, target_path, process_path FROM scheduled_task_events WHERE action != 'deleted'",
	},
	Platforms: tables.Linux, Class: tables.Inventory, Evented: true, Ours: true,
	Scan: scan[Task](
		tables.Linux,
		func(r *Task) int64 { return r.PID },
		texts[Task]{"target_path": func(r *Task) string { return r.TargetPath }}),
})
