package sensor

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/event"
)

// Log is where the manager records events: eventlog.Log, or nil for nowhere.
type Log interface {
	// Append records events and sets their numbers. It does not wait for the
	// disk; an error means that some are not recorded.
	Append(events []event.Event) error
	// Gap records that events of tables were lost between two times.
	Gap(tables []string, from, to time.Time, reason string)
}

// Options are what a manager may be told. The zero value of each field takes
// the default named.
type Options struct {
	// Off names sensors that are switched off.
	Off []string
	// QueueBytes bounds what waits between the sensors and the log; 64 MiB.
	QueueBytes int64
	// Retry is how long to wait before a mechanism that failed is tried
	// again; it doubles with each failure up to RetryMax. 30 s and 1 h.
	Retry, RetryMax time.Duration
	// Meter counts the CPU time of capture; nil does not.
	Meter  *Meter
	Logger *slog.Logger
	Now    func() time.Time
}

// Manager runs sensors: each on its best mechanism that works, on the next
// where that cannot run or dies, and back on the better one when it works
// again. It takes their events to the log and to subscribers.
type Manager struct {
	o       Options
	log     Log
	keepers []*keeper
	queue   *queue
	cancel  context.CancelFunc
	wg      sync.WaitGroup // keepers
	pumped  chan struct{}  // closed when the queue is empty for good

	mu    sync.Mutex
	subs  []*Subscription
	drain time.Duration
	ended bool
}

// NewManager makes a manager; Start starts the sensors.
func NewManager(specs []Spec, log Log, o Options) *Manager {
	if o.QueueBytes <= 0 {
		o.QueueBytes = 64 << 20
	}
	if o.Retry <= 0 {
		o.Retry = 30 * time.Second
	}
	if o.RetryMax <= 0 {
		o.RetryMax = time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Manager{o: o, log: log, pumped: make(chan struct{}), queue: newQueue(o.QueueBytes)}
	for _, spec := range specs {
		m.keepers = append(m.keepers, newKeeper(m, spec, slices.Contains(o.Off, spec.Name)))
	}
	return m
}

// Start starts all sensors and returns when each runs or has said why not;
// what cannot run is seen in Status, not in an error. The sensors run until
// Close or until ctx ends.
func (m *Manager) Start(ctx context.Context) {
	ctx, m.cancel = context.WithCancel(ctx)
	ctx = WithMeter(ctx, m.o.Meter)
	go func() {
		defer m.o.Meter.Enter()()
		m.pump()
	}()
	for _, k := range m.keepers {
		if k.off {
			continue
		}
		m.wg.Go(func() { k.run(ctx) })
	}
	for _, k := range m.keepers {
		if !k.off {
			<-k.settled
		}
	}
}

// Close stops all sensors, hands on what they had published, and ends the
// subscriptions. The log stays open.
func (m *Manager) Close() {
	if m.cancel == nil {
		return
	}
	m.cancel()
	m.wg.Wait()
	m.queue.close()
	<-m.pumped
	for _, k := range m.keepers {
		k.settleOwed()
	}
	m.mu.Lock()
	m.ended = true
	subs := m.subs
	m.mu.Unlock()
	for _, s := range subs {
		s.end()
	}
}

// SetDrain sets for how long mechanisms gather events before they publish
// them: 10 ms while a rule is to respond at once, 0 for their own choice.
func (m *Manager) SetDrain(d time.Duration) {
	m.mu.Lock()
	m.drain = d
	m.mu.Unlock()
	for _, k := range m.keepers {
		k.setDrain(d)
	}
}

func (m *Manager) currentDrain() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.drain
}

// Status is the state of each sensor, of each subscriber, and of the log.
func (m *Manager) Status() (all []tables.SensorStatus) {
	if log, ok := m.log.(interface{ Status() tables.SensorStatus }); ok {
		defer func() { all = append(all, log.Status()) }()
	}
	for _, k := range m.keepers {
		all = append(all, k.status())
	}
	m.mu.Lock()
	subs := slices.Clone(m.subs)
	m.mu.Unlock()
	for _, s := range subs {
		all = append(all, s.status())
	}
	return all
}

// pump takes what is queued to the log and to the subscribers, batch by batch.
func (m *Manager) pump() {
	defer close(m.pumped)
	for {
		items, ok := m.queue.take()
		if !ok {
			return
		}
		for chunk := range slices.Chunk(items, 1024) {
			m.hand(chunk)
		}
	}
}

func (m *Manager) hand(items []item) {
	events := make([]event.Event, len(items))
	for i := range items {
		events[i] = items[i].e
	}
	if m.log != nil {
		if err := m.log.Append(events); err != nil {
			// Which of them is in the log's own gap; here each sensor of the
			// batch says that its record is not whole.
			seen := map[*keeper]bool{}
			for _, it := range items {
				if !seen[it.from] {
					seen[it.from] = true
					it.from.count(0, "event log: "+err.Error())
				}
			}
		}
	}
	m.mu.Lock()
	subs := m.subs
	m.mu.Unlock()
	for _, s := range subs {
		s.offer(events)
	}
}
