//go:build !linux

package agent

import (
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
)

// sensorSpecs are none yet on this system: edr_sensors is empty, and the event
// tables say what is not supported here.
func (a *Agent) sensorSpecs() ([]sensor.Spec, processes, error) {
	a.log.Warn("no sensors are built for this system yet: nothing is recorded, and rules on live events see nothing")
	return nil, noProcesses{}, nil
}

type noProcesses struct{}

func (noProcesses) Lookup(int64, int64) (proctree.Process, bool) { return proctree.Process{}, false }

func (noProcesses) Ancestry(int64, int64) []proctree.Process { return nil }
