package evidence

import (
	"context"
	"iter"

	"github.com/aiedr/edr/tables"
)

// RegistryValue is a row of registry.
type RegistryValue struct {
	Key      string `col:"key,additional,optimized" doc:"Key that the value or subkey is in, such as HKEY_LOCAL_MACHINE\\SOFTWARE."`
	Path     string `col:"path,index,optimized" doc:"Key and name together."`
	Name     string `col:"name" doc:"Name of the value or subkey."`
	Type     string `col:"type" doc:"Type of the value, such as REG_SZ, or subkey."`
	Data     string `col:"data" doc:"Data of the value as text."`
	MTime    int64  `col:"mtime" doc:"Last write to the key in seconds since the Unix epoch."`
	Evidence string `col:"evidence,index,ours" doc:"Hive file or folder of hives to read instead of the live registry; empty for the live one."`
}

// Registry is the table of the Windows registry.
var Registry = tables.New(tables.Spec[RegistryValue]{
	Name: "registry", Doc: "Keys and values of the Windows registry, live or of hive files given as evidence.",
	Examples: []string{
		`SELECT name, data FROM registry WHERE key = 'HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run'`,
		`SELECT path, data FROM registry WHERE evidence = '/cases/7/SOFTWARE' AND path LIKE '%\CurrentVersion\Run\%'`,
	},
	Class: tables.Inventory, Platforms: tables.Windows,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[RegistryValue, error] {
		return unread[RegistryValue](q, "registry")
	},
})
