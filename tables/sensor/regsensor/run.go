package regsensor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aiedr/edr/tables/sensor"
	"github.com/aiedr/edr/tables/winreg"
)

// fullEvery is how many intervals pass between two comparisons of everything
// where Windows says what has changed: a net below the notices.
const fullEvery = 20

// notifier says which of some keys have changed, or something below them.
type notifier interface {
	// watch replaces the keys that are watched, and returns when each is: a
	// change after that is told. What cannot be watched is in the map, with why.
	watch(keys []string) map[string]string
	// changed gets a token when there is something to take.
	changed() <-chan struct{}
	// take is what has changed since it was last asked.
	take() []string
	// failed is closed when nothing more will be told; err then says why.
	failed() <-chan struct{}
	err() error
	close()
}

// look is a mechanism: by notices of Windows, or without a notifier by
// comparing at each interval.
type look struct {
	o      Options
	places []place
	name   string
	tree   func() (winreg.Tree, error)
	notify func() (notifier, error) // nil: polling
}

// Name implements sensor.Mechanism.
func (m *look) Name() string { return m.name }

// Start implements sensor.Mechanism. What the keys hold at the start is
// remembered and not told.
func (m *look) Start(ctx context.Context, out sensor.Publisher) (sensor.Running, error) {
	tree, err := m.tree()
	if err != nil {
		return nil, fmt.Errorf("watch the registry: %w", err)
	}
	r := &running{
		o: m.o, places: m.places, source: m.name, tree: tree, out: out,
		look:    looker{tree: tree, now: m.o.now, max: m.o.MaxKeys, refused: map[string]string{}},
		targets: map[string]*target{}, done: make(chan struct{}),
	}
	if m.notify != nil {
		if r.notify, err = m.notify(); err != nil {
			return nil, fmt.Errorf("watch the registry by notices: %w", err)
		}
	}
	if err := r.refresh(); err != nil {
		r.end()
		return nil, fmt.Errorf("watch the registry: %w", err)
	}
	ctx, r.cancel = context.WithCancel(ctx)
	go func() {
		defer sensor.Metered(ctx)()
		r.run(ctx)
	}()
	return r, nil
}

// target is a place as it is watched: with a user's hive in it.
type target struct {
	place place
	held  snapshot
}

type running struct {
	o       Options
	places  []place
	source  string
	tree    winreg.Tree
	out     sensor.Publisher
	notify  notifier
	look    looker
	targets map[string]*target // by key in lower case
	deaf    map[string]string  // keys without notices, with why

	cancel context.CancelFunc
	done   chan struct{}
	mu     sync.Mutex
	failed error
	text   string
	less   bool
}

// refresh follows the users that come and go. The hive of a user who logs on
// is remembered and not told; that of one who logs off is forgotten.
func (r *running) refresh() error {
	users, err := winreg.ProfileUsers(r.tree)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	var fresh []*target
	var keys []string
	for _, p := range resolve(r.places, users) {
		low := strings.ToLower(p.key)
		wanted[low] = true
		keys = append(keys, p.key)
		if r.targets[low] == nil {
			t := &target{place: p}
			r.targets[low] = t
			fresh = append(fresh, t)
		}
	}
	gone := false
	for low := range r.targets {
		if !wanted[low] {
			gone = true
			delete(r.targets, low)
		}
	}
	if r.notify != nil && (gone || len(fresh) > 0) {
		r.deaf = r.notify.watch(keys)
		for low := range r.targets {
			if t := r.targets[low]; !slices.Contains(fresh, t) {
				r.compare(t) // a notice may have got lost in the change
			}
		}
	}
	for _, t := range fresh {
		t.held = r.snapshot(t)
	}
	r.describe(len(users))
	return nil
}

func (r *running) snapshot(t *target) snapshot {
	r.look.held = -len(t.held)
	for _, other := range r.targets {
		r.look.held += len(other.held)
	}
	return r.look.look(t.place, t.held)
}

// compare looks at a place and publishes what is different.
func (r *running) compare(t *target) {
	next := r.snapshot(t)
	for _, e := range diff(t.place, t.held, next, r.source, r.o.now()) {
		r.out.Publish(e)
	}
	t.held = next
}

func (r *running) compareAll() {
	r.look.full = false
	for _, t := range r.targets {
		r.compare(t)
	}
}

func (r *running) run(ctx context.Context) {
	defer close(r.done)
	defer r.end()
	tick := time.NewTicker(r.o.Interval)
	defer tick.Stop()
	var changed, failed <-chan struct{}
	every := 1
	if r.notify != nil {
		changed, failed, every = r.notify.changed(), r.notify.failed(), fullEvery
	}
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return
		case <-failed:
			r.fail(r.notify.err())
			return
		case <-changed:
			if !pause(ctx, r.o.Drain) {
				return
			}
			for _, key := range r.notify.take() {
				if t := r.targets[strings.ToLower(key)]; t != nil {
					r.compare(t)
				}
			}
		case <-tick.C:
			if err := r.refresh(); err != nil {
				r.fail(err)
				return
			}
			if n++; n%every == 0 {
				r.compareAll()
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (r *running) end() {
	if r.notify != nil {
		r.notify.close()
	}
}

func (r *running) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = fmt.Errorf("watch the registry: %w", err)
}

// describe says what is watched and what is not.
func (r *running) describe(users int) {
	n := 0
	for _, t := range r.targets {
		n += len(t.held)
	}
	var bad []string
	for _, m := range []map[string]string{r.look.refused, r.deaf} {
		for _, why := range m {
			bad = append(bad, why)
		}
	}
	slices.Sort(bad)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text, r.less = fmt.Sprintf("%d places, %d keys, %d users", len(r.targets), n, users), len(bad) > 0 || r.look.full
	if r.look.full {
		r.text += fmt.Sprintf("; more than %d keys, the rest is not watched: name narrower keys in -regs", r.o.MaxKeys)
	}
	if len(bad) > 0 {
		r.text += fmt.Sprintf("; %d keys cannot be watched, such as: %s", len(bad), bad[0])
	}
	if r.notify == nil {
		r.less = true
		r.text += fmt.Sprintf("; compares every %v", r.o.Interval)
	}
}

// Describe implements sensor.Describer.
func (r *running) Describe() (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text, r.less
}

// Done implements sensor.Running.
func (r *running) Done() <-chan struct{} { return r.done }

// Err implements sensor.Running.
func (r *running) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// Close implements sensor.Running.
func (r *running) Close() error {
	r.cancel()
	<-r.done
	return nil
}
