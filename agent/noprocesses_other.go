//go:build !linux

package agent

import "github.com/aiedr/edr/tables/sensor/proctree"

// noProcesses knows no process: where no sensor follows them.
type noProcesses struct{}

func (noProcesses) Lookup(int64, int64) (proctree.Process, bool) { return proctree.Process{}, false }

func (noProcesses) Ancestry(int64, int64) []proctree.Process { return nil }
