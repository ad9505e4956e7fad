// Package regsensor publishes changes to watched keys of the Windows registry
// as registry_events: the places from which Windows starts programs by itself,
// and the keys that -regs names.
//
// Windows says that something below a key has changed, not what, nor who did
// it. So the sensor keeps what the watched keys hold and compares. It follows
// that what is set and set back between two looks is not seen, that what
// changed while no agent ran is not seen, and that an event has no process.
package regsensor

import (
	"log/slog"
	"time"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

// Options are what the sensor is told.
type Options struct {
	// Keys are watched with everything below them, besides the autostart
	// places; HKCU stands for the hive of every user who is logged on.
	Keys []string
	// Interval is how often everything is compared whether or not Windows
	// said that it changed; 30 s when zero.
	Interval time.Duration
	// Drain is for how long changes gather before the keys are compared;
	// 100 ms when zero.
	Drain time.Duration
	// MaxKeys bounds how many keys are remembered; 200,000 when zero.
	MaxKeys int
	Log     *slog.Logger

	now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Interval <= 0 {
		o.Interval = 30 * time.Second
	}
	if o.Drain <= 0 {
		o.Drain = 100 * time.Millisecond
	}
	if o.MaxKeys <= 0 {
		o.MaxKeys = 200_000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.now == nil {
		o.now = time.Now
	}
	return o
}

// Spec declares the sensor with its mechanisms, best first. An error says
// which of the keys is none.
func Spec(o Options) (sensor.Spec, error) {
	o = o.withDefaults()
	places, err := placesOf(o.Keys)
	if err != nil {
		return sensor.Spec{}, err
	}
	return sensor.Spec{
		Name: "registry", Tables: []string{(*event.Registry)(nil).Table()}, Mechanisms: mechanisms(o, places),
	}, nil
}
