package agent

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/filesensor"
	"github.com/aiedr/edr/tables/sensor/netsensor"
	"github.com/aiedr/edr/tables/sensor/procsensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
	"github.com/aiedr/edr/tables/sensor/tasksensor"
	"github.com/aiedr/edr/tables/system"
)

// sensorSpecs are the sensors of Linux, and what they learn of processes.
func (a *Agent) sensorSpecs() ([]sensor.Spec, processes, error) {
	tree, err := proctree.New(proctree.Options{})
	if err != nil {
		return nil, nil, fmt.Errorf("read the processes: %w", err)
	}
	a.closing(tree.Close)
	if _, err := tree.Seed(); err != nil {
		return nil, nil, fmt.Errorf("read the processes: %w", err)
	}
	lookup := func(pid int64) filesensor.ProcInfo {
		p, ok := tree.Lookup(pid, 0)
		if !ok {
			return filesensor.ProcInfo{}
		}
		return filesensor.ProcInfo{StartTime: p.Start, Path: p.Path, Name: p.Name, Cmdline: p.Cmdline,
			UID: p.UID, Parent: p.Parent, Known: true}
	}
	specs := []sensor.Spec{
		procsensor.Spec(procsensor.Options{Tree: tree, Log: a.log}),
		netsensor.Spec(netsensor.Options{Tree: tree, Poll: a.settings.Interval, Log: a.log}),
	}
	places := system.TaskPlaces(a.host)
	feed := tasksensor.NewFeed(places)
	specs = append(specs, tasksensor.Spec(tasksensor.Options{
		Read: a.readTasks, Feed: feed, Every: a.settings.Interval, State: filepath.Join(a.settings.Data, "tasks.json"),
		Pacer: a.governor, Logger: a.log,
	}))
	own := []string{a.settings.Data}
	if a.settings.QuarantineDir != "" {
		own = append(own, a.settings.QuarantineDir)
	}
	if len(a.settings.Dirs) > 0 {
		specs = append(specs, filesensor.Spec(filesensor.Options{
			Dirs: a.settings.Dirs, Quiet: places, Saw: feed.Saw, Exclude: own, Lookup: lookup, CatchUp: tree.CatchUp, Logger: a.log,
			Hash: filesensor.Hashing{Pacer: a.governor},
		}))
	}
	if len(a.settings.Regs) > 0 {
		a.log.Warn("-regs does nothing on Linux: there is no registry")
	}
	return specs, tree, nil
}

// readTasks reads scheduled_tasks for the sensor that compares them.
func (a *Agent) readTasks(ctx context.Context) ([]tasksensor.Task, []error, error) {
	rows, lacks, err := system.ReadTasks(ctx, a.host)
	if err != nil {
		return nil, nil, err
	}
	tasks := make([]tasksensor.Task, len(rows))
	for i, t := range rows {
		tasks[i] = tasksensor.Task{Name: t.Name, Type: t.Type, Source: t.Source, Unit: t.Unit.V, Path: t.Path,
			Command: t.Command, Schedule: t.Schedule, User: t.User.V, Enabled: t.Enabled}
	}
	return tasks, lacks, nil
}
