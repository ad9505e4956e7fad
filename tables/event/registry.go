package event

import "github.com/aiedr/edr/tables"

// Actions of Registry.
const (
	RegistryCreated  = "created"
	RegistryModified = "modified"
	RegistryDeleted  = "deleted"
)

// Registry is a change to a watched key or value of the Windows registry: a
// row of registry_events.
type Registry struct {
	Header
	Actor
	Action   string `col:"action" doc:"What happened: created, modified or deleted."`
	Key      string `col:"key" doc:"Key that the value is in, or that was created or deleted itself, such as HKEY_LOCAL_MACHINE\\SOFTWARE."`
	Value    string `col:"value" doc:"Name of the value, (Default) for the one without a name; empty where the key itself was created or deleted."`
	DataType string `col:"data_type" doc:"Type of the value, such as REG_SZ; subkey where it is the key itself."`
	Data     string `col:"data" doc:"Data of the value as text, as in the table registry; of a deleted one the last that was seen."`
	OldData  string `col:"old_data" doc:"Data before the change, where the value was modified."`
	Category string `col:"category" doc:"Why the key is watched: autostart, or regs for a key that -regs names."`
}

// Table is the name of the table.
func (*Registry) Table() string { return "registry_events" }

// RegistryEvents is the table registry_events.
var RegistryEvents = tables.New(tables.Spec[Registry]{
	Name: "registry_events",
	Doc:  "Changes to watched keys of the Windows registry: the usual autostart places and what -regs names. Windows does not say who made a change, so pid is 0.",
	Examples: []string{
		"SELECT datetime(time, 'unixepoch') AS at, action, key, value, data FROM registry_events WHERE key LIKE '%\\CurrentVersion\\Run'",
	},
	Platforms: tables.Windows, Class: tables.Inventory, Evented: true, Ours: true,
	Scan: scan[Registry](
		tables.Windows,
		func(r *Registry) int64 { return r.PID },
		texts[Registry]{"path": func(r *Registry) string { return r.Path }}),
})
