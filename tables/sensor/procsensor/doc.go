// Package procsensor publishes executions and ends of processes. Its
// mechanisms, best first: eBPF, the kernel's audit, the process connector.
package procsensor

import (
	"log/slog"
	"time"

	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
)

// Options of the sensor.
type Options struct {
	Tree      *proctree.Tree // must not be nil
	RingBytes int            // size of the eBPF ring; 4 MiB if 0
	Interval  time.Duration  // how long eBPF records may gather; 250 ms if 0
	Log       *slog.Logger   // slog.Default() if nil
}

func (o Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.Default()
	}
	return o.Log
}

// Spec declares the sensor with all its mechanisms.
func Spec(opts Options) sensor.Spec {
	return sensor.Spec{
		Name:       "process",
		Tables:     []string{"process_events", "process_exit_events"},
		Mechanisms: mechanisms(opts),
	}
}
