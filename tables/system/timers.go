package system

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/aiedr/edr/tables"
)

// Where systemd looks for units, the first having precedence.
var (
	systemUnits = []string{
		"/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient",
		"/run/systemd/generator.early", "/etc/systemd/system", "/run/systemd/system",
		"/run/systemd/generator", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
		"/lib/systemd/system", "/run/systemd/generator.late",
	}
	userUnits = []string{
		"/etc/systemd/user", "/run/systemd/user", "/usr/local/share/systemd/user", "/usr/share/systemd/user",
		"/usr/local/lib/systemd/user", "/usr/lib/systemd/user", "/lib/systemd/user",
	}
	homeUnits = []string{".config/systemd/user.control", ".config/systemd/user", ".local/share/systemd/user"}
)

// unitSet is the units that one service manager reads.
type unitSet struct {
	s    *taskScan
	dirs []string
	// user is as whom units run that do not say, NULL where each user's
	// manager runs its own.
	user  tables.Opt[string]
	stamp string // folder of time stamps of the last runs
	// files maps a name to the file that defines it, by precedence; wanted
	// holds the names that a .wants or .requires folder starts.
	files  map[string]string
	wanted map[string]bool
	// drops maps a folder of drop-ins to the folders that have one of its name.
	drops map[string][]string
	// broken says that of the unit loaded last the file could not be used.
	broken bool
}

// timers lists the timers of the system's manager, those that all users'
// managers share, and those in each user's home.
func (s *taskScan) timers() {
	s.unitSet(systemUnits, tables.Some("root"), "/var/lib/systemd/timers", isTimer).emit()
	s.unitSet(userUnits, tables.Opt[string]{}, "", isTimer).emit()
	seen := map[string]bool{}
	for _, u := range s.accounts {
		if seen[u.home] || u.home == "/" || s.stopped {
			continue // many system accounts share a home that is nobody's
		}
		seen[u.home] = true
		var dirs []string
		for _, d := range homeUnits {
			dirs = append(dirs, path.Join(u.home, d))
		}
		dirs = append(dirs, fmt.Sprintf("/run/user/%d/systemd/transient", u.uid))
		// A timer at home may start a unit of the shared folders.
		set := s.unitSet(append(dirs, userUnits...), tables.Some(u.name),
			path.Join(u.home, ".local/share/systemd/timers"), isTimer)
		set.only(dirs)
		set.emit()
	}
}

// isTimer says that a file is of interest for timers.
func isTimer(name string) bool {
	return strings.HasSuffix(name, ".timer") || strings.HasSuffix(name, ".service")
}

func (s *taskScan) unitSet(dirs []string, user tables.Opt[string], stamp string, is func(string) bool) *unitSet {
	u := &unitSet{s: s, dirs: dirs, user: user, stamp: stamp, files: map[string]string{}, wanted: map[string]bool{},
		drops: map[string][]string{}}
	for _, dir := range dirs {
		for _, e := range s.list(dir) {
			name := e.Name()
			switch {
			case strings.HasSuffix(name, ".wants"), strings.HasSuffix(name, ".requires"):
				for _, w := range s.list(path.Join(dir, name)) {
					u.wanted[w.Name()] = true
				}
			case strings.HasSuffix(name, ".d"):
				u.drops[name] = append(u.drops[name], dir)
			case is(name):
				if _, ok := u.files[name]; !ok {
					u.files[name] = path.Join(dir, name)
				}
			}
		}
	}
	// An instance of a template has no file of its own, only a link that
	// wants it.
	for name := range u.wanted {
		if t := template(name); is(name) && u.files[name] == "" && u.files[t] != "" {
			u.files[name] = u.files[t]
		}
	}
	return u
}

// only leaves out the timers that no folder of dirs defines or wants.
func (u *unitSet) only(dirs []string) {
	for name, file := range u.files {
		if strings.HasSuffix(name, ".timer") && !slices.Contains(dirs, path.Dir(file)) {
			delete(u.files, name)
		}
	}
}

// template is the name of the template of an instance: "a@.timer" of "a@b.timer".
func template(name string) string {
	at := strings.IndexByte(name, '@')
	dot := strings.LastIndexByte(name, '.')
	if at < 0 || dot < at {
		return ""
	}
	return name[:at+1] + name[dot:]
}

func (u *unitSet) emit() {
	names := make([]string, 0, len(u.files))
	for name := range u.files {
		if strings.HasSuffix(name, ".timer") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if u.s.stopped {
			return
		}
		u.timer(name)
	}
}

// load reads a unit with its drop-ins. masked is true for one that is linked
// to /dev/null or empty.
func (u *unitSet) load(name string) (f unitFile, masked bool) {
	file, ok := u.files[name]
	if !ok {
		if file, ok = u.files[template(name)]; !ok {
			return unitFile{}, false
		}
	}
	f = unitFile{}
	u.broken = false
	if to, err := u.s.q.Host.Root.Readlink(file); err == nil && to == "/dev/null" {
		return f, true
	}
	data, ok := u.s.read(file)
	u.broken = file != "" && !ok
	if !ok {
		return f, false
	}
	if len(data) == 0 {
		return f, true
	}
	bad := f.parse(data)
	u.broken = len(bad) > 0 && len(f) == 0
	for _, err := range bad {
		u.s.q.Warn(fmt.Errorf("%s %w", file, err))
	}
	for _, conf := range u.dropIns(name) {
		data, ok := u.s.read(conf)
		if !ok {
			continue
		}
		for _, err := range f.parse(data) {
			u.s.q.Warn(fmt.Errorf("%s %w", conf, err))
		}
	}
	return f, false
}

// dropIns are the files that change a unit. Of those with one name the first
// folder's is read, all in the order of their names.
func (u *unitSet) dropIns(name string) []string {
	drops := map[string]string{}
	for _, unit := range dropInNames(name) {
		for _, dir := range u.drops[unit+".d"] {
			for _, e := range u.s.list(path.Join(dir, unit+".d")) {
				if _, ok := drops[e.Name()]; !ok && strings.HasSuffix(e.Name(), ".conf") {
					drops[e.Name()] = path.Join(dir, unit+".d", e.Name())
				}
			}
		}
	}
	order := make([]string, 0, len(drops))
	for conf := range drops {
		order = append(order, conf)
	}
	slices.Sort(order)
	for i, conf := range order {
		order[i] = drops[conf]
	}
	return order
}

// dropInNames are the names under which drop-ins of a unit may stand: its own,
// that of its template, those of what its name begins with up to a dash, and
// its type.
func dropInNames(unit string) []string {
	names := []string{unit}
	if t := template(unit); t != "" {
		names = append(names, t)
	}
	kind := path.Ext(unit)
	for stem := strings.TrimSuffix(unit, kind); ; {
		i := strings.LastIndexByte(strings.TrimSuffix(stem, "-"), '-')
		if i < 0 {
			break
		}
		stem = stem[:i+1]
		names = append(names, stem+kind)
	}
	return append(names, strings.TrimPrefix(kind, "."))
}

// triggers are the settings of a timer that start its unit.
var triggers = []string{"OnCalendar", "OnBootSec", "OnStartupSec", "OnActiveSec", "OnUnitActiveSec", "OnUnitInactiveSec"}

func (u *unitSet) timer(name string) {
	f, masked := u.load(name)
	t := Task{Name: name, Type: typeTimer, Source: u.files[name], User: u.user}
	unit := f.one("Timer.Unit")
	if unit == "" {
		unit = strings.TrimSuffix(name, ".timer") + ".service"
	}
	t.Unit = tables.Some(unit)
	var when []string
	for _, key := range triggers {
		for _, v := range f["Timer."+key] {
			if key == "OnCalendar" {
				when = append(when, v)
			} else {
				when = append(when, key+"="+v)
			}
		}
	}
	t.Schedule = strings.Join(when, "; ")
	service, serviceMasked := u.load(unit)
	var commands []string
	for _, key := range []string{"ExecStartPre", "ExecStart", "ExecStartPost"} {
		commands = append(commands, service["Service."+key]...)
	}
	t.Action = strings.Join(commands, "; ")
	if start := service["Service.ExecStart"]; len(start) > 0 {
		t.Command, t.Path = start[0], commandPath(start[0])
	}
	if user := service.one("Service.User"); user != "" {
		t.User = tables.Some(user)
	}
	transient := strings.Contains(path.Dir(t.Source), "/transient")
	switch {
	case masked || serviceMasked:
		t.State = "masked"
	case u.wanted[name] || transient:
		t.Enabled, t.State = true, "ready"
	case !hasSection(f, "Install"):
		t.State = "static"
	default:
		t.State = "disabled"
	}
	if f.one("Timer.RandomizedDelaySec") == "" {
		t.NextRunTime = u.s.nextTimer(f)
	}
	if u.stamp != "" {
		// systemd touches this file after each run of a persistent timer.
		fi, err := u.s.q.Host.Root.Stat(path.Join(u.stamp, "stamp-"+name))
		if err == nil {
			t.LastRunTime = tables.Some(fi.ModTime().Unix())
		} else if !errors.Is(err, fs.ErrNotExist) {
			u.s.q.Warn(err)
		}
	}
	u.s.emit(t)
}

// nextTimer is the earliest of a timer's calendar times; unknown where one of
// its triggers cannot be told.
func (s *taskScan) nextTimer(f unitFile) tables.Opt[int64] {
	var first tables.Opt[int64]
	for _, key := range triggers {
		for _, v := range f["Timer."+key] {
			if key != "OnCalendar" {
				return tables.Opt[int64]{}
			}
			n := nextCalendar(v, s.now)
			if !n.Known {
				return n
			}
			if !first.Known || n.V < first.V {
				first = n
			}
		}
	}
	return first
}

func hasSection(f unitFile, section string) bool {
	for key := range f {
		if strings.HasPrefix(key, section+".") {
			return true
		}
	}
	return false
}
