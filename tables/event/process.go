package event

// Exec is one execution of a program: a row of process_events.
type Exec struct {
	Header
	Actor
	Parent       int64  `col:"parent" doc:"Process ID of the parent."`
	ParentStart  int64  `col:"parent_start_time_ns,ours,hidden" doc:"Start of the parent in nanoseconds since boot."`
	Name         string `col:"name,ours" doc:"Short name of the process (comm), at most 15 bytes."`
	Cmdline      string `col:"cmdline" doc:"Command line arguments, separated by spaces."`
	CmdlineSize  int64  `col:"cmdline_size,hidden" doc:"Size of the arguments in bytes, also of what was cut off."`
	Argv         string `col:"argv,ours,hidden" doc:"The arguments exactly, as a JSON array."`
	Truncated    bool   `col:"cmdline_truncated,ours,hidden" doc:"1 if the arguments were longer than was kept."`
	Mode         string `col:"mode" doc:"File mode permissions of the executed file."`
	CWD          string `col:"cwd" doc:"Working directory, where known."`
	AUID         int64  `col:"auid" doc:"Audit user ID at process start (the user who logged on)."`
	UID          int64  `col:"uid" doc:"User ID at process start."`
	EUID         int64  `col:"euid" doc:"Effective user ID at process start."`
	GID          int64  `col:"gid" doc:"Group ID at process start."`
	EGID         int64  `col:"egid" doc:"Effective group ID at process start."`
	SUID         int64  `col:"suid" doc:"Saved user ID at process start."`
	SGID         int64  `col:"sgid" doc:"Saved group ID at process start."`
	FSUID        int64  `col:"fsuid" doc:"Filesystem user ID at process start."`
	FSGID        int64  `col:"fsgid" doc:"Filesystem group ID at process start."`
	OwnerUID     int64  `col:"owner_uid" doc:"File owner user ID."`
	OwnerGID     int64  `col:"owner_gid" doc:"File owner group ID."`
	ATime        int64  `col:"atime,alias=access_time" doc:"File last access in seconds since the epoch."`
	MTime        int64  `col:"mtime,alias=modify_time" doc:"File modification in seconds since the epoch."`
	CTime        int64  `col:"ctime,alias=change_time" doc:"File last metadata change in seconds since the epoch."`
	BTime        int64  `col:"btime,alias=create_time" doc:"File creation in seconds since the epoch."`
	Env          string `col:"env,hidden,alias=environment" doc:"Environment variables; not recorded, always empty."`
	EnvCount     int64  `col:"env_count,hidden,alias=environment_count" doc:"Number of environment variables; not recorded, always 0."`
	EnvSize      int64  `col:"env_size,hidden,alias=environment_size" doc:"Size of the environment in bytes; not recorded, always 0."`
	Overflows    string `col:"overflows,hidden" doc:"Names of the columns that were cut off."`
	Uptime       int64  `col:"uptime" doc:"Time of execution in seconds since boot."`
	Status       int64  `col:"status" doc:"Result of the execution; 0, since only executions that happened are recorded."`
	Syscall      string `col:"syscall" doc:"System call: execve or execveat, which the kernel event does not tell apart."`
	Filename     string `col:"filename,ours" doc:"Name given to execve, as given: of a script the script's, while path is its interpreter's. Empty where unknown."`
	ParentParent int64  `col:"grandparent,ours,hidden" doc:"Process ID of the parent's parent, 0 where unknown."`
}

// Table is the name of the table.
func (*Exec) Table() string { return "process_events" }

// Exit is one end of a process: a row of process_exit_events.
type Exit struct {
	Header
	Actor
	Parent   int64  `col:"parent" doc:"Process ID of the parent."`
	Name     string `col:"name" doc:"Short name of the process (comm), at most 15 bytes."`
	Cmdline  string `col:"cmdline" doc:"Command line arguments, where known."`
	UID      int64  `col:"uid" doc:"User ID at the end."`
	GID      int64  `col:"gid" doc:"Group ID at the end."`
	ExitCode int64  `col:"exit_code" doc:"Status given to exit; 0 when a signal ended the process."`
	Signal   int64  `col:"signal" doc:"Number of the signal that ended the process, or 0."`
	Duration int64  `col:"duration_ns" doc:"Life of the process in nanoseconds."`
}

// Table is the name of the table.
func (*Exit) Table() string { return "process_exit_events" }
