package system

import (
	"context"
	"iter"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/aiedr/edr/tables"
)

// AgentRow is the row of edr_info.
type AgentRow struct {
	PID           int64               `col:"pid" doc:"Process ID of the program that answers."`
	Running       bool                `col:"running" doc:"1 if a running agent answers, 0 if the query runs on its own; the columns of the agent are then NULL."`
	UUID          tables.Opt[string]  `col:"uuid" doc:"Identifier of the host, as enrolled."`
	InstanceID    tables.Opt[string]  `col:"instance_id" doc:"Identifier of this run of the agent."`
	Version       string              `col:"version" doc:"Version of the program."`
	GoVersion     string              `col:"go_version" doc:"Version of Go that built it."`
	BuildPlatform string              `col:"build_platform" doc:"Operating system and architecture that it was built for."`
	ConfigHash    tables.Opt[string]  `col:"config_hash" doc:"Hash of the configuration in force."`
	ConfigValid   tables.Opt[bool]    `col:"config_valid" doc:"1 if the last configuration received could be loaded."`
	Server        tables.Opt[string]  `col:"server" doc:"Address of the server; empty for an agent that works alone."`
	StartTime     tables.Opt[int64]   `col:"start_time" doc:"Start of the agent in seconds since the Unix epoch."`
	OutboxRecords tables.Opt[int64]   `col:"outbox_records" doc:"Records that wait to be sent."`
	OutboxDropped tables.Opt[int64]   `col:"outbox_dropped" doc:"Records that were dropped because the outbox was full."`
	CPULimit      tables.Opt[float64] `col:"cpu_limit" doc:"Limit of CPU time in percent of one core."`
	Respond       tables.Opt[string]  `col:"respond" doc:"How far rules may act: observe, approve or auto."`
}

// EDRInfo is the table of the agent itself.
var EDRInfo = tables.New(tables.Spec[AgentRow]{
	Name: "edr_info", Doc: "The agent that answers: one row.",
	Examples: []string{"SELECT version, running, server, outbox_records FROM edr_info"},
	Class:    tables.Inventory, Platforms: tables.AllPlatforms, Ours: true,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[AgentRow, error] {
		return one(agentRow(q.Host))
	},
})

func agentRow(h *tables.Host) AgentRow {
	r := AgentRow{
		PID: int64(os.Getpid()), Version: version(), GoVersion: runtime.Version(),
		BuildPlatform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if h.Agent == nil {
		return r
	}
	a := h.Agent()
	r.Running = true
	r.UUID, r.InstanceID = tables.Some(a.UUID), tables.Some(a.InstanceID)
	if a.Version != "" {
		r.Version = a.Version
	}
	r.ConfigHash, r.ConfigValid = tables.Some(a.ConfigHash), tables.Some(a.ConfigOK)
	r.Server, r.StartTime = tables.Some(a.Server), tables.Some(a.Started.Unix())
	r.OutboxRecords, r.OutboxDropped = tables.Some(int64(a.OutboxRecords)), tables.Some(int64(a.OutboxDropped))
	r.CPULimit, r.Respond = tables.Some(a.CPULimit), tables.Some(a.Respond)
	return r
}

// version is the one that the build recorded for the module.
func version() string {
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return b.Main.Version
	}
	return "(devel)"
}
