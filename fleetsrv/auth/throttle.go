package auth

import (
	"sync"
	"time"
)

// The slowing of guesses: after free failures of a user or an address each
// further one doubles the wait, up to maxWait. A quiet time forgets them.
const (
	freeUser    = 5
	freeAddress = 20
	maxWait     = 5 * time.Minute
	forgetAfter = 15 * time.Minute
	maxTracked  = 20000
)

type failures struct {
	count int
	last  time.Time
}

// Throttle slows the guessing of passwords by user and by address.
type Throttle struct {
	now  func() time.Time
	mu   sync.Mutex
	seen map[string]failures
}

// NewThrottle makes a Throttle with a clock.
func NewThrottle(now func() time.Time) *Throttle {
	return &Throttle{now: now, seen: map[string]failures{}}
}

func keys(user, address string) [2]string { return [2]string{"u" + user, "a" + address} }

func wait(key string, f failures) time.Duration {
	free := freeUser
	if key[0] == 'a' {
		free = freeAddress
	}
	over := f.count - free
	if over < 0 {
		return 0
	}
	if over > 10 {
		return maxWait
	}
	return min(time.Second<<over, maxWait)
}

// Begin says how long a login must still wait, 0 if it may be tried. A login
// that may be tried counts as failed until Succeed, so that many at once do
// not get past.
func (t *Throttle) Begin(user, address string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	var longest time.Duration
	for _, k := range keys(user, address) {
		f, ok := t.seen[k]
		if ok && now.Sub(f.last) > forgetAfter {
			delete(t.seen, k)
			continue
		}
		if ok {
			longest = max(longest, f.last.Add(wait(k, f)).Sub(now))
		}
	}
	if longest > 0 {
		return longest
	}
	t.makeRoom(now)
	for _, k := range keys(user, address) {
		f := t.seen[k]
		t.seen[k] = failures{count: f.count + 1, last: now}
	}
	return 0
}

// Succeed forgets the failures of the user, and takes back the one that Begin
// counted against the address.
func (t *Throttle) Succeed(user, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := keys(user, address)
	delete(t.seen, k[0])
	if f, ok := t.seen[k[1]]; ok {
		if f.count--; f.count <= 0 {
			delete(t.seen, k[1])
		} else {
			t.seen[k[1]] = f
		}
	}
}

// makeRoom keeps the memory bounded: it drops what is old, then anything, a
// quarter at once so that a flood of names does not walk all of it each time.
func (t *Throttle) makeRoom(now time.Time) {
	if len(t.seen) < maxTracked {
		return
	}
	for k, f := range t.seen {
		if now.Sub(f.last) > forgetAfter {
			delete(t.seen, k)
		}
	}
	for k := range t.seen {
		if len(t.seen) < maxTracked/4*3 {
			return
		}
		delete(t.seen, k)
	}
}
