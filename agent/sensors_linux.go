package agent

import (
	"fmt"

	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/filesensor"
	"github.com/aiedr/edr/tables/sensor/netsensor"
	"github.com/aiedr/edr/tables/sensor/procsensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
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
	if len(a.settings.Dirs) > 0 {
		specs = append(specs, filesensor.Spec(filesensor.Options{
			Dirs: a.settings.Dirs, Exclude: []string{a.settings.Data}, Lookup: lookup, CatchUp: tree.CatchUp, Logger: a.log,
			Hash: filesensor.Hashing{Pacer: a.governor},
		}))
	}
	if len(a.settings.Regs) > 0 {
		a.log.Warn("-regs does nothing on Linux: there is no registry")
	}
	return specs, tree, nil
}
