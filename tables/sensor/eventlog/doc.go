// Package eventlog keeps the host's events on disk, bounded by size and age,
// and lets queries read them while they are written.
//
// A log is a directory of segments, files that are only ever appended to and
// removed whole, the oldest first. A segment is named after the number of its
// first event and holds blocks: a header with the block's numbers, times and
// tables, and a payload of records, usually compressed. The headers are the
// index; a read touches only the payloads of blocks that can hold what it
// wants. Header and payload each carry a CRC-32C.
//
// Events are first kept in memory, where reads see them at once, and written
// and synced together, each second at the latest: a crash loses at most that.
// At the next start a torn end is cut off and a gap is recorded. Numbers are
// reserved ahead in a file of their own, so that none is given out twice.
package eventlog
