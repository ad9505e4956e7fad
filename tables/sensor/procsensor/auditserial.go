package procsensor

// serials finds events of the audit that never came. The kernel numbers each
// event once, for all its records, and throws records away uncounted when the
// receiver is slow for long. Events overtake each other a little, so that a
// number counts as missing only when it still is at the next look.
type serials struct {
	seen     map[uint64]struct{} // of late
	first    uint64
	highest  uint64
	count    uint64
	before   uint64
	reported uint64
}

// serialsKept bounds how far back a number is known to have been seen.
const serialsKept = 8192

func (s *serials) saw(serial uint64) {
	if s.seen == nil {
		s.seen = map[uint64]struct{}{}
		s.first, s.highest = serial, serial
	}
	if _, ok := s.seen[serial]; ok || serial < s.first {
		return
	}
	s.seen[serial] = struct{}{}
	s.count++
	s.highest = max(s.highest, serial)
	if len(s.seen) > 2*serialsKept {
		for old := range s.seen {
			if old+serialsKept < s.highest {
				delete(s.seen, old)
			}
		}
	}
}

// missing returns how many more events are missing than were told before.
func (s *serials) missing() uint64 {
	if s.count == 0 {
		return 0
	}
	missing := s.highest - s.first + 1
	missing -= min(missing, s.count)
	sure := min(missing, s.before)
	s.before = missing
	if sure <= s.reported {
		return 0
	}
	n := sure - s.reported
	s.reported = sure
	return n
}
