package process

import (
	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/procfs"
)

// parent is what a child shows of its parent.
type parent struct{ name, path, cmdline string }

// parent fills in what is wanted of the parent, and keeps what was read of the
// row itself for its children. Parents come before children as a rule, so that
// little is read twice.
func (s *snapshot) parent(row *Process) {
	w := &s.want
	if !w.parentName && !w.parentPath && !w.parentCmd {
		return
	}
	if (w.exe || !w.parentPath) && (w.cmdline || !w.parentCmd) {
		s.known[row.PID] = &parent{name: row.Name, path: row.Path, cmdline: row.Cmdline}
	}
	if row.Parent <= 0 {
		return
	}
	k, ok := s.known[row.Parent]
	if !ok {
		k = s.readParent(row.Parent)
		s.known[row.Parent] = k
	}
	if k != nil {
		row.ParentName, row.ParentPath, row.ParentCmd = tables.Some(k.name), tables.Some(k.path), tables.Some(k.cmdline)
	}
}

func (s *snapshot) readParent(pid int64) *parent {
	p, err := s.r.Process(pid)
	if err != nil {
		return nil
	}
	defer p.Close()
	var st procfs.Stat
	if p.Stat(&st) != nil {
		return nil
	}
	k := &parent{name: st.Comm}
	body, mem := p.Body(&st)
	if !body.Is(&p) {
		defer body.Close()
	}
	if !mem || st.Kernel() {
		return k
	}
	if s.want.parentPath {
		var row Process
		if s.exe(&body, &row) == nil {
			k.path = row.Path
		}
	}
	if s.want.parentCmd {
		if c, err := body.Cmdline(); err == nil {
			k.cmdline = c
		} else if s.deny("cmdline", err) != nil {
			return nil
		}
	}
	return k
}
