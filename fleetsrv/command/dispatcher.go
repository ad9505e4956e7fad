// Package command brings commands to hosts: a queue for each host, the long
// poll that waits at it, and who is connected. A command is signed when it is
// handed over, so that serials rise in the order of delivery, and handed over
// again until the host says that it has taken it.
package command

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

// OnlineFor is how long after its last sign of life a host counts as online.
const OnlineFor = 45 * time.Second

const (
	serialBlock   = 16 // serials taken from the store at once
	maxQueued     = 4096
	maxHandovers  = 6 // a host that takes a command so often and not, never will
	configureLife = time.Hour
)

// Signer signs commands.
type Signer interface {
	SignCommand(wire.Command) (seal.SignedCommand, error)
}

// Serials takes serials for a host's commands.
type Serials interface {
	NextSerials(ctx context.Context, sc store.Scope, id string, n int) (uint64, error)
}

// Configured answers a host's present configuration and its serial, which
// another configuration never has; 0 where there is none.
type Configured func(host string) (serial uint64, args json.RawMessage)

// Item is a command that waits for its host.
type Item struct {
	Type    wire.CommandType
	Ref     string // id of the query or response
	Expires time.Time
	// Args makes the arguments when the command is signed.
	Args func(now time.Time) (json.RawMessage, error)
	// Handed is called when the command was handed to the host's connection,
	// Taken when the host said that it has it, Lost when it was given up.
	Handed, Taken func()
	Lost          func(why string)
}

type outstanding struct {
	Item
	serial uint64
	bytes  seal.SignedCommand
	times  int
	last   time.Time
}

type queue struct {
	wake       chan struct{}
	waiting    []Item
	sent       []outstanding
	next, end  uint64 // serials in hand: next … end-1
	poll       uint64 // number of the newest poll
	polls      int
	seen       time.Time
	address    string
	dirty      bool // seen has changed since it was kept
	configured uint64
	configAt   time.Time
}

// Dispatcher is the queues of all hosts.
type Dispatcher struct {
	sign    Signer
	serials Serials
	now     func() time.Time
	log     *slog.Logger
	mu      sync.Mutex
	config  Configured
	hosts   map[string]*queue
	handed  map[wire.CommandType]uint64
	lost    uint64
}

// New makes a Dispatcher.
func New(sign Signer, serials Serials, config Configured, now func() time.Time, log *slog.Logger) *Dispatcher {
	return &Dispatcher{sign: sign, serials: serials, config: config, now: now, log: log,
		hosts: map[string]*queue{}, handed: map[wire.CommandType]uint64{}}
}

func (d *Dispatcher) queue(host string) *queue {
	q := d.hosts[host]
	if q == nil {
		q = &queue{wake: make(chan struct{}, 1)}
		d.hosts[host] = q
	}
	return q
}

func (q *queue) rouse() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Enqueue puts a command into a host's queue and wakes its poll.
func (d *Dispatcher) Enqueue(host string, it Item) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.queue(host)
	if len(q.waiting) >= maxQueued {
		return fmt.Errorf("queue a command for host %s: %d wait already; wait until the host has come for them", host, maxQueued)
	}
	q.waiting = append(q.waiting, it)
	q.rouse()
	return nil
}

// Withdraw takes a command back that its host has not been handed yet; it
// reports whether there was one.
func (d *Dispatcher) Withdraw(host, ref string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.queue(host)
	for i, it := range q.waiting {
		if it.Ref == ref {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// Reconfigure wakes every poll after the configuration has changed.
func (d *Dispatcher) Reconfigure() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range d.hosts {
		q.rouse()
	}
}

// ReconfigureHost wakes one host's poll after its configuration has changed.
func (d *Dispatcher) ReconfigureHost(host string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.hosts[host]; q != nil {
		q.rouse()
	}
}

// Reported takes the configuration serial that a host's health tells: a host
// that lost its configuration gets it again.
func (d *Dispatcher) Reported(host string, serial uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.queue(host)
	if q.configured != 0 && q.configured != serial && d.now().Sub(q.configAt) > 2*time.Minute {
		q.configured = 0
		q.rouse()
	}
}

// Forget drops what waits for a host.
func (d *Dispatcher) Forget(host string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.hosts[host]; q != nil {
		q.poll++
		q.rouse()
		delete(d.hosts, host)
	}
}

// See notes a sign of life.
func (d *Dispatcher) See(host, address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.queue(host)
	q.seen, q.dirty = d.now(), true
	if address != "" {
		q.address = address
	}
}

// Online says whether a host is connected or was a moment ago.
func (d *Dispatcher) Online(host string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.hosts[host]
	return q != nil && (q.polls > 0 || d.now().Sub(q.seen) < OnlineFor)
}

// Sightings are the signs of life since the last call, for the store.
func (d *Dispatcher) Sightings() map[string]store.Sighting {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	out := map[string]store.Sighting{}
	for host, q := range d.hosts {
		if q.polls > 0 {
			q.seen, q.dirty = now, true
		}
		if q.dirty {
			out[host] = store.Sighting{Time: q.seen, Address: q.address}
			q.dirty = false
		}
	}
	return out
}

// Stats are counts for the metrics.
type Stats struct {
	Polls, Waiting int
	Handed         map[wire.CommandType]uint64
	Lost           uint64
}

// Stats counts polls that wait, commands that wait, and what was handed over.
func (d *Dispatcher) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Stats{Handed: map[wire.CommandType]uint64{}, Lost: d.lost}
	for _, q := range d.hosts {
		s.Polls += q.polls
		s.Waiting += len(q.waiting) + len(q.sent)
	}
	for k, n := range d.handed {
		s.Handed[k] = n
	}
	return s
}

// reserve makes sure that n serials are in hand.
func (d *Dispatcher) reserve(ctx context.Context, host string, n int) error {
	d.mu.Lock()
	q := d.queue(host)
	short := n - int(q.end-q.next)
	d.mu.Unlock()
	if short <= 0 {
		return nil
	}
	take := max(n, serialBlock)
	first, err := d.serials.NextSerials(ctx, store.Everything(), host, take)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	// What was left of the former block is skipped: serials only rise.
	if first >= q.end {
		q.next, q.end = first, first+uint64(take)
	}
	return nil
}

func nonce() string { return auth.ID("") }

// OnlineHosts is the set of hosts that are online.
func (d *Dispatcher) OnlineHosts() map[string]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	out := make(map[string]bool, len(d.hosts))
	for host, q := range d.hosts {
		if q.polls > 0 || now.Sub(q.seen) < OnlineFor {
			out[host] = true
		}
	}
	return out
}
