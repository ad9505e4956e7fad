package response

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func (b *blocker) planBlock(ctx context.Context, a BlockConnectionArgs) (string, error) {
	r, err := targetOf(a)
	if err != nil {
		return "", err
	}
	if err := b.allowed(ctx, r); err != nil {
		return "", err
	}
	n := 0
	err = b.everywhere(r, func(s *sockets) error {
		found, err := s.matching(r)
		n += len(found)
		return err
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("block %s for %s and end its %s", r, r.span, count(n)), nil
}

func count(n int) string {
	if n == 1 {
		return "1 open connection"
	}
	return fmt.Sprintf("%d open connections", n)
}

// everywhere does something with the sockets of the machine's network
// namespace, and of the process's where it has another.
func (b *blocker) everywhere(r remote, do func(*sockets) error) error {
	spaces := []int{b.netns}
	if r.pid > 0 {
		fd, err := processNetns(r.pid, r.start)
		if err != nil {
			return err
		}
		if fd > 0 {
			defer unix.Close(fd)
			spaces = append(spaces, fd)
		}
	}
	for _, ns := range spaces {
		s, err := openSockets(ns)
		if err != nil {
			return err
		}
		err = do(s)
		s.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// processNetns opens a process's network namespace, if it is not the agent's
// own. A process that is gone has none, and no connections.
func processNetns(pid, start int64) (int, error) {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open the network namespace of process %d: %w", pid, err)
	}
	var its, own unix.Stat_t
	raw, rerr := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	st, perr := parseStat(raw)
	if rerr != nil || perr != nil || st.startTicks != start/tick {
		unix.Close(fd)
		return 0, nil // another process by now
	}
	if err := errors.Join(unix.Fstat(fd, &its), unix.Stat("/proc/self/ns/net", &own)); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("look at the network namespace of process %d: %w", pid, err)
	}
	if its.Dev == own.Dev && its.Ino == own.Ino {
		unix.Close(fd)
		return 0, nil
	}
	return fd, nil
}

func (b *blocker) doBlock(ctx context.Context, _ Request, a BlockConnectionArgs) (Done, error) {
	r, err := targetOf(a)
	if err != nil {
		return Done{}, err
	}
	if err := b.allowed(ctx, r); err != nil {
		return Done{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f, err := openFilter(b.netns)
	if err != nil {
		return Done{}, err
	}
	if err := f.prepare(); err != nil {
		return Done{}, err
	}
	// Some end by the block itself, since what they send is refused.
	met := seen{}
	err = b.everywhere(r, func(s *sockets) error {
		_, err := s.note(r, met)
		return err
	})
	if err != nil {
		return Done{}, err
	}
	if err := f.change(r, true); err != nil {
		return Done{}, fmt.Errorf("block %s: %w", r, err)
	}
	until := time.Now().Add(r.span)
	have, want, err := f.holds(r)
	if err != nil {
		return Done{}, fmt.Errorf("read back the block of %s: %w", r, err)
	}
	if have != want {
		return Done{}, fmt.Errorf("read back: %d of %d elements of the block of %s are in the packet filter", have, want, r)
	}
	done := Done{
		Seen: fmt.Sprintf("%s is blocked until %s", r, until.UTC().Format(time.RFC3339)),
		Undo: UnblockConnectionArgs{RemoteAddress: r.addr.String(), RemotePort: r.port, Protocol: r.proto, Direction: a.Direction},
	}
	left := 0
	err = b.everywhere(r, func(s *sockets) error {
		n, err := s.endAll(r, met)
		left += n
		return err
	})
	ended := len(met) - left
	switch {
	case errors.Is(err, errNoDestroy):
		done.Seen += fmt.Sprintf("; %s stay until their programs give up, though no packet of theirs passes: %v", count(left), errNoDestroy)
		return done, nil
	case err != nil:
		return done, fmt.Errorf("end the connections with %s: %w; they are blocked", r, err)
	case left > 0:
		done.Seen += fmt.Sprintf("; %d were ended", ended)
		return done, fmt.Errorf("end the connections with %s: %s are left; they are blocked", r, count(left))
	}
	done.Seen += fmt.Sprintf("; %s ended, none is left", count(ended))
	return done, nil
}

func (b *blocker) planUnblock(_ context.Context, a UnblockConnectionArgs) (string, error) {
	r, _, err := b.standing(a)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("take the block of %s away", r), nil
}

// standing finds a block that is to be taken away.
func (b *blocker) standing(a UnblockConnectionArgs) (remote, *filter, error) {
	r, err := targetOf(a.block())
	if err != nil {
		return r, nil, err
	}
	f, err := openFilter(b.netns)
	if err != nil {
		return r, nil, err
	}
	there, err := f.there()
	if err != nil {
		return r, nil, err
	}
	have := 0
	if there {
		if have, _, err = f.holds(r); err != nil {
			return r, nil, err
		}
	}
	if have == 0 {
		return r, nil, fmt.Errorf("%s is not blocked: the time of the block may be over, or it was set with another port, protocol or direction; edr-agent status lists what is", r)
	}
	return r, f, nil
}

func (b *blocker) doUnblock(_ context.Context, _ Request, a UnblockConnectionArgs) (Done, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, f, err := b.standing(a)
	if err != nil {
		return Done{}, err
	}
	if err := f.change(r, false); err != nil {
		return Done{}, fmt.Errorf("take the block of %s away: %w", r, err)
	}
	have, _, err := f.holds(r)
	if err != nil {
		return Done{}, fmt.Errorf("read back: %w", err)
	}
	if have > 0 {
		return Done{}, fmt.Errorf("read back: the block of %s is still in the packet filter", r)
	}
	return Done{Seen: fmt.Sprintf("%s is no longer blocked", r)}, nil
}

// Blocks lists the blocks in force on this machine.
func Blocks() ([]Block, error) { return blocksIn(0) }

func blocksIn(netns int) ([]Block, error) {
	f, err := openFilter(netns)
	if err != nil {
		return nil, err
	}
	return f.blocks()
}

// Reconcile makes the packet filter whole around blocks that an agent before
// this one set, and lists them.
func Reconcile() ([]Block, error) { return reconcile(0) }

func reconcile(netns int) ([]Block, error) {
	blocks, err := blocksIn(netns)
	if err != nil || len(blocks) == 0 {
		return blocks, err
	}
	f, err := openFilter(netns)
	if err != nil {
		return blocks, err
	}
	return blocks, f.prepare()
}
