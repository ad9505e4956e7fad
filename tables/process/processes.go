package process

import (
	"github.com/aiedr/edr/tables"
)

// Process is a row of processes.
type Process struct {
	PID       int64             `col:"pid,index,optimized" doc:"Process ID."`
	Name      string            `col:"name" doc:"Short name of the process (comm), at most 15 bytes; /proc/PID/stat. On Windows the name of its file."`
	Path      string            `col:"path" doc:"Path of the executed file, also after it was deleted; empty for kernel threads and for what has ended or is about to; /proc/PID/exe."`
	Cmdline   string            `col:"cmdline" doc:"Command line arguments, joined by spaces; /proc/PID/cmdline."`
	State     string            `col:"state" doc:"State of the process: R, S, D, T, t, Z, X or I; /proc/PID/stat. On Windows STILL_ACTIVE."`
	Cwd       string            `col:"cwd" doc:"Working directory; /proc/PID/cwd."`
	Root      string            `col:"root" doc:"Root directory; /proc/PID/root."`
	UID       int64             `col:"uid" doc:"User ID; /proc/PID/status. On Windows the last part of the user's SID, -1 where unknown, as for the group."`
	GID       int64             `col:"gid" doc:"Group ID."`
	EUID      int64             `col:"euid" doc:"Effective user ID."`
	EGID      int64             `col:"egid" doc:"Effective group ID."`
	SUID      int64             `col:"suid" doc:"Saved user ID."`
	SGID      int64             `col:"sgid" doc:"Saved group ID."`
	OnDisk    int32             `col:"on_disk" doc:"1 if the executed file is still there, 0 if it was deleted or replaced, -1 if there is none or it cannot be told."`
	Wired     int64             `col:"wired_size" doc:"Memory that cannot be paged out, in bytes; VmLck."`
	Resident  int64             `col:"resident_size" doc:"Memory in use, in bytes; VmRSS."`
	Total     int64             `col:"total_size" doc:"Virtual memory, in bytes; VmSize."`
	UserTime  int64             `col:"user_time" doc:"CPU time in user space, in milliseconds, exact to the tick."`
	SysTime   int64             `col:"system_time" doc:"CPU time in the kernel, in milliseconds, exact to the tick."`
	DiskRead  tables.Opt[int64] `col:"disk_bytes_read" doc:"Bytes read from storage; NULL where /proc/PID/io may not be read."`
	DiskWrite tables.Opt[int64] `col:"disk_bytes_written" doc:"Bytes written to storage, less what was cancelled; NULL where /proc/PID/io may not be read."`
	StartTime int64             `col:"start_time" doc:"Start in seconds since the Unix epoch, by the machine's boot time."`
	Parent    int64             `col:"parent" doc:"Process ID of the parent."`
	PGroup    int64             `col:"pgroup" doc:"Process group."`
	Threads   int32             `col:"threads" doc:"Number of threads."`
	Nice      int32             `col:"nice" doc:"Nice level, -20 to 19."`

	Elevated   tables.Opt[int32]  `col:"elevated_token,hidden" doc:"Windows only; NULL elsewhere."`
	Secure     tables.Opt[int32]  `col:"secure_process,hidden" doc:"Windows only; NULL elsewhere."`
	Protection tables.Opt[string] `col:"protection_type,hidden" doc:"Windows only; NULL elsewhere."`
	Virtual    tables.Opt[int32]  `col:"virtual_process,hidden" doc:"Windows only; NULL elsewhere."`
	Elapsed    tables.Opt[int64]  `col:"elapsed_time,hidden" doc:"Windows only; NULL elsewhere."`
	Handles    tables.Opt[int64]  `col:"handle_count,hidden" doc:"Windows only; NULL elsewhere."`
	Percent    tables.Opt[int64]  `col:"percent_processor_time,hidden" doc:"Windows only; NULL elsewhere."`
	UPID       tables.Opt[int64]  `col:"upid,hidden" doc:"macOS only; NULL elsewhere."`
	UPPID      tables.Opt[int64]  `col:"uppid,hidden" doc:"macOS only; NULL elsewhere."`
	CPUType    tables.Opt[int32]  `col:"cpu_type,hidden" doc:"macOS only; NULL elsewhere."`
	CPUSubtype tables.Opt[int32]  `col:"cpu_subtype,hidden" doc:"macOS only; NULL elsewhere."`
	Translated tables.Opt[int32]  `col:"translated,hidden" doc:"macOS only; NULL elsewhere."`

	CgroupPath  string             `col:"cgroup_path" doc:"Control group of the process: of cgroup v2, or of v1 where that tells more; /proc/PID/cgroup."`
	ContainerID string             `col:"container_id,ours" doc:"Container ID from the control group's path, empty outside one."`
	StartNS     int64              `col:"start_time_ns,ours" doc:"Start in nanoseconds since boot, rounded down to the clock tick (10 ms), on Windows since the Unix epoch; with pid it names the process for good. Compare it with an event's at tick precision."`
	Username    tables.Opt[string] `col:"username,ours" doc:"Name of the user by /etc/passwd, on Windows with its domain; NULL for an ID without a name."`
	ParentName  tables.Opt[string] `col:"parent_name,ours" doc:"Short name of the parent; NULL where there is none."`
	ParentPath  tables.Opt[string] `col:"parent_path,ours" doc:"Path of the parent's executed file; NULL where there is no parent."`
	ParentCmd   tables.Opt[string] `col:"parent_cmdline,ours" doc:"Command line of the parent; NULL where there is no parent."`
}

// Processes is the table of running processes.
var Processes = tables.New(tables.Spec[Process]{
	Name: "processes", Doc: "All running processes on the host.",
	Examples: []string{
		"SELECT pid, name, path, cmdline, username FROM processes WHERE pid = 1",
		"SELECT pid, path, cmdline FROM processes WHERE on_disk = 0",
		"SELECT p.pid, p.cmdline, p.parent_cmdline FROM processes p WHERE p.parent_name IN ('nginx', 'apache2', 'httpd') AND p.name IN ('sh', 'bash')",
	},
	Class: tables.Inventory, Platforms: tables.Linux | tables.Windows,
	Scan: scanProcesses,
})
