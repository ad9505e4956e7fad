package scheduler

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aiedr/edr/wire"
)

// rowKey is a digest of a row: its columns by name with typed values. NULL
// counts as the empty text, as in osquery.
type rowKey [16]byte

// rowKeys computes the keys of rows. The order of the columns does not matter.
func rowKeys(columns []string, rows []wire.Row) []rowKey {
	order := make([]int, len(columns))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(columns[a], columns[b]) })
	out := make([]rowKey, len(rows))
	var buf []byte
	for i, r := range rows {
		buf = buf[:0]
		for _, c := range order {
			buf = binary.AppendUvarint(buf, uint64(len(columns[c])))
			buf = append(buf, columns[c]...)
			buf = appendValue(buf, r[c].Any())
		}
		sum := sha256.Sum256(buf)
		out[i] = rowKey(sum[:16])
	}
	return out
}

func appendValue(b []byte, v any) []byte {
	text := func(kind byte, s string) []byte {
		if !utf8.ValidString(s) { // as JSON keeps it on disk
			s = string([]rune(s))
		}
		b = append(b, kind)
		b = binary.AppendUvarint(b, uint64(len(s)))
		return append(b, s...)
	}
	switch v := v.(type) {
	case int64:
		return binary.AppendVarint(append(b, 'i'), v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return text('t', "") // as JSON keeps it, which is null
		}
		return binary.BigEndian.AppendUint64(append(b, 'r'), math.Float64bits(v))
	case string:
		return text('t', v)
	case []byte:
		b = binary.AppendUvarint(append(b, 'b'), uint64(len(v)))
		return append(b, v...)
	}
	return text('t', "")
}

func countKeys(keys []rowKey) map[rowKey]int {
	m := make(map[rowKey]int, len(keys))
	for _, k := range keys {
		m[k]++
	}
	return m
}

// difference compares an answer with the former one, row by row with their
// numbers: the indexes of rows that are new, and how often each former row is
// gone.
func difference(former map[rowKey]int, keys []rowKey) (added []int, removed map[rowKey]int) {
	left := make(map[rowKey]int, len(former))
	for k, n := range former {
		left[k] = n
	}
	for i, k := range keys {
		switch n := left[k]; {
		case n > 1:
			left[k] = n - 1
		case n == 1:
			delete(left, k)
		default:
			added = append(added, i)
		}
	}
	return added, left
}

// gone picks the rows of a former answer that a difference named.
func gone(columns []string, rows []wire.Row, removed map[rowKey]int) []wire.Row {
	var out []wire.Row
	for i, k := range rowKeys(columns, rows) {
		if removed[k] > 0 {
			removed[k]--
			out = append(out, rows[i])
		}
	}
	return out
}

// align gives added and removed rows the same columns where the statement's
// changed: those of the new answer, then those that only the old one had.
func align(columns []string, added []wire.Row, former []string, removed []wire.Row) ([]string, []wire.Row, []wire.Row) {
	if len(removed) == 0 || slices.Equal(columns, former) {
		return columns, added, removed
	}
	all := slices.Clone(columns)
	to := make([]int, len(former))
	for i, c := range former {
		k := slices.Index(all, c)
		if k < 0 {
			k = len(all)
			all = append(all, c)
		}
		to[i] = k
	}
	wide := func(rows []wire.Row, at func(i int) int) []wire.Row {
		out := make([]wire.Row, len(rows))
		for i, r := range rows {
			out[i] = make(wire.Row, len(all))
			for j, v := range r {
				out[i][at(j)] = v
			}
		}
		return out
	}
	return all, wide(added, func(i int) int { return i }), wide(removed, func(i int) int { return to[i] })
}
