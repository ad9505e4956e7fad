package agent

import (
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/regsensor"
)

// sensorSpecs are the sensors of Windows: so far that of the registry.
func (a *Agent) sensorSpecs() ([]sensor.Spec, processes, error) {
	registry, err := regsensor.Spec(regsensor.Options{Keys: a.settings.Regs, Interval: a.settings.Interval, Log: a.log})
	if err != nil {
		return nil, nil, err
	}
	a.log.Warn("processes, connections and files are not watched on Windows in this version: their event tables say so, and rules on them see what runs when the agent starts and nothing after")
	if len(a.settings.Dirs) > 0 {
		a.log.Warn("-dirs does nothing on Windows in this version: no sensor watches files")
	}
	return []sensor.Spec{registry}, noProcesses{}, nil
}
