package rule

import "sync/atomic"

// Set is rules by the events that they look at. It does not change once made
// and may be used by any number of goroutines.
type Set struct {
	rules  []*Rule
	byType map[Type][]*Rule
	failed atomic.Uint64
}

// NewSet gathers the enabled rules that run on an operating system, as Go
// names it; an empty goos takes them all.
func NewSet(rules []*Rule, goos string) *Set {
	s := &Set{byType: map[Type][]*Rule{}}
	for _, r := range rules {
		if !r.Enabled || (goos != "" && !r.Runs(goos)) {
			continue
		}
		s.rules = append(s.rules, r)
		t := r.Type
		if t == TypeAttack {
			t = TypeProcess
		}
		s.byType[t] = append(s.byType[t], r)
	}
	return s
}

// Rules lists the rules of the set.
func (s *Set) Rules() []*Rule { return s.rules }

// Needs says whether any rule looks at events of a type.
func (s *Set) Needs(t Type) bool { return len(s.byType[t]) > 0 }

// Match calls hit for each rule that the event fulfils.
func (s *Set) Match(ev *Event, hit func(*Rule)) {
	rules := s.byType[ev.Type]
	if len(rules) == 0 {
		return
	}
	ev.Prepare()
	for _, r := range rules {
		ok, err := run(r.program, ev)
		if err != nil {
			s.failed.Add(1)
			continue
		}
		if ok {
			hit(r)
		}
	}
}

// Failed counts evaluations that ended in an internal error; it stays 0.
func (s *Set) Failed() uint64 { return s.failed.Load() }

// Match says whether the rule's conditions hold for the event, whatever its type.
func (r *Rule) Match(ev *Event) bool {
	ev.Prepare()
	ok, err := run(r.program, ev)
	return ok && err == nil
}
