package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"runtime/debug"

	"github.com/aiedr/edr/agent"
)

// Version is the product's version.
const Version = "0.1.0"

// memoryLimit is a soft bound for the Go heap: past it the collector works
// harder. It is no promise; the bounds of what the agent keeps are elsewhere.
const memoryLimit = 96 << 20

// gcPercent trades a little processor time, of which an agent at rest uses
// next to none, for a smaller heap.
const gcPercent = 50

func runAgent(ctx context.Context, args []string, out, errs io.Writer) error {
	s, err := parseSettings(args, errs)
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if err != nil {
		return usageError{err.Error()}
	}
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(gcPercent)
	level := slog.LevelInfo
	if s.Debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: level}))
	a, err := agent.New(s, Version, out, log)
	if err != nil {
		return err
	}
	log.Info("agent started", "version", Version, "data", s.Data, "server", s.Server, "respond", s.Respond)
	err = a.Run(ctx)
	log.Info("agent stopped")
	return err
}
