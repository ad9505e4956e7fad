package seal

import (
	"bytes"
	"context"
	"fmt"
	"sync"
)

// memStore is a HostStore and ReceiverStore in memory.
type memStore struct {
	mu      sync.Mutex
	secrets map[string]int // secret -> uses left
	hosts   map[string]Host
	outbox  map[string]*memOutbox // host fingerprint / outbox
	order   []string
	fail    error
}

type memOutbox struct {
	contiguous uint64
	kept       map[uint64][]Received
	conflicts  int
	gaps       int
}

func newMemStore() *memStore {
	return &memStore{secrets: map[string]int{}, hosts: map[string]Host{}, outbox: map[string]*memOutbox{}}
}

func (m *memStore) Host(_ context.Context, fp string) (Host, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.hosts[fp]
	if !ok {
		return Host{}, fmt.Errorf("find host: %w", ErrUnknownHost)
	}
	return h, nil
}

func (m *memStore) Enrol(_ context.Context, e Enrolment) (Host, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h, ok := m.hosts[e.Fingerprint]; ok {
		return h, nil
	}
	h := Host{ID: e.ProposedID, Key: e.Key, State: HostPending}
	if e.Secret != "" {
		if m.secrets[e.Secret] == 0 {
			return Host{}, ErrTokenRefused
		}
		m.secrets[e.Secret]--
		h.State = HostAdmitted
	}
	m.hosts[e.Fingerprint] = h
	return h, nil
}

func (m *memStore) setState(fp string, s HostState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.hosts[fp]
	h.State = s
	m.hosts[fp] = h
}

func (m *memStore) Held(_ context.Context, host Host, outbox string, from, to uint64) (Held, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return Held{}, m.fail
	}
	h := Held{Hashes: map[uint64][][32]byte{}}
	for key := range m.outbox {
		if bytes.HasPrefix([]byte(key), []byte(host.Fingerprint()+"/")) {
			h.Others = true
		}
	}
	o := m.outbox[host.Fingerprint()+"/"+outbox]
	if o == nil {
		return h, nil
	}
	h.Known, h.Contiguous = true, o.contiguous
	for n, recs := range o.kept {
		if n >= from && n <= to {
			for _, r := range recs {
				h.Hashes[n] = append(h.Hashes[n], r.Hash)
			}
		}
	}
	return h, nil
}

func (m *memStore) Keep(_ context.Context, d Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	key := d.Host.Fingerprint() + "/" + d.Outbox
	o := m.outbox[key]
	if o == nil {
		o = &memOutbox{kept: map[uint64][]Received{}}
		m.outbox[key] = o
		m.order = append(m.order, key)
	}
	for _, r := range append(append([]Received(nil), d.Records...), d.Conflicts...) {
		o.kept[r.Record.Number] = append(o.kept[r.Record.Number], r)
	}
	o.conflicts += len(d.Conflicts)
	o.gaps += len(d.Gaps)
	o.contiguous = d.Contiguous
	return nil
}

// records counts what is kept of all outboxes.
func (m *memStore) records() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, o := range m.outbox {
		for _, r := range o.kept {
			n += len(r)
		}
	}
	return n
}
