package system

import (
	"fmt"

	"golang.org/x/sys/unix"
)

type utsname struct{ node, release, version, machine string }

// uname asks the running kernel for its names.
func uname() (utsname, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return utsname{}, fmt.Errorf("uname: %w", err)
	}
	return utsname{
		node: unix.ByteSliceToString(u.Nodename[:]), release: unix.ByteSliceToString(u.Release[:]),
		version: unix.ByteSliceToString(u.Version[:]), machine: unix.ByteSliceToString(u.Machine[:]),
	}, nil
}
