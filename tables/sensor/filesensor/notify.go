package filesensor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/tables/sensor"
)

// notify watches by what the operating system gives an ordinary user: on
// Linux inotify. It does not know who made a change, has to watch each folder
// by itself, and may miss what happens in a new one before it is watched.
type notify struct{ o Options }

func newNotify(o Options) *notify { return &notify{o} }

// Name implements sensor.Mechanism.
func (n *notify) Name() string {
	if runtime.GOOS == "linux" {
		return "inotify"
	}
	return "fsnotify"
}

// Start implements sensor.Mechanism.
func (n *notify) Start(ctx context.Context, out sensor.Publisher) (sensor.Running, error) {
	return n.startTo(ctx, plain{out})
}

func (n *notify) startTo(ctx context.Context, out filePublisher) (sensor.Running, error) {
	fw, err := fsnotify.NewBufferedWatcher(4096)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	w := &notifyWatcher{
		o: n.o, out: out, fw: fw, roots: n.o.watched(), snapshot: newSnapshot(n.o.MaxFiles),
		done: make(chan struct{}), quit: make(chan struct{}), dirty: map[string]struct{}{},
		events: make(chan fsnotify.Event, 32768), name: n.Name(),
	}
	w.roots0 = w.roots
	for _, d := range w.roots.dirs {
		w.snapshot.addTop(d)
	}
	w.addTree(&w.roots, false)
	if w.watched == 0 && len(w.roots.missing) == 0 {
		fw.Close()
		return nil, fmt.Errorf("no folder can be watched by inotify: %s", w.refusal())
	}
	w.publishStatus()
	go func() {
		defer sensor.Metered(ctx)()
		w.pump()
	}()
	go func() {
		defer sensor.Metered(ctx)()
		w.loop()
	}()
	context.AfterFunc(ctx, w.stop)
	return w, nil
}

type notifyWatcher struct {
	o        Options
	out      filePublisher
	fw       *fsnotify.Watcher
	events   chan fsnotify.Event // after pump
	name     string
	roots    roots
	roots0   roots // as at the start, for pump
	snapshot *snapshot
	done     chan struct{}
	quit     chan struct{}
	once     sync.Once
	err      error
	dirty    map[string]struct{} // written to, not yet told
	order    []string            // of dirty, the first written to first
	watched  int
	refused  map[string]string // folders that cannot be watched: why
	firstBad string

	mu   sync.Mutex
	text string
}

func (w *notifyWatcher) refusal() string {
	if w.firstBad != "" {
		return w.refused[w.firstBad]
	}
	return "none of them exists or can be read: " + strings.Join(w.o.Dirs, ", ")
}

// addTree watches every folder below the roots. With told set, what is found
// there is published as created: it came before its folder was watched.
func (w *notifyWatcher) addTree(r *roots, told bool) {
	walk(r, func(path string, info fs.FileInfo) error {
		_, known := w.snapshot.get(path)
		if info.IsDir() || r.files[path] {
			if err := w.fw.Add(path); err != nil {
				w.refuse(path, err)
			} else {
				w.watched++
			}
		}
		if told && !known {
			w.publish(path, event.FileCreated, info, "")
		}
		w.snapshot.put(path, seenOf(info))
		return nil
	})
}

func (w *notifyWatcher) refuse(path string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		return // gone again
	}
	if w.refused == nil {
		w.refused = map[string]string{}
	}
	if w.firstBad == "" {
		w.firstBad = path
	}
	if len(w.refused) < 1000 {
		why := err.Error()
		if strings.Contains(why, "no space left") {
			why = "the kernel's limit of watches is reached (sysctl fs.inotify.max_user_watches)"
		}
		w.refused[path] = path + ": " + why
	}
}

// pump watches new folders before anything else is done with an event: each
// moment until then, what happens in them is missed.
func (w *notifyWatcher) pump() {
	defer close(w.events)
	for ev := range w.fw.Events {
		if ev.Has(fsnotify.Create) && !w.roots0.excluded(ev.Name) {
			if info, err := os.Lstat(ev.Name); err == nil && info.IsDir() {
				w.fw.Add(ev.Name) // addTree does so again, and tells why it cannot
			}
		}
		select {
		case w.events <- ev:
		case <-w.quit:
			return
		}
	}
}

func (w *notifyWatcher) loop() {
	defer close(w.done)
	defer w.fw.Close()
	refresh := time.NewTicker(refreshNotify)
	defer refresh.Stop()
	var quiet <-chan time.Time
	for {
		select {
		case <-w.quit:
			w.flush()
			return
		case ev, ok := <-w.events:
			if !ok {
				w.err = errors.New("inotify ended")
				return
			}
			w.handle(ev)
			if quiet == nil && len(w.dirty) > 0 {
				quiet = time.After(time.Second)
			}
		case err, ok := <-w.fw.Errors:
			if !ok {
				w.err = errors.New("inotify ended")
				return
			}
			w.out.Lost(0, "inotify: "+err.Error())
			w.compare()
		case <-quiet:
			quiet = nil
			w.flush()
		case <-refresh.C:
			w.resolveAgain()
		}
	}
}

const refreshNotify = 10 * time.Second

// Describe implements sensor.Describer.
func (w *notifyWatcher) Describe() (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text, true
}

// Done implements sensor.Running.
func (w *notifyWatcher) Done() <-chan struct{} { return w.done }

// Err implements sensor.Running.
func (w *notifyWatcher) Err() error {
	select {
	case <-w.done:
		return w.err
	default:
		return nil
	}
}

func (w *notifyWatcher) stop() { w.once.Do(func() { close(w.quit) }) }

// Close implements sensor.Running.
func (w *notifyWatcher) Close() error {
	w.stop()
	<-w.done
	return nil
}
