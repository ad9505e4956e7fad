package agent

import (
	"context"
	"encoding/json"
	"runtime"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/all"
	"github.com/aiedr/edr/tables/engine"
	"github.com/aiedr/edr/wire"
)

// details is what the host says of itself at enrolment, as its own tables show
// it. What cannot be read stays empty: an enrolment does not wait for it.
func (a *Agent) details() wire.HostDetails {
	d := wire.HostDetails{AgentVersion: a.version, Platform: runtime.GOOS, Arch: runtime.GOARCH}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	text := func(sql string, into ...*string) {
		res, err := a.engine.Collect(ctx, a.host, engine.Request{SQL: sql, Classes: engine.AllClasses()})
		if err != nil || len(res.Rows) == 0 {
			a.log.Warn("describe this host", "sql", sql, "error", err)
			return
		}
		for i, p := range into {
			*p = wire.ValueOf(res.Rows[0][i]).String()
		}
	}
	var memory string
	text("SELECT hostname, uuid, cpu_brand, physical_memory FROM system_info", &d.Hostname, &d.UUID, &d.CPU, &memory)
	_ = json.Unmarshal([]byte(memory), &d.Memory) // 0 where it is unknown
	text("SELECT name || ' ' || version FROM os_version", &d.OS)
	text("SELECT version FROM kernel_info", &d.Kernel)
	var schemas []tables.Schema
	for _, t := range all.Tables() {
		schemas = append(schemas, t.Schema())
	}
	if b, err := json.Marshal(schemas); err == nil {
		d.Schema = b
	}
	return d
}
