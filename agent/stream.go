package agent

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/event"
)

// recorded is the event log as the detector reads it.
type recorded interface {
	Read(ctx context.Context, q tables.EventQuery) iter.Seq2[tables.Event, error]
	LastID() uint64
}

// stream gives a detector every recorded event: those that it has not seen
// since the last run, then the live ones, and what a slow moment made it miss
// again from the log. How far it has come is kept on disk.
type stream struct {
	d     *detector
	log   recorded
	path  string // state file
	first uint64 // where a first run begins: the log's end before the sensors start
	seen  uint64 // all events up to it were matched
	saved uint64
}

type streamState struct {
	Seen uint64 `json:"seen"`
}

// saveEvery is how often the position is written: what lies between is matched
// again after a crash, and hits have the same ids again.
const saveEvery = time.Second

// resume begins where the last run ended, a first run at first. It needs the
// rules, since it matches at once what was recorded since.
func (s *stream) resume(ctx context.Context) {
	var st streamState
	found, err := readState(s.path, &st, s.d.now())
	if err != nil {
		s.d.tell("rules", err)
	}
	last := s.log.LastID()
	s.seen = s.first
	if found && st.Seen <= last {
		s.seen = st.Seen
	}
	s.replay(ctx, last)
}

// replay matches what the log has between seen and upTo.
func (s *stream) replay(ctx context.Context, upTo uint64) {
	if upTo <= s.seen {
		return
	}
	var ev rule.Event
	for _, t := range event.Tables() {
		n := 0
		for rec, err := range s.log.Read(ctx, tables.EventQuery{Table: t.Name, After: s.seen, UpTo: upTo}) {
			if err == nil {
				var e event.Event
				if e, err = event.Decode(t.Name, rec); err == nil {
					s.d.one(ctx, &ev, e)
				}
			}
			if n++; n%256 == 0 {
				if s.d.pace(ctx) != nil {
					return
				}
			}
			var gap *tables.GapError
			if err != nil && !errors.As(err, &gap) {
				s.d.tell("rules on recorded "+t.Name, err)
			}
		}
	}
	s.seen = upTo
}

// run matches live batches until the channel closes or the context ends.
func (s *stream) run(ctx context.Context, batches <-chan []event.Event) {
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	defer s.save()
	defer s.d.acting.Wait()
	defer s.d.flush(true)
	var ev rule.Event
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.d.flush(false)
			s.save()
		case batch, ok := <-batches:
			if !ok {
				return
			}
			for _, e := range batch {
				id := e.Head().ID()
				if id != 0 && id <= s.seen {
					continue // matched from the log already
				}
				if id > s.seen+1 {
					s.replay(ctx, id-1)
				}
				s.d.one(ctx, &ev, e)
				s.seen = max(s.seen, id)
			}
			if err := s.d.pace(ctx); err != nil {
				return
			}
		}
	}
}

// save notes the position, unless a hit before it is not in the outbox yet.
func (s *stream) save() {
	if s.seen == s.saved || !s.d.idle() {
		return
	}
	if err := writeState(s.path, streamState{s.seen}); err != nil {
		s.d.tell("rules", err)
		return
	}
	s.saved = s.seen
}
