package system

import (
	"context"
	"iter"
	"os"
	"runtime"

	"github.com/aiedr/edr/tables"
)

// osquerySemantics is the version of osquery whose tables and semantics this
// version of the product follows. Queries in packs ask for a version at least.
const osquerySemantics = "5.23.0"

// OsqueryInfoRow is the row of osquery_info.
type OsqueryInfoRow struct {
	PID           int64  `col:"pid,type=INTEGER" doc:"Process ID of the program that answers."`
	UUID          string `col:"uuid" doc:"Identifier of the machine, as in system_info."`
	InstanceID    string `col:"instance_id" doc:"Identifier of this run of the agent; empty outside one."`
	Version       string `col:"version" doc:"Version of osquery whose tables and semantics are followed; edr_info has the program's own."`
	ConfigHash    string `col:"config_hash" doc:"Hash of the configuration in force; empty outside an agent."`
	ConfigValid   bool   `col:"config_valid" doc:"1 if the last configuration received could be loaded."`
	Extensions    string `col:"extensions" doc:"State of osquery extensions: inactive, as there are none yet."`
	BuildPlatform string `col:"build_platform" doc:"Says that this is no osquery: edr, with the operating system it was built for."`
	BuildDistro   string `col:"build_distro" doc:"Architecture that it was built for."`
	StartTime     int64  `col:"start_time,type=INTEGER" doc:"Start of the agent in seconds since the Unix epoch; 0 outside one."`
	Watcher       int64  `col:"watcher,type=INTEGER" doc:"Process ID of a watching process: -1, as there is none."`
	PlatformMask  int32  `col:"platform_mask" doc:"osquery's bits of the platform: 9 Linux, 2 Windows, 21 macOS."`
}

// OsqueryInfo is osquery's table of the agent, for packs that ask it.
var OsqueryInfo = tables.New(tables.Spec[OsqueryInfoRow]{
	Name: "osquery_info", Doc: "The agent as osquery describes itself, for queries written for osquery: one row.",
	Examples: []string{"SELECT version, uuid, build_platform FROM osquery_info"},
	Class:    tables.Inventory, Platforms: tables.AllPlatforms,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[OsqueryInfoRow, error] {
		r := OsqueryInfoRow{
			PID: int64(os.Getpid()), Version: osquerySemantics, Extensions: "inactive",
			BuildPlatform: "edr-" + runtime.GOOS, BuildDistro: runtime.GOARCH, Watcher: -1,
			PlatformMask: map[string]int32{"linux": 9, "windows": 2, "darwin": 21}[runtime.GOOS],
		}
		switch {
		case !q.Wants("uuid"):
		case onWindows(q):
			r.UUID = liveUUID(q)
		case q.Host.Needs(tables.Linux) == nil:
			r.UUID = machineID(q)
		}
		if q.Host.Agent != nil {
			a := q.Host.Agent()
			r.InstanceID, r.ConfigHash, r.ConfigValid = a.InstanceID, a.ConfigHash, a.ConfigOK
			r.StartTime = a.Started.Unix()
		}
		return one(r)
	},
})
