package tasksensor

import (
	"path"
	"strings"
	"sync"
	"time"

	"github.com/aiedr/edr/tables/event"
)

// maxTouched bounds the files that wait for a reading.
const maxTouched = 1024

// Feed takes the changes of files that may be those of tasks.
type Feed struct {
	places []string
	ready  chan struct{}

	mu      sync.Mutex
	touched []touch
}

// touch is a change to a file, with who made it.
type touch struct {
	path, old string
	at        time.Time
	source    string
	pid       int64
	start     int64
	exe       string
	name      string
	cmdline   string
	uid       int64
	parent    int64
}

// NewFeed makes a feed of changes in the places, which are files and folders.
func NewFeed(places []string) *Feed {
	return &Feed{places: places, ready: make(chan struct{}, 1)}
}

// Saw takes note of a file event if it is in one of the places. It keeps
// nothing of the event, and never waits.
func (f *Feed) Saw(e *event.File) {
	if !f.relevant(e.TargetPath) {
		return
	}
	f.mu.Lock()
	if len(f.touched) == maxTouched {
		copy(f.touched, f.touched[1:]) // the newest says most likely who it was
		f.touched = f.touched[:maxTouched-1]
	}
	f.touched = append(f.touched, touch{path: e.TargetPath, old: e.OldPath, at: e.When(), source: e.Source, pid: e.PID,
		start: e.StartTime, exe: e.Process, name: e.Name, cmdline: e.Cmdline, uid: e.UserID, parent: e.Parent})
	f.mu.Unlock()
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

func (f *Feed) relevant(file string) bool {
	for _, p := range f.places {
		if strings.HasPrefix(file, p) && (len(file) == len(p) || file[len(p)] == '/') {
			return !isRuntimeUnit(file)
		}
	}
	return strings.Contains(file, "/systemd/user/")
}

// isRuntimeUnit says that a file is a transient unit which is no timer: they
// come and go with each session and each run of a service.
func isRuntimeUnit(file string) bool {
	return strings.HasPrefix(file, "/run/") && strings.Contains(file, "/transient/") && !strings.HasSuffix(file, ".timer")
}

// take hands over what was touched since the last time.
func (f *Feed) take() []touch {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.touched
	f.touched = nil
	return t
}

// whoTouched finds the change that made a task's, the newest first: to its
// own file, or to one that is named for it or for its unit, such as a drop-in
// or the link that enables a timer.
func whoTouched(touched []touch, t *Task) *touch {
	for i := len(touched) - 1; i >= 0; i-- {
		if touched[i].path == t.Source || touched[i].old == t.Source {
			return &touched[i]
		}
	}
	if t.Type != "systemd_timer" {
		return nil
	}
	for i := len(touched) - 1; i >= 0; i-- {
		base, dir := path.Base(touched[i].path), path.Base(path.Dir(touched[i].path))
		for _, unit := range []string{t.Name, t.Unit} {
			if unit != "" && (base == unit || base == unit+".d" || dir == unit+".d" || templateOf(unit) == base) {
				return &touched[i]
			}
		}
	}
	return nil
}

// templateOf is "a@.timer" of "a@b.timer", and "" of a name without "@".
func templateOf(unit string) string {
	at, dot := strings.IndexByte(unit, '@'), strings.LastIndexByte(unit, '.')
	if at < 0 || dot < at {
		return ""
	}
	return unit[:at+1] + unit[dot:]
}
