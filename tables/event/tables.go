package event

import "github.com/aiedr/edr/tables"

// ProcessEvents is the table process_events.
var ProcessEvents = tables.New(tables.Spec[Exec]{
	Name: "process_events",
	Doc:  "Executions of programs, as the kernel reported them.",
	Examples: []string{
		"SELECT datetime(time, 'unixepoch') AS at, pid, parent_name, cmdline FROM process_events WHERE time > unixepoch() - 300",
		"SELECT path, count(*) AS n FROM process_events GROUP BY path ORDER BY n DESC LIMIT 20",
	},
	Platforms: tables.Linux, Class: tables.Personal, Evented: true,
	Scan: scan[Exec](
		tables.Linux,
		func(r *Exec) int64 { return r.PID },
		texts[Exec]{"path": func(r *Exec) string { return r.Path }}),
})

// ProcessExitEvents is the table process_exit_events.
var ProcessExitEvents = tables.New(tables.Spec[Exit]{
	Name: "process_exit_events",
	Doc:  "Ends of processes, with how they ended and how long they lived.",
	Examples: []string{
		"SELECT pid, name, exit_code, signal, duration_ns / 1000000 AS ms FROM process_exit_events WHERE signal != 0",
	},
	Platforms: tables.Linux, Class: tables.Personal, Evented: true, Ours: true,
	Scan: scan[Exit](
		tables.Linux,
		func(r *Exit) int64 { return r.PID },
		texts[Exit]{"path": func(r *Exit) string { return r.Path }}),
})

// FileEvents is the table file_events.
var FileEvents = tables.New(tables.Spec[File]{
	Name: "file_events",
	Doc:  "Changes to files in the watched folders, with the process that made them where the mechanism can say.",
	Examples: []string{
		"SELECT datetime(time, 'unixepoch') AS at, action, target_path, process_path, pid FROM file_events WHERE target_path LIKE '/etc/%'",
	},
	Platforms: tables.Linux, Class: tables.Personal, Evented: true,
	Scan: scan[File](
		tables.Linux,
		func(r *File) int64 { return r.PID },
		texts[File]{"target_path": func(r *File) string { return r.TargetPath }}),
})

// SocketEvents is the table socket_events.
var SocketEvents = tables.New(tables.Spec[Socket]{
	Name: "socket_events",
	Doc:  "Connections opened, accepted and closed, and sockets bound, with their process.",
	Examples: []string{
		"SELECT datetime(time, 'unixepoch') AS at, action, pid, path, remote_address, remote_port FROM socket_events WHERE action = 'connect'",
	},
	Platforms: tables.Linux, Class: tables.Network, Evented: true,
	Scan: scan[Socket](
		tables.Linux,
		func(r *Socket) int64 { return r.PID },
		texts[Socket]{"path": func(r *Socket) string { return r.Path }}),
})
