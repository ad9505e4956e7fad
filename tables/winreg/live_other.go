//go:build !windows

package winreg

import (
	"fmt"
	"runtime"

	"github.com/aiedr/edr/tables"
)

// Live is the registry of the running machine.
func Live() (Tree, error) {
	return nil, fmt.Errorf("%w: there is a live registry on Windows only, this machine runs %s", tables.ErrNotSupported, runtime.GOOS)
}
