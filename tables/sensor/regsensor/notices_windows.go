package regsensor

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/aiedr/edr/tables/winreg"
)

// perThread is how many keys one thread waits for: Windows lets it wait for 64
// objects, of which one is the end.
const perThread = 63

// breath is for how long, in milliseconds, a thread lets notices gather before
// it asks for the next: a key that is written to all the time costs no more.
const breath = 20

// notices watches keys by RegNotifyChangeKeyValue.
type notices struct {
	token chan struct{}
	bad   chan struct{}

	mu     sync.Mutex
	dirty  []string
	why    error
	groups []*group
}

func newNotices() *notices {
	return &notices{token: make(chan struct{}, 1), bad: make(chan struct{})}
}

func (n *notices) changed() <-chan struct{} { return n.token }

func (n *notices) failed() <-chan struct{} { return n.bad }

func (n *notices) err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.why
}

func (n *notices) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.dirty
	n.dirty = nil
	return out
}

func (n *notices) tell(key string) {
	n.mu.Lock()
	if !slices.Contains(n.dirty, key) {
		n.dirty = append(n.dirty, key)
	}
	n.mu.Unlock()
	select {
	case n.token <- struct{}{}:
	default:
	}
}

func (n *notices) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.why == nil {
		n.why = err
		close(n.bad)
	}
}

// watch starts threads for the new keys before it ends those of the old, so
// that no change falls between.
func (n *notices) watch(keys []string) map[string]string {
	deaf := map[string]string{}
	old := n.groups
	n.groups = nil
	for part := range slices.Chunk(keys, perThread) {
		g, err := startGroup(n, part, deaf)
		if err != nil {
			for _, k := range part {
				deaf[k] = err.Error()
			}
			continue
		}
		n.groups = append(n.groups, g)
	}
	for _, g := range old {
		g.close()
	}
	return deaf
}

func (n *notices) close() {
	for _, g := range n.groups {
		g.close()
	}
	n.groups = nil
}

// group is a thread and the keys that it waits for. Windows ends a request
// with the thread that made it, so the thread is the group's alone.
type group struct {
	n       *notices
	stop    windows.Handle
	watches []*watch
	done    chan struct{}
}

func startGroup(n *notices, keys []string, deaf map[string]string) (*group, error) {
	stop, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return nil, fmt.Errorf("make an event: %w", err)
	}
	g := &group{n: n, stop: stop, done: make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		defer close(g.done)
		for _, k := range keys {
			w := &watch{want: k}
			var err error
			if w.event, err = windows.CreateEvent(nil, 0, 0, nil); err == nil {
				err = w.arm()
			}
			if err != nil {
				deaf[k] = err.Error()
				w.close()
				continue
			}
			g.watches = append(g.watches, w)
		}
		close(ready)
		g.run()
	}()
	<-ready
	return g, nil
}

func (g *group) close() {
	if err := windows.SetEvent(g.stop); err != nil {
		g.n.fail(fmt.Errorf("end the watch of registry keys: %w", err))
		return
	}
	<-g.done
	_ = windows.CloseHandle(g.stop)
}

func (g *group) run() {
	defer func() {
		for _, w := range g.watches {
			w.close()
		}
	}()
	handles := []windows.Handle{g.stop}
	for _, w := range g.watches {
		handles = append(handles, w.event)
	}
	for {
		got, err := windows.WaitForMultipleObjects(handles, false, windows.INFINITE)
		if err != nil {
			g.n.fail(fmt.Errorf("wait for changes of registry keys: %w", err))
			return
		}
		if got == windows.WAIT_OBJECT_0 {
			return
		}
		first := int(got - windows.WAIT_OBJECT_0 - 1)
		if first < 0 || first >= len(g.watches) {
			g.n.fail(fmt.Errorf("wait for changes of registry keys: the answer %#x names none of them", got))
			return
		}
		if end, _ := windows.WaitForSingleObject(g.stop, breath); end == windows.WAIT_OBJECT_0 {
			return
		}
		for i, w := range g.watches {
			if i != first {
				// Waiting names only the first; the others may have changed too.
				if set, _ := windows.WaitForSingleObject(w.event, 0); set != windows.WAIT_OBJECT_0 {
					continue
				}
			}
			// Asked for again before it is told: who then looks sees all that
			// happened before, and the next notice tells of the rest.
			if err := w.arm(); err != nil {
				g.n.fail(fmt.Errorf("watch %s again: %w", w.want, err))
				return
			}
			g.n.tell(w.want)
		}
	}
}

// watch waits for changes below one key, or while there is no such key for
// changes of the nearest one above it.
type watch struct {
	want  string
	at    string // the key that is open
	key   registry.Key
	event windows.Handle
}

func (w *watch) close() {
	w.release()
	if w.event != 0 {
		_ = windows.CloseHandle(w.event)
		w.event = 0
	}
}

func (w *watch) release() {
	if w.at != "" {
		_ = w.key.Close()
		w.at = ""
	}
}

// attempts bounds how often a key that comes and goes is tried anew.
const attempts = 16

// arm asks for the next notice.
func (w *watch) arm() error {
	for range attempts {
		if w.at != w.want {
			if err := w.open(); err != nil {
				return err
			}
		}
		filter := uint32(windows.REG_NOTIFY_CHANGE_NAME)
		if w.at == w.want {
			filter |= windows.REG_NOTIFY_CHANGE_LAST_SET
		}
		err := windows.RegNotifyChangeKeyValue(windows.Handle(w.key), w.at == w.want, filter, w.event, true)
		switch {
		case errors.Is(err, windows.ERROR_KEY_DELETED), errors.Is(err, windows.ERROR_INVALID_HANDLE):
			w.release()
			continue
		case err != nil:
			return fmt.Errorf("ask for changes of registry key %s: %w", w.at, err)
		}
		if w.at == w.want {
			return nil
		}
		// The key may have been made while the one above it was opened.
		nearer, err := winreg.Open(w.next(), registry.NOTIFY)
		if errors.Is(err, winreg.ErrNoKey) {
			return nil
		}
		if err != nil {
			return err
		}
		_ = nearer.Close()
	}
	return fmt.Errorf("ask for changes of registry key %s: it comes and goes", w.want)
}

// next is the key below the open one, on the way to the wanted.
func (w *watch) next() string {
	rest := w.want[len(w.at)+1:]
	name, _, _ := strings.Cut(rest, `\`)
	return winreg.Join(w.at, name)
}

// open opens the wanted key or the nearest above it that there is.
func (w *watch) open() error {
	w.release()
	for path := w.want; ; {
		k, err := winreg.Open(path, registry.NOTIFY)
		if err == nil {
			w.key, w.at = k, path
			return nil
		}
		cut := strings.LastIndexByte(path, '\\')
		if !errors.Is(err, winreg.ErrNoKey) || cut < 0 {
			return err
		}
		path = path[:cut]
	}
}
