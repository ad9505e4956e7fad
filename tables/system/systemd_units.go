package system

import (
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/aiedr/edr/tables"
)

// Unit is a row of systemd_units.
type Unit struct {
	ID            string             `col:"id" doc:"Name of the unit."`
	Description   string             `col:"description" doc:"Description, as its file has it."`
	LoadState     string             `col:"load_state" doc:"loaded, masked, not-found where another unit wants one that has no file, or error where its file could not be read."`
	ActiveState   tables.Opt[string] `col:"active_state" doc:"active where systemd left a mark of a running unit in /run/systemd/units; inactive where no systemd runs; NULL else, since inactive and failed units leave no mark."`
	SubState      tables.Opt[string] `col:"sub_state" doc:"Of an active unit its state by type, such as running, listening, waiting or mounted; exited for a service that is active without a process. NULL where it cannot be told."`
	UnitFileState tables.Opt[string] `col:"unit_file_state" doc:"enabled, disabled, static, masked, generated or transient; NULL without a file."`
	Following     tables.Opt[string] `col:"following" doc:"Always NULL: only the manager knows."`
	ObjectPath    string             `col:"object_path" doc:"Object path of the unit on D-Bus."`
	JobID         tables.Opt[int64]  `col:"job_id" doc:"Always NULL: only the manager knows its jobs."`
	JobType       tables.Opt[string] `col:"job_type" doc:"Always NULL: only the manager knows its jobs."`
	JobPath       tables.Opt[string] `col:"job_path" doc:"Always NULL: only the manager knows its jobs."`
	FragmentPath  string             `col:"fragment_path" doc:"File that defines the unit; empty without one."`
	User          string             `col:"user" doc:"User as whom it runs, where its file says so."`
	SourcePath    string             `col:"source_path" doc:"File that the unit was generated from, where its file says so."`
	ExecStart     string             `col:"exec_start,ours" doc:"Commands that start a service, separated by semicolons, drop-ins taken into account."`
	DropIns       string             `col:"drop_in_paths,ours" doc:"Files that change the unit, separated by spaces."`
}

// SystemdUnits is osquery's table of systemd's units, from their files: no
// command is run and no bus is asked.
var SystemdUnits = tables.New(tables.Spec[Unit]{
	Name: "systemd_units", Doc: "Units of the system's manager, from their files and from what systemd leaves in /run. osquery asks the manager and lists what is loaded; here all that is installed is listed.",
	Examples: []string{
		"SELECT id, active_state, sub_state, fragment_path, exec_start FROM systemd_units WHERE id LIKE '%.service' AND unit_file_state = 'enabled'",
		"SELECT id, exec_start, drop_in_paths FROM systemd_units WHERE exec_start LIKE '%/tmp/%' OR fragment_path LIKE '/run/%'",
	},
	Class: tables.Inventory, Platforms: tables.Linux,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[Unit, error] {
		if err := q.Host.Needs(tables.Linux); err != nil {
			return fail[Unit](err)
		}
		return func(yield func(Unit, error) bool) {
			s := &unitScan{q: q, tasks: &taskScan{q: q}}
			s.open()
			for _, id := range s.ids {
				if err := ctx.Err(); err != nil {
					yield(Unit{}, err)
					return
				}
				if !yield(s.unit(id), nil) {
					return
				}
			}
		}
	},
})

var unitTypes = []string{
	".service", ".socket", ".target", ".timer", ".path", ".mount", ".automount", ".swap", ".slice", ".scope", ".device",
}

func isUnit(name string) bool {
	return len(path.Ext(name)) > 0 && slices.Contains(unitTypes, path.Ext(name)) && len(path.Ext(name)) < len(name)
}

// unitScan is one reading of the units.
type unitScan struct {
	q      *tables.Query
	tasks  *taskScan
	set    *unitSet
	ids    []string
	marked map[string]bool // units with a mark of running
	booted bool            // systemd runs, or ran, on this root
}

// marks is where systemd keeps a link for each unit that is active.
const marks = "/run/systemd/units"

func (s *unitScan) open() {
	s.set = s.tasks.unitSet(systemUnits, tables.Opt[string]{}, "", isUnit)
	s.marked = map[string]bool{}
	for _, e := range s.tasks.list(marks) {
		s.booted = true
		if id, ok := strings.CutPrefix(e.Name(), "invocation:"); ok && isUnit(id) {
			s.marked[id] = true
		}
	}
	all := map[string]bool{}
	for id, file := range s.set.files {
		// A template is no unit, and a link to another unit's file is only a
		// further name of that one.
		if strings.Contains(id, "@.") || s.isAlias(id, file) {
			continue
		}
		all[id] = true
	}
	for id := range s.marked {
		all[id] = true
	}
	for id := range s.set.wanted {
		if file := s.set.files[id]; isUnit(id) && (file == "" || !s.isAlias(id, file)) {
			all[id] = true
		}
	}
	for id := range all {
		s.ids = append(s.ids, id)
	}
	slices.Sort(s.ids)
}

func (s *unitScan) isAlias(id, file string) bool {
	to, err := s.q.Host.Root.Readlink(file)
	if err != nil || to == "/dev/null" {
		return false
	}
	base := path.Base(to)
	return base != id && base != template(id) && isUnit(base)
}

func (s *unitScan) unit(id string) Unit {
	u := Unit{ID: id, ObjectPath: objectPath(id), LoadState: "loaded", FragmentPath: s.set.files[id]}
	if u.FragmentPath == "" {
		u.FragmentPath = s.set.files[template(id)]
	}
	f, masked := s.set.load(id)
	switch {
	case masked:
		u.LoadState = "masked"
	case u.FragmentPath == "" && !s.marked[id]:
		u.LoadState = "not-found"
	case u.FragmentPath != "" && s.set.broken:
		u.LoadState = "error"
	}
	u.Description, u.User, u.SourcePath = f.one("Unit.Description"), f.one("Service.User"), f.one("Unit.SourcePath")
	u.ExecStart = strings.Join(f["Service.ExecStart"], "; ")
	var drops []string
	for _, d := range s.set.dropIns(id) {
		drops = append(drops, d)
	}
	u.DropIns = strings.Join(drops, " ")
	u.UnitFileState = s.fileState(id, u.FragmentPath, f, masked)
	s.activity(&u)
	return u
}

func (s *unitScan) fileState(id, file string, f unitFile, masked bool) tables.Opt[string] {
	switch {
	case file == "":
		return tables.Opt[string]{}
	case masked:
		return tables.Some("masked")
	case strings.Contains(file, "/generator"):
		return tables.Some("generated")
	case strings.Contains(file, "/transient/"):
		return tables.Some("transient")
	case s.set.wanted[id]:
		return tables.Some("enabled")
	case hasSection(f, "Install"):
		return tables.Some("disabled")
	}
	return tables.Some("static")
}

// subStates are the states of active units by type, where there is only one.
var subStates = map[string]string{
	".target": "active", ".slice": "active", ".mount": "mounted", ".swap": "active", ".device": "plugged", ".scope": "running",
	".path": "waiting",
}

// activity tells whether a unit runs: by systemd's mark, and for a service by
// whether its control group has a process.
func (s *unitScan) activity(u *Unit) {
	switch {
	case s.marked[u.ID]:
		u.ActiveState = tables.Some("active")
		if sub, ok := subStates[path.Ext(u.ID)]; ok {
			u.SubState = tables.Some(sub)
		} else if path.Ext(u.ID) == ".service" {
			u.SubState = s.serviceState(u.ID)
		}
	case !s.booted:
		u.ActiveState, u.SubState = tables.Some("inactive"), tables.Some("dead")
	}
}

func (s *unitScan) serviceState(id string) tables.Opt[string] {
	slices := []string{"system.slice"}
	if t := template(id); t != "" {
		slices = append(slices, "system.slice/system-"+strings.ReplaceAll(t[:strings.IndexByte(t, '@')], "-", `\x2d`)+".slice")
	}
	for _, slice := range slices {
		for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"} {
			data, err := s.q.Host.Root.ReadFile(path.Join(mount, slice, id, "cgroup.procs"), 1<<20)
			if err != nil {
				continue
			}
			if len(strings.TrimSpace(string(data))) > 0 {
				return tables.Some("running")
			}
			return tables.Some("exited")
		}
	}
	return tables.Opt[string]{}
}

// objectPath is a unit's name as D-Bus writes it in a path.
func objectPath(id string) string {
	var b strings.Builder
	b.WriteString("/org/freedesktop/systemd1/unit/")
	for i := range len(id) {
		c := id[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' && i > 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}
