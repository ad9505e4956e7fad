package tables

import (
	"errors"
	"io"
	"sync"
	"time"
)

// ErrNotKept is what Kept.Get answers where nothing is kept between scans.
var ErrNotKept = errors.New("nothing is kept from one scan to the next here")

// keptRetry is how long a failure to make something is remembered.
const keptRetry = time.Hour

// Kept holds what is dear to make and serves one scan after another, such as a
// program loaded into the kernel. It belongs to a Host that lives long. A nil
// Kept keeps nothing.
type Kept struct {
	mu     sync.Mutex
	things map[string]*kept
	closed bool
}

type kept struct {
	mu    sync.Mutex // held while it is made
	thing io.Closer
	err   error
	until time.Time // of err
}

// Get is the thing of a name. The first call makes it; a failure is answered
// to all for an hour before it is tried again.
func (k *Kept) Get(name string, make func() (io.Closer, error)) (io.Closer, error) {
	if k == nil {
		return nil, ErrNotKept
	}
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return nil, ErrNotKept
	}
	if k.things == nil {
		k.things = map[string]*kept{}
	}
	one := k.things[name]
	if one == nil {
		one = &kept{}
		k.things[name] = one
	}
	k.mu.Unlock()
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.thing == nil && time.Now().After(one.until) {
		if one.thing, one.err = make(); one.err != nil {
			one.thing, one.until = nil, time.Now().Add(keptRetry)
		}
	}
	return one.thing, one.err
}

// Close closes all that is kept; Get answers ErrNotKept from then on.
func (k *Kept) Close() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	var errs []error
	for _, one := range k.things {
		one.mu.Lock()
		if one.thing != nil {
			errs = append(errs, one.thing.Close())
		}
		one.thing, one.err, one.until = nil, ErrNotKept, time.Now().Add(keptRetry)
		one.mu.Unlock()
	}
	return errors.Join(errs...)
}
