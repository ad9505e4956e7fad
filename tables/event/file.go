package event

// File is one change to a watched file: a row of file_events.
type File struct {
	Header
	TargetPath    string `col:"target_path,index" doc:"Path of the file that changed."`
	OldPath       string `col:"old_path,ours" doc:"Path before a move, where known."`
	NewPath       string `col:"new_path,ours" doc:"Path after a move, of a MOVED_FROM row, where known."`
	Category      string `col:"category" doc:"Category of the watched folder in the configuration; 'dirs' for -dirs."`
	Action        string `col:"action" doc:"CREATED, UPDATED, DELETED, MOVED_FROM, MOVED_TO or ATTRIBUTES_MODIFIED, as osquery names them."`
	TransactionID int64  `col:"transaction_id" doc:"Number that the two halves of a move share, otherwise 0."`
	Inode         int64  `col:"inode" doc:"Filesystem inode number."`
	UID           int64  `col:"uid" doc:"Owning user ID."`
	GID           int64  `col:"gid" doc:"Owning group ID."`
	Mode          string `col:"mode" doc:"Permission bits, octal."`
	Size          int64  `col:"size" doc:"Size of the file in bytes."`
	ATime         int64  `col:"atime" doc:"Last access in seconds since the epoch."`
	MTime         int64  `col:"mtime" doc:"Last modification in seconds since the epoch."`
	CTime         int64  `col:"ctime" doc:"Last metadata change in seconds since the epoch."`
	MD5           string `col:"md5" doc:"MD5 of the file after the change, where hashed."`
	SHA1          string `col:"sha1" doc:"SHA-1 of the file after the change, where hashed."`
	SHA256        string `col:"sha256" doc:"SHA-256 of the file after the change, where hashed."`
	Hashed        int32  `col:"hashed" doc:"1 if the file was hashed, 0 if not, -1 if hashing failed, such as for a file that was gone or changed by then; edr_sensors counts why."`
	// The process that did it; unknown (pid 0) where inotify saw the change.
	PID       int64  `col:"pid,ours,index" doc:"Process ID that made the change; 0 where the mechanism cannot say."`
	StartTime int64  `col:"start_time_ns,ours" doc:"Start of that process in nanoseconds since boot."`
	Process   string `col:"process_path,ours" doc:"Path of that process's executed file."`
	Name      string `col:"process_name,ours" doc:"Short name of that process."`
	Cmdline   string `col:"process_cmdline,ours" doc:"Command line of that process."`
	UserID    int64  `col:"process_uid,ours" doc:"User ID of that process; -1 where unknown."`
	Parent    int64  `col:"process_parent,ours" doc:"Parent process ID of that process."`
}

// Table is the name of the table.
func (*File) Table() string { return "file_events" }

// The actions of file_events.
const (
	FileCreated    = "CREATED"
	FileUpdated    = "UPDATED"
	FileDeleted    = "DELETED"
	FileMovedFrom  = "MOVED_FROM"
	FileMovedTo    = "MOVED_TO"
	FileAttributes = "ATTRIBUTES_MODIFIED"
)
