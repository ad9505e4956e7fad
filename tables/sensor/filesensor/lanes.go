package filesensor

import (
	"strings"
	"time"
)

// lanes are the files that wait to be hashed, by the top folder that they are
// in and served in turn, so that a storm in /tmp does not keep what changes in
// /etc from being hashed.
type lanes struct {
	max   int // in one lane
	all   []*lane
	turn  int
	known map[string]*lane
}

type lane struct {
	waiting []*held
	spare   spare
}

func topOf(path string) string {
	top, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return top
}

// put says whether there was room.
func (l *lanes) put(h *held) bool {
	top := topOf(h.e.TargetPath)
	one := l.known[top]
	if one == nil {
		if l.known == nil {
			l.known = map[string]*lane{}
		}
		one = &lane{}
		l.known[top] = one
		l.all = append(l.all, one)
	}
	if len(one.waiting) >= l.max {
		return false
	}
	h.t.spare = &one.spare
	one.waiting = append(one.waiting, h)
	return true
}

// next takes the next file that is still of use, or nil.
func (l *lanes) next() *held {
	for range l.all {
		l.turn = (l.turn + 1) % len(l.all)
		one := l.all[l.turn]
		for len(one.waiting) > 0 {
			h := one.waiting[0]
			one.waiting[0] = nil
			if one.waiting = one.waiting[1:]; len(one.waiting) == 0 {
				one.waiting = nil
			}
			if !h.done { // else it could not wait
				return h
			}
		}
	}
	return nil
}

// What may be hashed although the CPU limit is reached: few small files of
// each lane, so that what matters is not lost in a storm elsewhere.
const (
	spareSize  = 256 << 10 // bytes
	spareEvery = 500 * time.Millisecond
)

// spare is when a lane may exceed the CPU limit again.
type spare struct{ next time.Time }

func (s *spare) take(size int64, now time.Time) bool {
	if s == nil || size > spareSize || now.Before(s.next) {
		return false
	}
	s.next = now.Add(spareEvery)
	return true
}
