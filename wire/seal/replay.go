package seal

import (
	"crypto/sha256"
	"sync"
)

// replayCache remembers the last openings, so that a replayed one costs no
// private-key operation. A replay that it has forgotten opens a session that
// nobody can use and that displaces none.
type replayCache struct {
	mu   sync.Mutex
	set  map[[32]byte]struct{}
	ring [][32]byte
	next int
}

func newReplayCache(size int) *replayCache {
	return &replayCache{set: map[[32]byte]struct{}{}, ring: make([][32]byte, 0, min(size, 64)), next: -size}
}

func (c *replayCache) had(b []byte) bool {
	sum := sha256.Sum256(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.set[sum]
	return ok
}

// add remembers b and says whether it is new.
func (c *replayCache) add(b []byte) bool {
	sum := sha256.Sum256(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.set[sum]; ok {
		return false
	}
	c.set[sum] = struct{}{}
	if c.next < 0 { // still filling
		c.ring = append(c.ring, sum)
		c.next++
		return true
	}
	delete(c.set, c.ring[c.next])
	c.ring[c.next] = sum
	c.next = (c.next + 1) % len(c.ring)
	return true
}
