package regsensor

import (
	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/winreg"
)

func mechanisms(o Options, places []place) []sensor.Mechanism {
	return []sensor.Mechanism{
		&look{o: o, places: places, name: "regnotify", tree: winreg.Live, notify: func() (notifier, error) { return newNotices(), nil }},
		&look{o: o, places: places, name: "regpoll", tree: winreg.Live},
	}
}
