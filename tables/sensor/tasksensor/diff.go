package tasksensor

import "github.com/aiedr/edr/tables/event"

// change is one difference between two readings.
type change struct {
	action   string
	now, old *Task // nil where there is none
}

// task is the task as it is, or as it was where it is gone.
func (c change) task() *Task {
	if c.now != nil {
		return c.now
	}
	return c.old
}

// key says what a task is by itself, however it may change. Lines of a
// crontab have no names: those of one file and user are told apart by diff.
func (t *Task) key() [4]string {
	switch t.Type {
	case "systemd_timer":
		return [4]string{t.Type, t.Name} // its file may be overridden by another
	case "anacron":
		return [4]string{t.Type, t.Source, t.Name}
	}
	return [4]string{t.Type, t.Source}
}

// diff tells what is not as it was, in the order of the reading.
func diff(before, after []Task) []change {
	old := map[[4]string][]*Task{}
	for i := range before {
		k := before[i].key()
		old[k] = append(old[k], &before[i])
	}
	fresh := map[[4]string][]*Task{}
	var order [][4]string
	for i := range after {
		k := after[i].key()
		if _, ok := fresh[k]; !ok {
			order = append(order, k)
		}
		fresh[k] = append(fresh[k], &after[i])
	}
	for i := range before {
		k := before[i].key()
		if _, ok := fresh[k]; !ok {
			order = append(order, k)
			fresh[k] = nil
		}
	}
	var changes []change
	for _, k := range order {
		changes = append(changes, within(old[k], fresh[k])...)
	}
	return changes
}

// within compares the tasks of one key. What is the same on both sides is put
// aside; of the rest those belong together that have most in common.
func within(old, fresh []*Task) []change {
	pairs := make([]*Task, len(fresh)) // the old one of each
	used := make([]bool, len(old))
	for _, alike := range []func(a, b *Task) bool{
		func(a, b *Task) bool { return *a == *b },
		func(a, b *Task) bool { return a.User == b.User && a.Command == b.Command },
		func(a, b *Task) bool { return a.Command == b.Command },
		func(a, b *Task) bool { return a.User == b.User && a.Schedule == b.Schedule },
		func(a, b *Task) bool { return true },
	} {
		for i, f := range fresh {
			for j, o := range old {
				if pairs[i] == nil && !used[j] && alike(f, o) {
					pairs[i], used[j] = o, true
				}
			}
		}
	}
	var changes []change
	for i, f := range fresh {
		switch {
		case pairs[i] == nil:
			changes = append(changes, change{event.TaskCreated, f, nil})
		case *pairs[i] != *f:
			changes = append(changes, change{event.TaskModified, f, pairs[i]})
		}
	}
	for j, o := range old {
		if !used[j] {
			changes = append(changes, change{event.TaskDeleted, nil, o})
		}
	}
	return changes
}
