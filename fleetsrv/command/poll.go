package command

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aiedr/edr/wire"
	"github.com/aiedr/edr/wire/seal"
)

// Wait answers a host's poll: its commands, at once or as soon as there are
// some, or none when ctx ends or a newer poll of the same host begins.
func (d *Dispatcher) Wait(ctx context.Context, host seal.Host, info seal.PollInfo, address string) ([]seal.SignedCommand, error) {
	d.mu.Lock()
	q := d.queue(host.ID)
	q.poll++
	mine := q.poll
	q.polls++
	q.seen, q.dirty = d.now(), true
	if address != "" {
		q.address = address
	}
	if q.polls > 1 {
		q.rouse()
	}
	taken := q.acknowledge(info.Taken, d.now())
	d.mu.Unlock()
	for _, f := range taken {
		f()
	}
	defer func() {
		d.mu.Lock()
		q.polls--
		q.seen, q.dirty = d.now(), true
		d.mu.Unlock()
	}()
	for {
		d.mu.Lock()
		if q.poll != mine {
			q.rouse() // the wake-up may have been the newer poll's
			d.mu.Unlock()
			return nil, nil
		}
		d.mu.Unlock()
		cmds, retry, err := d.take(ctx, host.ID, q)
		if err != nil || len(cmds) > 0 {
			return cmds, err
		}
		var again <-chan time.Time
		if retry > 0 {
			t := time.NewTimer(retry)
			defer t.Stop()
			again = t.C
		}
		select {
		case <-q.wake:
		case <-again:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// acknowledge drops what the host has taken and answers what to call then.
func (q *queue) acknowledge(serial uint64, now time.Time) []func() {
	var calls []func()
	kept := q.sent[:0]
	for _, o := range q.sent {
		if o.serial > serial {
			kept = append(kept, o)
			continue
		}
		if o.Type == wire.CommandConfigure {
			q.configAt = now
		}
		if o.Taken != nil {
			calls = append(calls, o.Taken)
		}
	}
	q.sent = kept
	return calls
}

// take hands over what is due: what the host has not taken yet, in the order
// of its serials, then what waits. retry is when to look again for the former.
func (d *Dispatcher) take(ctx context.Context, host string, q *queue) (cmds []seal.SignedCommand, retry time.Duration, err error) {
	d.mu.Lock()
	now := d.now()
	var calls []func()
	if serial, args := d.config(host); serial > 0 && q.configured != serial {
		q.configured, q.configAt = serial, now
		q.dropConfiguration()
		q.waiting = append(q.waiting, Item{Type: wire.CommandConfigure, Expires: now.Add(configureLife),
			Args: func(time.Time) (json.RawMessage, error) { return args, nil }})
	}
	kept := q.sent[:0]
	for _, o := range q.sent {
		switch {
		case !now.Before(o.Expires):
			calls = append(calls, d.lose(o.Item, "the host did not take the command before it expired"))
		case o.times >= maxHandovers:
			calls = append(calls, d.lose(o.Item, "the host was handed the command several times and did not accept it; look at the host's problems"))
		default:
			kept = append(kept, o)
			retry = max(retry, o.last.Add(time.Duration(o.times-1)*2*time.Second).Sub(now))
		}
	}
	q.sent = kept
	// All or none: a later serial that overtook an earlier one would make the
	// host refuse that one for good.
	if retry <= 0 {
		for i := range q.sent {
			q.sent[i].times, q.sent[i].last = q.sent[i].times+1, now
			cmds = append(cmds, q.sent[i].bytes)
		}
	}
	waiting := len(q.waiting)
	d.mu.Unlock()
	for _, f := range calls {
		f()
	}
	if retry > 0 {
		return nil, retry, nil
	}
	if waiting == 0 {
		return cmds, 0, nil
	}
	more, err := d.signWaiting(ctx, host, q, seal.MaxCommands-len(cmds))
	return append(cmds, more...), 0, err
}

// dropConfiguration forgets configurations that a newer one replaces.
func (q *queue) dropConfiguration() {
	kept := q.waiting[:0]
	for _, it := range q.waiting {
		if it.Type != wire.CommandConfigure {
			kept = append(kept, it)
		}
	}
	q.waiting = kept
}

func (d *Dispatcher) lose(it Item, why string) func() {
	d.lost++
	if it.Lost == nil {
		return func() {}
	}
	return func() { it.Lost(why) }
}

// signWaiting signs up to n of the waiting commands.
func (d *Dispatcher) signWaiting(ctx context.Context, host string, q *queue, n int) ([]seal.SignedCommand, error) {
	d.mu.Lock()
	n = min(n, len(q.waiting))
	d.mu.Unlock()
	if n <= 0 {
		return nil, nil
	}
	if err := d.reserve(ctx, host, n); err != nil {
		return nil, err
	}
	var out []seal.SignedCommand
	var calls []func()
	d.mu.Lock()
	now := d.now()
	for n > 0 && len(q.waiting) > 0 && q.next < q.end {
		it := q.waiting[0]
		q.waiting = q.waiting[1:]
		if !now.Before(it.Expires) {
			calls = append(calls, d.lose(it, "the host did not come before the command expired"))
			continue
		}
		args, err := it.Args(now)
		if err != nil {
			calls = append(calls, d.lose(it, err.Error()))
			continue
		}
		c := wire.Command{Host: host, Serial: q.next, Nonce: nonce(), Type: it.Type, Args: args, Issued: now.UTC(), Expires: it.Expires.UTC()}
		signed, err := d.sign.SignCommand(c)
		if err != nil {
			d.log.Error("a command could not be signed", "host", host, "type", it.Type, "err", err)
			calls = append(calls, d.lose(it, "the server could not sign the command: "+err.Error()))
			continue
		}
		q.next++
		n--
		q.sent = append(q.sent, outstanding{Item: it, serial: c.Serial, bytes: signed, times: 1, last: now})
		out = append(out, signed)
		d.handed[it.Type]++
		if it.Handed != nil {
			calls = append(calls, it.Handed)
		}
	}
	d.mu.Unlock()
	for _, f := range calls {
		f()
	}
	return out, nil
}
