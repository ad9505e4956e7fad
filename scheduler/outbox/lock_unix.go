//go:build unix

package outbox

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lock holds a file for this process until it is closed or the process ends.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the outbox's lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w: %w", path, ErrInUse, err)
	}
	return f, nil
}
