package response

import (
	"context"
	"net/netip"
)

// Options are what the actions must know of the agent.
type Options struct {
	// QuarantineDir is the folder of quarantined files, an absolute path. It
	// is made with the first.
	QuarantineDir string
	// Protected are files and folders of the agent's own, absolute paths:
	// nothing in them is quarantined.
	Protected []string
	// Server lists the addresses by which the agent reaches its server now,
	// which are never blocked; nil where there is no server.
	Server func(context.Context) ([]netip.Addr, error)

	// netns is a network namespace to act in instead of the agent's own, an
	// open file; 0 for the agent's. For tests.
	netns int
	// maxFile bounds a quarantined file in bytes; 0 for maxQuarantine.
	maxFile int64
}

// All are the actions of this version.
func All(o Options) []Action {
	q, b := newQuarantine(o), newBlocker(o)
	return []Action{
		TerminateProcess(), SuspendProcess(), ResumeProcess(),
		q.quarantineFile(), q.restoreFile(),
		b.blockConnection(), b.unblockConnection(),
	}
}
