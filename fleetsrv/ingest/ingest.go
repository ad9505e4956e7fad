// Package ingest takes what hosts deliver into the store: it stands between
// the sealed protocol and the tables, and trusts nothing that a host says of
// itself or of its time.
package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/live"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

// Store is what is needed of the store.
type Store interface {
	store.Hosts
	store.Intake
}

// Options say what a Receiver stands on.
type Options struct {
	Store Store
	Bus   *live.Bus
	// Classes are the data classes of a scheduled query by its name in
	// results, as bits.
	Classes func(query string) int64
	// Reported is told the configuration serial of a host's health.
	Reported func(host string, serial uint64)
	// Joined is told of a host that is new, or says other things of itself
	// than before; nil for nobody.
	Joined func(ctx context.Context, host string) error
	Count  func(kind wire.Kind, outcome string, n int)
	Now    func() time.Time
	Log    *slog.Logger
}

// Receiver implements seal.HostStore and seal.ReceiverStore.
type Receiver struct{ o Options }

var (
	_ seal.HostStore     = (*Receiver)(nil)
	_ seal.ReceiverStore = (*Receiver)(nil)
)

// New makes a Receiver.
func New(o Options) *Receiver { return &Receiver{o} }

func sealHost(h store.Host) seal.Host {
	return seal.Host{ID: h.ID, Key: h.PublicKey, State: seal.HostState(h.State)}
}

// Host implements seal.HostStore.
func (r *Receiver) Host(ctx context.Context, fingerprint string) (seal.Host, error) {
	h, err := r.o.Store.HostByKey(ctx, store.Everything(), fingerprint)
	if errors.Is(err, store.ErrNotFound) {
		return seal.Host{}, seal.ErrUnknownHost
	}
	return sealHost(h), err
}

// Enrol implements seal.HostStore.
func (r *Receiver) Enrol(ctx context.Context, e seal.Enrolment) (seal.Host, error) {
	var hash []byte
	now := r.o.Now()
	if e.Secret != "" {
		hash = auth.Hash(e.Secret)
	} else if err := r.roomToWait(ctx, e.Fingerprint); err != nil {
		return seal.Host{}, err
	}
	clipDetails(&e.Details)
	h, added, err := r.o.Store.Enrol(ctx, store.Everything(), hash, store.Host{
		ID: e.ProposedID, Details: e.Details, Address: e.Remote, PublicKey: e.Key, Fingerprint: e.Fingerprint,
		EnrolledAt: now, LastSeen: now, Groups: []string{store.GroupAll},
	}, now)
	if errors.Is(err, store.ErrNotFound) {
		return seal.Host{}, seal.ErrTokenRefused
	}
	if err != nil {
		return seal.Host{}, err
	}
	if !added && h.State != store.HostRemoved {
		if err := r.o.Store.SetDetails(ctx, store.Everything(), h.ID, e.Details); err != nil {
			return seal.Host{}, err
		}
	}
	if r.o.Joined != nil && h.State != store.HostRemoved {
		if err := r.o.Joined(ctx, h.ID); err != nil {
			return seal.Host{}, err
		}
	}
	r.o.Bus.Publish(live.Change{Topic: live.TopicHost, ID: h.ID})
	return sealHost(h), nil
}

// maxWaiting bounds the hosts that wait to be admitted: whoever knows the
// server's public key, which is no secret, may ask to.
const maxWaiting = 1000

func (r *Receiver) roomToWait(ctx context.Context, fingerprint string) error {
	if _, err := r.o.Store.HostByKey(ctx, store.Everything(), fingerprint); err == nil {
		return nil // it is there already and takes no room
	}
	l, err := r.o.Store.ListHosts(ctx, store.Everything(), store.HostFilter{})
	if err != nil {
		return err
	}
	if l.Waiting >= maxWaiting {
		r.o.Log.Warn("a host may not wait to be admitted: too many wait already; admit or remove some", "waiting", l.Waiting)
		return seal.ErrUnavailable
	}
	return nil
}

// Held implements seal.ReceiverStore.
func (r *Receiver) Held(ctx context.Context, host seal.Host, outbox string, from, to uint64) (seal.Held, error) {
	h, err := r.o.Store.Held(ctx, store.Everything(), host.ID, outbox, from, to)
	if err != nil {
		return seal.Held{}, err
	}
	out := seal.Held{Known: h.Known, Others: h.Others, Contiguous: h.Contiguous, Hashes: map[uint64][][32]byte{}}
	for n, hashes := range h.Hashes {
		for _, b := range hashes {
			if len(b) == sha256.Size {
				out.Hashes[n] = append(out.Hashes[n], [32]byte(b))
			}
		}
	}
	return out, nil
}

// Keep implements seal.ReceiverStore.
func (r *Receiver) Keep(ctx context.Context, d seal.Delivery) error {
	now := r.o.Now()
	sd := store.Delivery{Host: d.Host.ID, Outbox: d.Outbox, Contiguous: d.Contiguous, Gaps: d.Gaps, Time: now}
	kinds := map[wire.Kind]int{}
	for _, list := range [2][]seal.Received{d.Records, d.Conflicts} {
		for i := range list {
			it := r.item(&list[i], now)
			kinds[it.Kind]++
			if it.Health != nil && r.o.Reported != nil {
				r.o.Reported(d.Host.ID, it.Health.ConfigSerial)
			}
			sd.Items = append(sd.Items, it)
		}
	}
	ch, err := r.o.Store.Receive(ctx, store.Everything(), sd)
	if err != nil {
		return err
	}
	if r.o.Count != nil {
		for k, n := range kinds {
			r.o.Count(k, "received", n)
		}
		r.o.Count("", "duplicate", ch.Duplicates)
		r.o.Count("", "conflict", ch.Conflicts)
	}
	if ch.Version && r.o.Joined != nil {
		if err := r.o.Joined(ctx, d.Host.ID); err != nil { // the records are kept
			r.o.Log.Error("a host with a new version was not put into its groups", "host", d.Host.ID, "err", err)
		}
	}
	var changes []live.Change
	for _, id := range ch.Alerts {
		changes = append(changes, live.Change{Topic: live.TopicAlert, ID: strconv.FormatInt(id, 10)})
	}
	for _, id := range ch.Responses {
		changes = append(changes, live.Change{Topic: live.TopicResponse, ID: id})
	}
	if ch.Health || len(ch.Alerts) > 0 {
		changes = append(changes, live.Change{Topic: live.TopicHost, ID: d.Host.ID})
	}
	r.o.Bus.Publish(changes...)
	return nil
}

// Event takes what the protocol noticed: a clone is an alert of our own, a
// refusal by a known host a problem of that host.
func (r *Receiver) Event(ctx context.Context, e seal.Event) {
	log := r.o.Log.With("event", string(e.Kind), "host", e.Host.ID, "remote", e.Remote)
	switch e.Kind {
	case seal.EventClone:
		log.Warn("two sessions of one host key are used in turn", "detail", e.Detail)
		id, err := r.o.Store.RaiseAlert(ctx, store.Everything(), e.Host.ID, wire.Hit{
			ID:       fmt.Sprintf("edr-clone-%s-%d", e.Session, e.Time.UnixNano()),
			Rule:     wire.RuleRef{ID: "edr_clone", Name: "cloned host", Version: "1"},
			Severity: wire.High, Title: "Two machines use the key of one host",
			Description: "Two sessions of this host's key are used in turn, and neither replaced the other. A machine was cloned with its agent's state, or the key was stolen. Remove the host and enrol both anew.",
			Attack:      []string{"T1078"}, Time: r.o.Now(), Entity: "key " + short(e.Host.Fingerprint()), Count: 1, Table: "edr_sessions",
			Event: []wire.Field{
				{Name: "session", Value: wire.ValueOf(e.Session)},
				{Name: "address", Value: wire.ValueOf(e.Remote)},
				{Name: "detail", Value: wire.ValueOf(e.Detail)},
			},
		})
		if err != nil {
			log.Error("an alert of a cloned host was not kept", "err", err)
			return
		}
		r.o.Bus.Publish(live.Change{Topic: live.TopicAlert, ID: strconv.FormatInt(id, 10)})
	case seal.EventRefused:
		name := seal.RefusalName(e.Err)
		if name == seal.ErrUnknownSession.Name || name == seal.ErrSessionOver.Name {
			log.Debug("a message was refused", "err", e.Err)
			return
		}
		log.Warn("a message was refused", "err", e.Err, "detail", e.Detail)
		r.problem(ctx, e, "message refused by the server", fmt.Sprint(e.Err))
	case seal.EventNewOutbox:
		log.Warn("a host began a new outbox", "outbox", e.Outbox)
		r.problem(ctx, e, "outbox", "the host began a new outbox: what its former one still held is lost")
	case seal.EventConflict, seal.EventGap:
		log.Warn("the outbox of a host is not whole", "outbox", e.Outbox, "number", e.Number, "detail", e.Detail)
	default:
		log.Info("agent", "detail", e.Detail)
	}
	if e.Host.ID != "" {
		r.o.Bus.Publish(live.Change{Topic: live.TopicHost, ID: e.Host.ID})
	}
}

func (r *Receiver) problem(ctx context.Context, e seal.Event, source, text string) {
	if e.Host.ID == "" {
		return
	}
	if err := r.o.Store.AddProblem(ctx, store.Everything(), e.Host.ID, wire.Problem{Time: r.o.Now(), Source: source, Error: text, Count: 1}); err != nil {
		r.o.Log.Error("a problem of a host was not kept", "host", e.Host.ID, "err", err)
	}
}

func short(s string) string { return clip(s, 16) }

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 { // not inside a character
		n--
	}
	return s[:n]
}

func clipDetails(d *wire.HostDetails) {
	for _, s := range []*string{&d.Hostname, &d.UUID, &d.OS, &d.Platform, &d.Arch, &d.Kernel, &d.CPU, &d.AgentVersion} {
		*s = clip(*s, 256)
	}
	if len(d.Schema) > 4<<20 {
		d.Schema = nil
	}
}

func knownSeverity(s wire.Severity) bool { return slices.Contains(wire.Severities(), s) }

func hexHash(h [32]byte) string { return hex.EncodeToString(h[:]) }
