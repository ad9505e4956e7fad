//go:build !linux

package realtest

import "os/exec"

func endWithUs(*exec.Cmd) {}
