package agent

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/aiedr/edr/wire"
)

// lastConfiguration is what the server sent last, kept over restarts.
type lastConfiguration struct {
	cfg   wire.Configuration
	found bool
	err   error // the file could not be read; it was put aside
}

// readLast reads the server's last configuration and puts its settings in
// force, for what is only read when the agent starts.
func (a *Agent) readLast() {
	a.own = a.settings
	if a.settings.Server == "" && a.settings.EnrolToken == "" {
		return
	}
	l := &a.last
	l.found, l.err = readState(a.configPath(), &l.cfg, a.now())
	if l.found && l.err == nil {
		a.settings, _ = merged(a.own, l.cfg.Settings) // what is wrong is told when the configuration is put in force
	}
}

func (a *Agent) configPath() string { return filepath.Join(a.settings.Data, "configuration.json") }

// Bounds within which a server may set an agent.
const (
	maxInterval = 24 * time.Hour
	maxLimit    = 6400 // percent: all of 64 cores
	maxRecorder = 1 << 20
	maxRecorded = 366 * 24 * time.Hour
)

// merged is the agent's own settings with those that the server sets. What is
// out of bounds is left at the agent's own, and said. How far the agent may
// act is its own alone.
func merged(own Settings, s wire.Settings) (Settings, []error) {
	out := own
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(format+"; this host's own is kept: correct the group's settings", args...))
	}
	if d := time.Duration(s.Interval) * time.Second; s.Interval < 0 || s.Interval > int64(maxInterval/time.Second) {
		wrong("interval_s %d is not between 1 and %d", s.Interval, int64(maxInterval/time.Second))
	} else if d > 0 {
		out.Interval = d
	}
	if s.CPULimit < 0 || s.CPULimit > maxLimit {
		wrong("cpu_limit %v is not between 0 and %d", s.CPULimit, maxLimit)
	} else if s.CPULimit > 0 {
		out.CPULimit = s.CPULimit
	}
	if i := slices.IndexFunc(s.MonitorDirs, func(d string) bool { return !filepath.IsAbs(d) }); i >= 0 {
		wrong("monitor_dirs: %q is no absolute path here", s.MonitorDirs[i])
	} else if len(s.MonitorDirs) > 0 {
		out.Dirs = s.MonitorDirs
	}
	if s.RecorderMiB < 0 || s.RecorderMiB > maxRecorder {
		wrong("recorder_mib %d is not between 1 and %d", s.RecorderMiB, maxRecorder)
	} else if s.RecorderMiB > 0 {
		out.RecorderBytes = s.RecorderMiB << 20
	}
	if s.RecorderHours < 0 || s.RecorderHours > int64(maxRecorded/time.Hour) {
		wrong("recorder_hours %d is not between 1 and %d", s.RecorderHours, int64(maxRecorded/time.Hour))
	} else if s.RecorderHours > 0 {
		out.RecorderAge = time.Duration(s.RecorderHours) * time.Hour
	}
	return out, errs
}

// applySettings puts in force what the server sets: the CPU limit and the pace
// of queries at once, the rest when the agent starts again, which is told.
func (a *Agent) applySettings(s wire.Settings) {
	want, errs := merged(a.own, s)
	for _, err := range errs {
		a.problems.tell("settings from the server", err)
	}
	if err := a.governor.SetLimit(want.CPULimit); err != nil {
		a.problems.tell("settings from the server", err)
	}
	a.packs.s.SetInterval(want.Interval)
	now := a.settings
	for _, later := range []struct {
		name    string
		differs bool
	}{
		{"monitor_dirs", !slices.Equal(now.Dirs, want.Dirs)},
		{"recorder_mib and recorder_hours", now.RecorderBytes != want.RecorderBytes || now.RecorderAge != want.RecorderAge},
		{"interval_s of polling sensors", now.Interval != want.Interval},
	} {
		if later.differs {
			a.problems.tell("settings from the server", fmt.Errorf("%s: taken up when this agent starts again", later.name))
		}
	}
}
