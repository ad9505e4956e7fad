package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/event"
)

// want is a tables.EventQuery made ready for comparing.
type want struct {
	code        uint8
	from, to    int64
	after, upTo uint64
}

func newWant(q tables.EventQuery) (w want, err error) {
	code, ok := event.Code(q.Table)
	if !ok {
		return w, fmt.Errorf("read event log: %q is no event table", q.Table)
	}
	w = want{code: code, from: math.MinInt64, to: math.MaxInt64, after: q.After, upTo: math.MaxUint64}
	if !q.From.IsZero() {
		w.from = q.From.UnixNano()
	}
	if !q.To.IsZero() {
		w.to = q.To.UnixNano()
	}
	if q.UpTo != 0 {
		w.upTo = q.UpTo
	}
	return w, nil
}

// may says whether something with these bounds can hold what is wanted.
func (w *want) may(set uint64, firstID, lastID uint64, minTime, maxTime int64) bool {
	return set&(1<<w.code) != 0 && lastID > w.after && firstID <= w.upTo && maxTime >= w.from && minTime <= w.to
}

func (w *want) is(r *record) bool {
	t := r.Time.UnixNano()
	return r.code == w.code && r.ID > w.after && r.ID <= w.upTo && t >= w.from && t <= w.to
}

// view is the log as it was at one moment.
type view struct {
	segments []*segment
	blocks   [][]block
	memory   [2][]record
	gaps     []gap
}

func (l *Log) view(w *want) (*view, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed && l.segments == nil {
		return nil, fmt.Errorf("read event log %s: %w", l.o.Dir, fs.ErrClosed)
	}
	v := &view{memory: [2][]record{l.flushing, l.pending}, gaps: append([]gap(nil), l.gaps...)}
	for _, s := range l.segments {
		if len(s.blocks) == 0 || !w.may(s.tables, s.blocks[0].firstID, s.lastID, s.minTime, s.maxTime) {
			continue
		}
		s.retain()
		v.segments = append(v.segments, s)
		v.blocks = append(v.blocks, s.blocks[:len(s.blocks):len(s.blocks)])
	}
	return v, nil
}

// Read implements tables.EventLog. It sees every event appended before it was
// called, on disk or not, and no later one; writing goes on meanwhile. Parts
// that cannot be read are yielded as *tables.GapError, and the read goes on.
func (l *Log) Read(ctx context.Context, q tables.EventQuery) iter.Seq2[tables.Event, error] {
	return func(yield func(tables.Event, error) bool) {
		w, err := newWant(q)
		if err != nil {
			yield(tables.Event{}, err)
			return
		}
		v, err := l.view(&w)
		if err != nil {
			yield(tables.Event{}, err)
			return
		}
		defer func() {
			for _, s := range v.segments {
				s.release()
			}
		}()
		for i, s := range v.segments {
			for j := range v.blocks[i] {
				b := &v.blocks[i][j]
				if !w.may(b.tables, b.firstID, b.lastID, b.minTime, b.maxTime) {
					continue
				}
				if err := ctx.Err(); err != nil {
					yield(tables.Event{}, err)
					return
				}
				if !l.readBlock(s, b, &w, yield) {
					return
				}
			}
		}
		for _, g := range v.gaps {
			if w.may(g.tables, g.firstID, g.lastID, g.minTime, g.maxTime) &&
				!yield(tables.Event{}, g.asError()) {
				return
			}
		}
		for _, recs := range v.memory {
			for i := range recs {
				if w.is(&recs[i]) && !yield(recs[i].Event, nil) {
					return
				}
			}
		}
	}
}

// readBlock yields what is wanted of one block and says whether to go on.
func (l *Log) readBlock(s *segment, b *block, w *want, yield func(tables.Event, error) bool) bool {
	miss := func(reason string) bool {
		return yield(tables.Event{}, &tables.GapError{FromID: b.firstID, ToID: b.lastID, Reason: reason})
	}
	if b.at < 0 {
		return miss(fmt.Sprintf("%s is damaged there", s.path))
	}
	raw, err := s.payload(b, l.dec)
	if err != nil {
		l.noteDamaged(s, b, err)
		return miss(fmt.Sprintf("%s at %d: %v", s.path, b.at, err))
	}
	if b.gap() {
		g := gap{firstID: b.firstID, lastID: b.lastID, reason: string(raw), loss: b.flags&flagLoss != 0}
		return yield(tables.Event{}, g.asError())
	}
	goOn := true
	last := b.firstID - 1
	err = b.records(raw, func(r record) bool {
		last = r.ID
		if w.is(&r) {
			goOn = yield(r.Event, nil)
		}
		return goOn
	})
	if goOn && errors.Is(err, errDamaged) {
		l.noteDamaged(s, b, err)
		return yield(tables.Event{}, &tables.GapError{
			FromID: min(last+1, b.lastID), ToID: b.lastID, Reason: fmt.Sprintf("%s at %d: %v", s.path, b.at, err)})
	}
	return goOn
}

// noteDamaged counts a block once and tells of it once.
func (l *Log) noteDamaged(s *segment, b *block, err error) {
	l.mu.Lock()
	key := blockKey{s.firstID, b.at}
	known := l.damaged[key]
	if !known && len(l.damaged) < 1<<16 {
		l.damaged[key] = true
		l.stats.DamagedBlocks++
	}
	l.mu.Unlock()
	if !known {
		l.o.Logger.Error("event log: a block cannot be read; the others can", "segment", s.path, "at", b.at,
			"first_id", b.firstID, "last_id", b.lastID, "err", err)
	}
}
