package event

// fieldNames numbers the columns of all event tables for the codec: a
// column's number is its place in this list. Records on disk carry these
// numbers, so the list only ever grows at its end: a name is never moved,
// removed or given another Go kind. Reading skips numbers that it does not
// know, and leaves fields that a record lacks at zero.
//
// time, time_ns and eid are not here: the log keeps them beside the record.
var fieldNames = []string{
	"", // 0 is not used
	// First those that most records carry: numbers below 64 take one byte.
	"pid", "start_time_ns", "path", "parent", "parent_start_time_ns", "name",
	"cmdline", "cmdline_size", "argv", "parent_name", "parent_path",
	"parent_cmdline", "cgroup_id", "container_id", "source", "mode", "cwd",
	"auid", "uid", "euid", "gid", "egid", "suid", "sgid", "fsuid", "fsgid",
	"owner_uid", "owner_gid", "atime", "mtime", "ctime", "btime", "uptime",
	"syscall", "grandparent", "target_path", "old_path", "category", "action",
	"transaction_id", "inode", "size", "process_path", "process_name",
	"process_cmdline", "process_uid", "process_parent", "duration_ns", "status",
	"family", "protocol", "local_address", "remote_address", "local_port",
	"remote_port", "socket", "cookie", "fd", "success", "exit_code", "signal",
	"cmdline_truncated",
	// 63 and up
	"overflows", "env", "env_count", "env_size", "md5", "sha1", "sha256", "hashed",
	"filename", "key", "value", "data_type", "data", "old_data",
	"new_path", "type", "unit", "command", "old_command", "schedule", "old_schedule",
	"user", "old_user", "enabled", "old_enabled",
}
