package live

import (
	"sync"

	"github.com/aiedr/edr/fleetsrv/store"
)

// Watcher is told where a query stands. It keeps the newest state of each
// host, so that one who reads slowly costs no more than one who is quick.
type Watcher struct {
	// Ready has a value when there is something to Take.
	Ready chan struct{}
	mu    sync.Mutex
	hosts map[string]store.QueryHost
	done  bool
}

func (w *Watcher) rouse() {
	select {
	case w.Ready <- struct{}{}:
	default:
	}
}

// tell keeps a host's state; a mere move keeps what else is known of it.
func (w *Watcher) tell(qh store.QueryHost, onlyMove bool) {
	w.mu.Lock()
	if was, ok := w.hosts[qh.Host]; ok && onlyMove {
		was.State = qh.State
		qh = was
	}
	w.hosts[qh.Host] = qh
	w.mu.Unlock()
	w.rouse()
}

func (w *Watcher) finish() {
	w.mu.Lock()
	w.done = true
	w.mu.Unlock()
	w.rouse()
}

// Take answers the hosts whose state changed since the last call, and whether
// the query has ended.
func (w *Watcher) Take() (hosts []store.QueryHost, done bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		hosts = append(hosts, h)
	}
	w.hosts = map[string]store.QueryHost{}
	return hosts, w.done
}

// Watch begins to watch a query; a query that is not open counts as ended.
// The returned function ends it.
func (l *Queries) Watch(id string) (*Watcher, func()) {
	w := &Watcher{Ready: make(chan struct{}, 1), hosts: map[string]store.QueryHost{}}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.open[id]
	if c == nil {
		w.done = true
		w.rouse()
		return w, func() {}
	}
	c.watchers[w] = true
	return w, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(c.watchers, w)
	}
}
