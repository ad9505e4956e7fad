package response

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Executed names a program by the process that ran it.
type Executed struct {
	PID       int64
	StartTime int64 // nanoseconds since boot
	Path      string
	// Time is when it was seen to run.
	Time time.Time
}

// systemFolders hold the programs that come with the system: what runs a
// script is mostly one of them, and a rule that means the script must not take
// the shell away.
var systemFolders = []string{"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/libexec", "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64"}

func ofSystem(path string) bool {
	return slices.ContainsFunc(systemFolders, func(dir string) bool { return strings.HasPrefix(path, dir+"/") })
}

// IdentifyExecuted names the file that a process was seen to run, as it is
// now: while the process runs, it must be the file that the kernel has for it,
// and afterwards one that was not changed since. Programs of the system are
// refused: a person may quarantine one by hand.
func IdentifyExecuted(ctx context.Context, o Options, e Executed) (QuarantineFileArgs, error) {
	a := QuarantineFileArgs{Path: e.Path}
	if err := checkPath(a.Path); err != nil {
		return a, err
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(a.Path)); err == nil {
		a.Path = filepath.Join(dir, filepath.Base(a.Path))
	}
	if ofSystem(a.Path) {
		return a, &RefusedError{"a rule does not quarantine a program of the system, and " + a.Path + " stands among them; do it by hand if it is meant"}
	}
	q := newQuarantine(o)
	a, err := q.executed(a, e)
	if err != nil {
		return a, err
	}
	return q.complete(ctx, a)
}
