// Package netsensor publishes connections opened, accepted and closed, and
// sockets that listen or bind, with the process that did it. Its mechanisms,
// best first: eBPF, and comparing /proc/net with what it was before.
package netsensor

import (
	"log/slog"
	"time"

	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/sensor/proctree"
)

// Options of the sensor.
type Options struct {
	Tree      *proctree.Tree // must not be nil
	RingBytes int            // size of the eBPF ring; 1 MiB if 0
	Interval  time.Duration  // how long eBPF records may gather; 250 ms if 0
	Poll      time.Duration  // pace of the fallback; 2 s if 0
	Accept    string         // how accept is seen, one of bpf.Accept…; the best that works if empty
	Proc      string         // folder of the proc file system; /proc if empty
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
		Name:       "network",
		Tables:     []string{"socket_events"},
		Mechanisms: mechanisms(opts),
	}
}
