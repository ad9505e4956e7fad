package tasksensor

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

// compare reads the tasks again and again.
type compare struct{ o Options }

// Name implements sensor.Mechanism.
func (*compare) Name() string { return "compare" }

// Start reads the tasks once and tells what changed since the last run.
func (m *compare) Start(ctx context.Context, out sensor.Publisher) (sensor.Running, error) {
	ctx, cancel := context.WithCancel(ctx)
	r := &run{o: m.o, out: out, cancel: cancel, done: make(chan struct{})}
	known, had, note := readState(r.o.State)
	r.note = note
	if note != "" {
		r.o.Logger.Warn("task sensor", "state", note)
	}
	tasks, lacks, err := r.o.Read(ctx)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("read the scheduled tasks: %w", err)
	}
	differs := !had
	if had {
		r.known = known
		differs = r.tell(tasks, nil, "restart") > 0
	}
	r.keep(tasks, lacks, differs)
	go r.loop(ctx)
	return r, nil
}

type run struct {
	o      Options
	out    sensor.Publisher
	known  []Task // of the loop alone
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	tasks   int
	lacks   []error
	failed  string // why the last reading failed
	unsaved string // why the state was not kept
	note    string
	reads   int
	took    time.Duration
}

// loop reads the tasks when a file of theirs changed, and at the interval.
func (r *run) loop(ctx context.Context) {
	defer close(r.done)
	var ready <-chan struct{}
	if r.o.Feed != nil {
		ready = r.o.Feed.ready
	}
	every := time.NewTimer(r.o.Every)
	defer every.Stop()
	for {
		var touched []touch
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			// A reading at the interval can wait for the CPU limit; one after a
			// change must not, or a job that comes and goes is missed.
			if r.o.Pacer != nil {
				_ = r.o.Pacer.Pace(ctx) // the context's end is met above
			}
			touched = r.o.Feed.take()
		case <-ready:
			if !sleep(ctx, r.o.Settle) {
				return
			}
			if touched = r.o.Feed.take(); len(touched) == 0 {
				continue // taken with those before
			}
		}
		began := time.Now()
		r.read(ctx, touched)
		r.mu.Lock()
		r.took = time.Since(began)
		r.reads++
		r.mu.Unlock()
		// A storm in these places is read in steps that leave time for others.
		if !sleep(ctx, 10*time.Since(began)) {
			return
		}
		every.Reset(r.o.Every)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *run) read(ctx context.Context, touched []touch) {
	tasks, lacks, err := r.o.Read(ctx)
	if ctx.Err() != nil {
		return // a reading that was broken off says nothing of what is gone
	}
	if err != nil {
		r.mu.Lock()
		r.failed = err.Error()
		r.mu.Unlock()
		return
	}
	if r.o.Feed != nil && unexplained(diff(r.known, tasks), touched) {
		// What was read may be newer than the last file event that was told.
		sleep(ctx, r.o.Settle)
		touched = append(touched, r.o.Feed.take()...)
	}
	r.keep(tasks, lacks, r.tell(tasks, touched, "poll") > 0)
}

// unexplained says whether there is a change of which nobody is known to have
// made it.
func unexplained(changes []change, touched []touch) bool {
	for _, c := range changes {
		if whoTouched(touched, c.task()) == nil {
			return true
		}
	}
	return false
}

// tell publishes what changed, and says how much it was.
func (r *run) tell(tasks []Task, touched []touch, source string) int {
	changes := diff(r.known, tasks)
	now := time.Now()
	for _, c := range changes {
		t := c.task()
		e := &event.Task{Action: c.action, Name: t.Name, Type: t.Type, TargetPath: t.Source, Path: t.Path, Unit: t.Unit,
			Command: t.Command, Schedule: t.Schedule, User: t.User, Enabled: t.Enabled, UserID: -1}
		if c.now != nil && c.old != nil {
			e.OldCommand, e.OldSchedule, e.OldUser, e.OldEnabled = c.old.Command, c.old.Schedule, c.old.User, c.old.Enabled
		}
		e.Source = source
		e.At(now)
		if who := whoTouched(touched, t); who != nil {
			e.Source, e.PID, e.StartTime, e.Process, e.ProcName = who.source, who.pid, who.start, who.exe, who.name
			e.Cmdline, e.UserID, e.Parent = who.cmdline, who.uid, who.parent
			e.At(who.at)
		}
		r.out.Publish(e)
	}
	return len(changes)
}

// keep remembers a reading, on disk too where it differs.
func (r *run) keep(tasks []Task, lacks []error, differs bool) {
	r.known = tasks
	unsaved := ""
	r.mu.Lock()
	again := r.unsaved != ""
	r.mu.Unlock()
	if r.o.State != "" && (differs || again) {
		if err := writeState(r.o.State, tasks); err != nil {
			unsaved = err.Error()
		}
	}
	r.mu.Lock()
	r.tasks, r.lacks, r.failed, r.unsaved = len(tasks), lacks, "", unsaved
	r.mu.Unlock()
}

// Describe implements sensor.Describer.
func (r *run) Describe() (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	parts := []string{fmt.Sprintf("knows %d tasks, read again %d times", r.tasks, r.reads)}
	if r.took > 0 {
		parts[0] += fmt.Sprintf(", the last time in %s", r.took.Round(time.Millisecond/10))
	}
	if r.note != "" {
		parts = append(parts, r.note)
	}
	if n := len(r.lacks); n > 0 {
		parts = append(parts, fmt.Sprintf("%d things could not be read, such as: %v", n, r.lacks[0]))
	}
	if r.failed != "" {
		parts = append(parts, "the last reading failed: "+r.failed)
	}
	if r.unsaved != "" {
		parts = append(parts, "changes while no agent runs will not be told: "+r.unsaved)
	}
	return strings.Join(parts, "; "), r.failed != "" || r.unsaved != ""
}

// Done implements sensor.Running.
func (r *run) Done() <-chan struct{} { return r.done }

// Err implements sensor.Running; the loop ends by Close alone.
func (r *run) Err() error { return nil }

// Close implements sensor.Running.
func (r *run) Close() error {
	r.cancel()
	<-r.done
	return nil
}
