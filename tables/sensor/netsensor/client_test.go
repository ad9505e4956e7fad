package netsensor

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// connect runs this test's program as a client and returns its process ID.
func connect(t *testing.T, addr string, times int) int64 {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "NETSENSOR_TEST_CONNECT="+addr, "NETSENSOR_TEST_TIMES="+strconv.Itoa(times))
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return int64(cmd.Process.Pid)
}
