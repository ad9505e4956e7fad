package system

import (
	"context"
	"fmt"
	"iter"
	"path"
	"strings"

	"github.com/aiedr/edr/tables"
)

// scanTaskFiles yields the tasks of XML files. What is wrong with the only
// thing that was asked for is an error; what is wrong with one of several, or
// with a file of a folder, is a warning.
func scanTaskFiles(ctx context.Context, q *tables.Query, asked []string) iter.Seq2[Task, error] {
	return func(yield func(Task, error) bool) {
		for _, name := range asked {
			found, folder := 0, false
			fail := func(err error) bool {
				if len(asked) == 1 {
					yield(Task{}, err)
					return false
				}
				q.Warn(err)
				return true
			}
			if !strings.HasPrefix(name, "/") {
				if !fail(fmt.Errorf("read evidence: %q is no absolute path on this machine; write evidence = '/FOLDER/FILE'", name)) {
					return
				}
				continue
			}
			for file, err := range tables.WalkFiles(ctx, q.Host.Root, name, q.Warn) {
				if err != nil {
					if !fail(fmt.Errorf("read evidence: %w", err)) {
						return
					}
					break
				}
				named := file == path.Clean(name)
				folder = folder || !named
				t, err := TaskFile(q.Host.Root, file, named)
				if err != nil {
					err = fmt.Errorf("%s: %w", file, err)
					if named && !fail(err) {
						return
					} else if !named {
						q.Warn(err)
					}
					continue
				}
				if t == nil {
					continue
				}
				found++
				if !yield(taskRow(t, file, name), nil) {
					return
				}
			}
			if found == 0 && folder {
				q.Warn(fmt.Errorf("%s has no task's XML", name))
			}
		}
	}
}

func taskRow(t *WindowsTask, file, asked string) Task {
	row := Task{
		Name: t.Name, Path: t.URI, Enabled: t.Enabled, State: "disabled", Hidden: t.Hidden, Type: typeWindows,
		Schedule: strings.Join(t.Triggers, "; "), Source: file, Evidence: asked,
	}
	if t.Enabled {
		row.State = "ready"
	}
	if t.User != "" {
		row.User = tables.Some(t.User)
	}
	var lines []string
	for _, a := range t.Actions {
		lines = append(lines, a.Line())
	}
	row.Action = strings.Join(lines, "; ")
	row.Command = row.Action
	return row
}
