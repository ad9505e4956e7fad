package response

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// standing is how long a process may take to stop or to run on.
const standing = 3 * time.Second

func planSuspend(_ context.Context, a TerminateProcessArgs) (string, error) {
	t, err := take(a)
	if err != nil {
		return "", err
	}
	defer t.close()
	return "stop " + t.String() + " with SIGSTOP", nil
}

func doSuspend(ctx context.Context, _ Request, a TerminateProcessArgs) (Done, error) {
	t, err := take(a)
	if err != nil {
		return Done{}, err
	}
	defer t.close()
	if stopped(t.state) {
		// Nothing to undo: whoever stopped it had a reason.
		return Done{Seen: fmt.Sprintf("%s stood already", t)}, nil
	}
	if err := t.signal(ctx, unix.SIGSTOP, stopped); err != nil {
		return Done{Undo: a}, fmt.Errorf("stop %s: %w", t, err)
	}
	return Done{Seen: fmt.Sprintf("%s stands (state %c)", t, t.state), Undo: a}, nil
}

func planResume(_ context.Context, a TerminateProcessArgs) (string, error) {
	t, err := take(a)
	if err != nil {
		return "", err
	}
	defer t.close()
	return "let " + t.String() + " run on with SIGCONT", nil
}

func doResume(ctx context.Context, _ Request, a TerminateProcessArgs) (Done, error) {
	t, err := take(a)
	if err != nil {
		return Done{}, err
	}
	defer t.close()
	if err := t.signal(ctx, unix.SIGCONT, func(s byte) bool { return !stopped(s) }); err != nil {
		return Done{}, fmt.Errorf("let %s run on: %w", t, err)
	}
	return Done{Seen: fmt.Sprintf("%s runs on (state %c)", t, t.state)}, nil
}

// stopped says whether a state of /proc/PID/stat is a stop, by a signal or by
// a tracer.
func stopped(state byte) bool { return state == 'T' || state == 't' }

// signal sends a signal and waits until the state is as wanted.
func (t *target) signal(ctx context.Context, sig unix.Signal, reached func(state byte) bool) error {
	if err := unix.PidfdSendSignal(t.fd, sig, nil, 0); err != nil {
		if errors.Is(err, unix.ESRCH) {
			return errors.New("it ended by itself before the signal")
		}
		return err
	}
	for end := time.Now().Add(standing); ; {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", t.pid))
		if err != nil {
			return fmt.Errorf("it ended meanwhile: %w", err)
		}
		st, err := parseStat(raw)
		if err != nil {
			return err
		}
		if st.startTicks != t.startTicks || st.state == 'Z' || st.state == 'X' {
			return errors.New("it ended meanwhile")
		}
		if t.state = st.state; reached(st.state) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("its state is still %c after %s", st.state, standing)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}
