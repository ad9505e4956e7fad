//go:build !windows

package system

import (
	"fmt"

	"github.com/aiedr/edr/tables"
)

// What only Windows is asked for here; on Linux the facts are read from files.
func liveOS(*tables.Query) (OS, error) {
	return OS{}, fmt.Errorf("version of the system: %w", tables.ErrNotSupported)
}

func liveInfo(*tables.Query) Info { return Info{} }

func liveUUID(*tables.Query) string { return "" }

func liveUptime() (int64, error) { return 0, fmt.Errorf("uptime: %w", tables.ErrNotSupported) }
