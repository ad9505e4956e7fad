// Package filesensor publishes changes to watched folders as file_events:
// by fanotify, which also says which process made the change, or by inotify
// where fanotify cannot run.
//
// Of one file the kernel may merge several changes by one process into one
// event. They are published as separate rows, in the order in which they can
// have happened to one file: created, content, attributes, deleted.
package filesensor

import (
	"log/slog"
	"time"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

// ProcInfo is what is known of the process that made a change.
type ProcInfo struct {
	StartTime     int64 // task start_boottime in nanoseconds; 0 unknown
	Path          string
	Name, Cmdline string
	UID           int64
	Parent        int64
	Known         bool // false: nothing could be found
}

// Options are what the sensor is told.
type Options struct {
	// Dirs are watched with everything below them; a file may be named too.
	// Links are followed once, so that a folder with two names is watched
	// once. One that does not exist yet is watched as soon as it does.
	Dirs []string
	// Quiet are files and folders that are watched as well, of whose changes
	// only Saw is told: nothing of them is published, unless Dirs have them.
	Quiet []string
	// Saw is told of each change, published or not, before it is hashed. It
	// must keep nothing of the event and not block. May be nil.
	Saw func(e *event.File)
	// Exclude are folders below Dirs that are not watched: the agent's own
	// data, whose writing would otherwise cause events that are written.
	Exclude []string
	// Category is the category of the rows; "dirs" when empty.
	Category string
	// Lookup finds the process that made a change. It is called soon after
	// the change, and must not block. When nil, /proc is read.
	Lookup func(pid int64) ProcInfo
	// CatchUp is called once a batch before Lookup. Who knows processes from
	// the kernel's events learns of them in batches too: without it, it would
	// not know a process that has just begun, nor that one has just become
	// another program. May be nil.
	CatchUp func()
	// Drain is for how long events gather; 50 ms when zero. The first after
	// a quiet time does not wait.
	Drain time.Duration
	// MaxFiles bounds the record of what the folders hold, by which changes
	// are found again after the kernel dropped events; 200,000 when zero.
	MaxFiles int
	// Hash says how changed files are hashed, which they are by default.
	Hash   Hashing
	Logger *slog.Logger

	procOnly bool // Lookup reads /proc: it knows nothing of the dead
}

var defaultDirs = []string{
	"/etc", "/bin", "/usr/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/root/.ssh", "/tmp", "/var/tmp",
}

// DefaultDirs are the folders watched on Linux when none are named.
func DefaultDirs() []string { return append([]string(nil), defaultDirs...) }

func (o Options) withDefaults() Options {
	if len(o.Dirs) == 0 {
		o.Dirs = DefaultDirs()
	}
	if o.Category == "" {
		o.Category = "dirs"
	}
	if o.Lookup == nil {
		o.Lookup, o.procOnly = fromProc, true
	}
	if o.Drain <= 0 {
		o.Drain = 50 * time.Millisecond
	}
	if o.MaxFiles <= 0 {
		o.MaxFiles = 200_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// watched are all that is to be watched, published or not.
func (o *Options) watched() roots {
	r := resolveRoots(append(append([]string(nil), o.Dirs...), o.Quiet...), o.Exclude)
	if len(o.Quiet) > 0 {
		told := resolveRoots(o.Dirs, o.Exclude)
		r.told = &told
	}
	return r
}

// Spec declares the sensor with all its mechanisms, best first.
func Spec(o Options) sensor.Spec {
	return sensor.Spec{
		Name: "file", Tables: []string{(*event.File)(nil).Table()}, Mechanisms: Mechanisms(o),
	}
}
