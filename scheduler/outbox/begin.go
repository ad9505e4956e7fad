package outbox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aiedr/edr/wire"
)

// begin makes a new life of the outbox, with what can still be read of the
// former one, under new numbers. spoiled tells what was wrong with that.
//
// The new life counts from the moment in which currentFile names it. What a
// crash before leaves is removed when the outbox is opened again.
func (b *Outbox) begin(old *reading, spoiled []string) error {
	id, err := newID(b.o.Now())
	if err != nil {
		return err
	}
	dir := filepath.Join(b.o.Dir, lifePrefix+id)
	if err := b.disk.mkdir(dir); err != nil {
		return err
	}
	seg, f, err := b.newSegment(dir, id, 1)
	if err != nil {
		return err
	}
	b.id, b.dir, b.segments, b.file = id, dir, []segment{seg}, f
	b.at = int64(headerLen(id))
	if len(spoiled) > 0 {
		if err := b.carryOver(old, spoiled); err != nil {
			return err
		}
	}
	if err := b.disk.sync(b.file); err != nil {
		return err
	}
	b.synced = b.segments[len(b.segments)-1].next - 1
	if err := b.disk.syncDir(b.o.Dir); err != nil {
		return err
	}
	if err := b.disk.replace(filepath.Join(b.o.Dir, currentFile), []byte(id+"\n"), true); err != nil {
		return err
	}
	b.bound()
	return b.removeOtherLives(id)
}

// carryOver says what was lost, and adds what was not.
func (b *Outbox) carryOver(old *reading, spoiled []string) error {
	var count uint64
	if old != nil {
		for _, s := range old.segments {
			n, err := b.copyFrom(s, old.acked)
			if err != nil {
				return err
			}
			count += n
		}
		b.stats.Dropped += old.lost
		what := "the outbox " + old.id + " ended"
		if n := len(old.segments); n > 0 && old.openEnd {
			what += fmt.Sprintf("; if it had records from %d on they are lost", old.segments[n-1].next)
		}
		spoiled = append(spoiled, fmt.Sprintf("%s; %d records of it are sent again in outbox %s", what, count, b.id))
	}
	now := b.o.Now()
	text := strings.Join(spoiled, "; ")
	b.o.Log.Error("the outbox was damaged", "what", text)
	body, err := json.Marshal(wire.Problem{Time: now.UTC(), Source: "outbox", Error: text, Count: 1})
	if err != nil {
		return err
	}
	_, err = b.append(wire.KindProblem, body, now)
	return err
}

// copyFrom adds the records of a former segment that are not acknowledged. Its
// gap records told of numbers that mean nothing now.
func (b *Outbox) copyFrom(s segment, acked uint64) (n uint64, err error) {
	text, err := os.ReadFile(s.path)
	if err != nil {
		return 0, err
	}
	got, _ := scanSegment(text) // what is wrong with it is known
	for _, f := range got.frames {
		var rec wire.Record
		if f.number <= acked || json.Unmarshal(f.record, &rec) != nil || rec.Kind == wire.KindGap {
			continue
		}
		if _, err := b.append(rec.Kind, rec.Body, rec.Time); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
