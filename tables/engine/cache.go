package engine

import (
	"strconv"

	"github.com/aiedr/edr/tables"
)

// cache keeps what scans of one statement have yielded. A join asks the same
// of a table again and again: for a key that repeats, such as the user of a
// process, or for the whole table where the join has no key. The machine is
// read once then, which is also what the operator means: one state of it.
//
// A scan by key is kept at once. A whole scan streams, and is kept only when
// it is asked for the second time, so that a large one that is read once
// costs no memory.
type cache struct {
	kept  map[string]keep
	asked map[string]bool
	bytes int
}

// keepBytes bounds what one statement keeps.
const keepBytes = 16 << 20

// keep is the whole answer of a scan.
type keep struct {
	batches []tables.Batch
	bytes   int
}

func batchBytes(b tables.Batch) int { return 64 + 16*cap(b.Cells) + cap(b.Arena) }

func keepOf(batches []tables.Batch) keep {
	k := keep{batches: batches}
	for _, b := range batches {
		k.bytes += batchBytes(b)
	}
	return k
}

// add takes a batch; false if the answer is too large to be kept.
func (k *keep) add(b tables.Batch) bool {
	k.bytes += batchBytes(b)
	k.batches = append(k.batches, b)
	return k.bytes <= keepBytes
}

func (c *cache) get(key string) (keep, bool) {
	k, ok := c.kept[key]
	return k, ok
}

func (c *cache) put(key string, k keep) {
	size := k.bytes + 2*len(key) + 64
	if c.bytes+size > keepBytes {
		return
	}
	if c.kept == nil {
		c.kept = map[string]keep{}
	}
	c.bytes += size
	c.kept[key] = k
}

// again says whether a whole scan was asked for before.
func (c *cache) again(key string) bool {
	if c.asked[key] {
		return true
	}
	if c.asked == nil {
		c.asked = map[string]bool{}
	}
	if len(c.asked) < 10_000 {
		c.asked[key] = true
	}
	return false
}

// cacheKey is all that a scan is asked. Texts go with their lengths, so that
// no two questions have the same key.
func cacheKey(t *table, cols []int, cons []tables.Constraint) string {
	b := append(make([]byte, 0, 64), t.name...)
	for _, c := range cols {
		b = strconv.AppendInt(append(b, ' '), int64(c), 10)
	}
	for _, k := range cons {
		b = append(b, '|')
		b = append(b, k.Column...)
		b = append(b, ' ', '0'+byte(k.Op))
		for _, v := range k.Values {
			switch v := v.(type) {
			case nil:
				b = append(b, 'n')
			case int64:
				b = strconv.AppendInt(append(b, 'i'), v, 10)
			case float64:
				b = strconv.AppendFloat(append(b, 'f'), v, 'x', -1, 64)
			case string:
				b = strconv.AppendInt(append(b, 't'), int64(len(v)), 10)
				b = append(append(b, ':'), v...)
			case []byte:
				b = strconv.AppendInt(append(b, 'b'), int64(len(v)), 10)
				b = append(append(b, ':'), v...)
			}
		}
	}
	return string(b)
}
