// Package all lists every table of the product.
package all

import (
	"slices"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/account"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/evidence"
	"github.com/aiedr/edr/tables/file"
	"github.com/aiedr/edr/tables/network"
	"github.com/aiedr/edr/tables/process"
	"github.com/aiedr/edr/tables/system"
)

// Tables is every table, ordered by family.
func Tables() []*tables.Table {
	return slices.Concat([]*tables.Table{
		process.Processes,

		network.Connections,
		network.ProcessOpenSockets,
		network.ListeningPorts,

		file.File,
		file.Hash,

		account.Users,
		account.Groups,

		system.OSVersion,
		system.SystemInfo,
		system.KernelInfo,
		system.Time,
		system.Uptime,
		system.Mounts,
		system.ScheduledTasks,
		system.Crontab,
		system.SystemdUnits,
		system.EDRInfo,
		system.EDRSchedule,
		system.EDRSensors,
		system.OsqueryInfo,
		system.OsquerySchedule,

		evidence.Registry,
		evidence.WindowsEvents,
	}, event.Tables())
}
