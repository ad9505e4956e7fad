package response

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/shirou/gopsutil/v3/process"
	"golang.org/x/sys/windows"
)

// gone is how long a process may take to end before the action is reported as
// failed.
const gone = 5 * time.Second

// exitCode is what a process that is ended here leaves behind.
const exitCode = 1

// target is a process held by its handle, so that it stays the same one.
type target struct {
	h       windows.Handle
	pid     int64
	path    string
	cmdline string
}

func (t *target) close() { _ = windows.CloseHandle(t.h) }

func (t *target) String() string {
	return fmt.Sprintf("process %d %s (%s)", t.pid, t.path, t.cmdline)
}

// systemPID is the kernel's own process.
const systemPID = 4

// take opens the process and makes sure that it is the one meant.
func take(a TerminateProcessArgs, rights uint32) (*target, error) {
	switch a.PID {
	case systemPID:
		return nil, &RefusedError{"pid 4 is the Windows kernel"}
	case int64(os.Getpid()):
		return nil, &RefusedError{"that is the agent itself"}
	}
	if a.PID > 1<<32-1 {
		return nil, fmt.Errorf("open process %d: there is no such number", a.PID)
	}
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION|rights, false, uint32(a.PID))
	if errors.Is(err, windows.ERROR_INVALID_PARAMETER) {
		return nil, fmt.Errorf("open process %d: it is gone already", a.PID)
	}
	if err == nil && h == 0 {
		err = errors.New("the system gave no handle")
	}
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w; run the agent as SYSTEM, a protected process cannot be ended", a.PID, err)
	}
	t := &target{h: h, pid: a.PID}
	if err := t.verify(a); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *target) verify(a TerminateProcessArgs) error {
	var created, ended, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(t.h, &created, &ended, &kernel, &user); err != nil {
		return fmt.Errorf("read the start of process %d: %w", a.PID, err)
	}
	// A handle keeps a process that has ended, and its number.
	if state, err := windows.WaitForSingleObject(t.h, 0); err == nil && state == windows.WAIT_OBJECT_0 {
		return fmt.Errorf("open process %d: it is gone already", a.PID)
	}
	const unit = 100 // of a FILETIME, in nanoseconds
	if created.Nanoseconds()/unit != a.StartTime/unit {
		return fmt.Errorf("process %d is another one now: it started at %s, not %s; look it up again",
			a.PID, time.Unix(0, created.Nanoseconds()).UTC().Format(time.RFC3339Nano), time.Unix(0, a.StartTime).UTC().Format(time.RFC3339Nano))
	}
	name := make([]uint16, windows.MAX_LONG_PATH)
	size := uint32(len(name))
	if err := windows.QueryFullProcessImageName(t.h, 0, &name[0], &size); err == nil {
		t.path = windows.UTF16ToString(name[:size])
	}
	if c, err := (&process.Process{Pid: int32(a.PID)}).Cmdline(); err == nil {
		t.cmdline = c
	}
	return nil
}

func planTerminate(_ context.Context, a TerminateProcessArgs) (string, error) {
	t, err := take(a, windows.SYNCHRONIZE)
	if err != nil {
		return "", err
	}
	defer t.close()
	return "end " + t.String() + " with TerminateProcess", nil
}

func doTerminate(ctx context.Context, _ Request, a TerminateProcessArgs) (Done, error) {
	t, err := take(a, windows.SYNCHRONIZE|windows.PROCESS_TERMINATE)
	if err != nil {
		return Done{}, err
	}
	defer t.close()
	seen, err := t.end(ctx)
	return Done{Seen: seen}, err
}

func (t *target) end(ctx context.Context) (string, error) {
	if err := windows.TerminateProcess(t.h, exitCode); err != nil {
		return "", fmt.Errorf("end %s: %w", t, err)
	}
	started := time.Now()
	for {
		state, err := windows.WaitForSingleObject(t.h, 100)
		switch {
		case err != nil:
			return "TerminateProcess was called", fmt.Errorf("wait for the end of %s: %w", t, err)
		case state == windows.WAIT_OBJECT_0:
			return fmt.Sprintf("%s has ended", t), nil
		case time.Since(started) > gone:
			return "TerminateProcess was called; the process has not ended", fmt.Errorf(
				"end %s: it did not end within %s, it may hang in the kernel", t, gone)
		case ctx.Err() != nil:
			return "TerminateProcess was called", fmt.Errorf("wait for the end of %s: %w", t, ctx.Err())
		}
	}
}
