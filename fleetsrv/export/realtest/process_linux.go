package realtest

import (
	"os/exec"
	"syscall"
)

// endWithUs has the kernel end the child when the test is killed.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
