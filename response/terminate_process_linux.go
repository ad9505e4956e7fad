package response

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of /proc/PID/stat's start time: USER_HZ is 100 on every
// architecture that we build for.
const tick = int64(10 * time.Millisecond)

// gone is how long a killed process may take to end before the action is
// reported as failed; one in uninterruptible sleep takes its time.
const gone = 5 * time.Second

const kthread = 0x00200000 // PF_KTHREAD in include/linux/sched.h

// target is a process held by its pidfd, so that it stays the same one.
type target struct {
	fd         int
	pid        int64
	state      byte // as last read
	startTicks int64
	name       string
	cmdline    string
}

func (t *target) close() { _ = unix.Close(t.fd) }

func (t *target) String() string {
	return fmt.Sprintf("process %d %s (%s)", t.pid, t.name, t.cmdline)
}

// take opens the process and makes sure that it is the one meant. The pidfd
// comes first: whatever /proc then says of the pid is of that process, as long
// as the pidfd is still alive afterwards.
func take(a TerminateProcessArgs) (*target, error) {
	switch a.PID {
	case 1:
		return nil, &RefusedError{"pid 1 is the machine's init"}
	case int64(os.Getpid()):
		return nil, &RefusedError{"that is the agent itself"}
	}
	fd, err := unix.PidfdOpen(int(a.PID), 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("open process %d: it is gone already", a.PID)
	}
	if errors.Is(err, unix.EINVAL) {
		return nil, fmt.Errorf("open process %d: it is a thread, not a process", a.PID)
	}
	if err != nil {
		return nil, fmt.Errorf("open process %d by pidfd: %w", a.PID, err)
	}
	t := &target{fd: fd, pid: a.PID}
	if err := t.verify(a); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *target) verify(a TerminateProcessArgs) error {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.PID))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("read process %d: it is gone already", a.PID)
	}
	if err != nil {
		return fmt.Errorf("read process %d: %w", a.PID, err)
	}
	st, err := parseStat(raw)
	if err != nil {
		return fmt.Errorf("read /proc/%d/stat: %w", a.PID, err)
	}
	if st.flags&kthread != 0 {
		return &RefusedError{fmt.Sprintf("process %d (%s) is a kernel thread", a.PID, st.name)}
	}
	if st.startTicks != a.StartTime/tick {
		return fmt.Errorf("process %d is another one now: it started %s after boot, not %s; look it up again",
			a.PID, time.Duration(st.startTicks*tick), time.Duration(a.StartTime))
	}
	t.name, t.state, t.startTicks = st.name, st.state, st.startTicks
	cmd, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", a.PID))
	if err == nil {
		t.cmdline = strings.TrimSpace(strings.ReplaceAll(string(bytes.TrimRight(cmd, "\x00")), "\x00", " "))
	}
	return nil
}

type procStat struct {
	state      byte // R, S, D, T, t, Z, X or I
	name       string
	flags      uint64
	startTicks int64
}

// parseStat reads fields 2 (comm), 9 (flags) and 22 (starttime) of
// /proc/PID/stat. The name may hold any byte, also parentheses: it ends at the
// last one.
func parseStat(b []byte) (procStat, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return procStat{}, errors.New("no name in parentheses")
	}
	f := bytes.Fields(b[end+1:]) // f[0] is field 3, the state
	if len(f) < 20 {
		return procStat{}, fmt.Errorf("%d fields after the name, want 20", len(f))
	}
	flags, err := strconv.ParseUint(string(f[6]), 10, 64)
	if err != nil {
		return procStat{}, fmt.Errorf("flags: %w", err)
	}
	start, err := strconv.ParseInt(string(f[19]), 10, 64)
	if err != nil {
		return procStat{}, fmt.Errorf("start time: %w", err)
	}
	return procStat{state: f[0][0], name: string(b[open+1 : end]), flags: flags, startTicks: start}, nil
}

func planTerminate(_ context.Context, a TerminateProcessArgs) (string, error) {
	t, err := take(a)
	if err != nil {
		return "", err
	}
	defer t.close()
	return "end " + t.String() + " with SIGKILL", nil
}

func doTerminate(ctx context.Context, _ Request, a TerminateProcessArgs) (Done, error) {
	t, err := take(a)
	if err != nil {
		return Done{}, err
	}
	defer t.close()
	seen, err := t.end(ctx)
	return Done{Seen: seen}, err
}

func (t *target) end(ctx context.Context) (string, error) {
	if err := unix.PidfdSendSignal(t.fd, unix.SIGKILL, nil, 0); err != nil {
		if errors.Is(err, unix.ESRCH) {
			return "", fmt.Errorf("end %s: it ended by itself before the signal", t)
		}
		return "", fmt.Errorf("end %s: %w", t, err)
	}
	started := time.Now()
	for {
		left := gone - time.Since(started)
		if left <= 0 {
			return "SIGKILL was sent; the process has not ended", fmt.Errorf(
				"end %s: it did not end within %s, it may hang in the kernel", t, gone)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLIN}}, int(min(left, 100*time.Millisecond).Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return "", fmt.Errorf("wait for the end of %s: %w", t, err)
		}
		if n > 0 {
			return fmt.Sprintf("%s has ended", t), nil
		}
		if err := ctx.Err(); err != nil {
			return "SIGKILL was sent", fmt.Errorf("wait for the end of %s: %w", t, err)
		}
	}
}
