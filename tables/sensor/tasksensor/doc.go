// Package tasksensor publishes changes of what runs by schedule, jobs of cron,
// anacron and at and systemd's timers, as scheduled_task_events. It reads all
// tasks again when the file sensor saw a change in one of their places, and at
// an interval besides, and tells what is not as it was. What it knew is kept
// on disk, so that changes made while no agent ran are told too.
package tasksensor

import (
	"context"
	"log/slog"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

// Task is what is known of a task.
type Task struct {
	Name     string `json:"name"`
	Type     string `json:"type"` // cron, anacron, at or systemd_timer
	Source   string `json:"source"`
	Unit     string `json:"unit,omitempty"`
	Path     string `json:"path,omitempty"`
	Command  string `json:"command,omitempty"`
	Schedule string `json:"schedule,omitempty"`
	User     string `json:"user,omitempty"`
	Enabled  bool   `json:"enabled"`
}

// Options are what the sensor is told.
type Options struct {
	// Read reads all tasks there are. The errors of what it could not read
	// come beside the others; the last is that of the whole.
	Read func(ctx context.Context) (tasks []Task, lacks []error, err error)
	// Feed tells of files that changed; nil leaves the interval alone.
	Feed *Feed
	// Every is the longest between two readings; 30 s.
	Every time.Duration
	// Settle is how long after a file event the tasks are read, since one
	// change is often several; 300 ms.
	Settle time.Duration
	// State is the file that keeps what was known; empty keeps nothing.
	State string
	// Pacer holds readings at the interval to the CPU limit; nil does not.
	Pacer  tables.Pacer
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Every <= 0 {
		o.Every = 30 * time.Second
	}
	if o.Settle <= 0 {
		o.Settle = 300 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Spec declares the sensor.
func Spec(o Options) sensor.Spec {
	return sensor.Spec{
		Name: "task", Tables: []string{(*event.Task)(nil).Table()}, Mechanisms: []sensor.Mechanism{&compare{o.withDefaults()}},
	}
}
