//go:build !linux && !windows

package agent

import "github.com/aiedr/edr/tables/sensor"

// sensorSpecs are none yet on this system: edr_sensors is empty, and the event
// tables say what is not supported here.
func (a *Agent) sensorSpecs() ([]sensor.Spec, processes, error) {
	a.log.Warn("no sensors are built for this system yet: nothing is recorded, and rules on live events see nothing")
	return nil, noProcesses{}, nil
}
