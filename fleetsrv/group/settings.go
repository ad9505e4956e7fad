package group

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

const (
	maxDirs      = 200
	maxDirLength = 4096
)

// CheckSettings refuses what no agent could do.
func CheckSettings(s wire.Settings) error {
	switch {
	case s.Interval != 0 && (s.Interval < 1 || s.Interval > 86400):
		return fmt.Errorf("interval_s %d: give seconds from 1 to 86400", s.Interval)
	case s.CPULimit != 0 && (math.IsNaN(s.CPULimit) || s.CPULimit < 0.1 || s.CPULimit > 6400):
		return fmt.Errorf("cpu_limit %v: give percent of one core from 0.1 to 6400", s.CPULimit)
	case s.RecorderMiB != 0 && (s.RecorderMiB < 16 || s.RecorderMiB > 1<<20):
		return fmt.Errorf("recorder_mib %d: give MiB from 16 to %d", s.RecorderMiB, 1<<20)
	case s.RecorderHours != 0 && (s.RecorderHours < 1 || s.RecorderHours > 24*366):
		return fmt.Errorf("recorder_hours %d: give hours from 1 to %d", s.RecorderHours, 24*366)
	case len(s.MonitorDirs) > maxDirs:
		return fmt.Errorf("monitor_dirs: at most %d folders, not %d", maxDirs, len(s.MonitorDirs))
	}
	for _, d := range s.MonitorDirs {
		windows := len(d) > 2 && d[1] == ':' && (d[2] == '\\' || d[2] == '/')
		if len(d) > maxDirLength || strings.ContainsRune(d, 0) || !windows && (!path.IsAbs(d) || path.Clean(d) != d) {
			return fmt.Errorf("monitor_dirs: %q is no absolute path in its shortest form, such as /etc or C:\\Users", d)
		}
	}
	return nil
}

// Effective is what is set for a host in these groups: each setting from the
// group of the highest priority that has it, of equals from the one whose name
// comes first, and from GroupAll where no other has it.
func Effective(groups []store.Group) wire.Settings {
	order := slices.Clone(groups)
	slices.SortFunc(order, func(a, b store.Group) int {
		if x, y := a.Name == store.GroupAll, b.Name == store.GroupAll; x != y {
			if x {
				return 1
			}
			return -1
		}
		if a.Priority != b.Priority {
			return b.Priority - a.Priority
		}
		return strings.Compare(a.Name, b.Name)
	})
	var out wire.Settings
	for _, g := range order {
		s := g.Settings
		if out.Interval == 0 {
			out.Interval = s.Interval
		}
		if len(out.MonitorDirs) == 0 {
			out.MonitorDirs = s.MonitorDirs
		}
		if out.CPULimit == 0 {
			out.CPULimit = s.CPULimit
		}
		if out.RecorderMiB == 0 {
			out.RecorderMiB = s.RecorderMiB
		}
		if out.RecorderHours == 0 {
			out.RecorderHours = s.RecorderHours
		}
	}
	return out
}

// IsSet says whether anything is set.
func IsSet(s wire.Settings) bool {
	return s.Interval != 0 || len(s.MonitorDirs) > 0 || s.CPULimit != 0 || s.RecorderMiB != 0 || s.RecorderHours != 0
}
