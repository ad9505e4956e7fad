package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/aiedr/edr/tables"
)

// A block's header, little-endian:
//
//	 0 magic u32      "EDRB"
//	 4 flags u32      1: payload is zstd; 2: a gap; 4 with it: of a sensor
//	 8 stored u32     bytes of the payload as stored
//	12 raw u32        bytes of the payload uncompressed
//	16 count u32      records
//	20 crc u32        CRC-32C of the payload as stored
//	24 tables u64     bit n: holds events of the table with code n
//	32 firstID u64    40 lastID u64
//	48 minTime i64    56 maxTime i64   nanoseconds since the Unix epoch
//	64 crc u32        CRC-32C of bytes 0 to 63
//
// A record of the payload: the table's code (one byte), the number and the
// time as differences to the record before (uvarint, varint; the first: to
// firstID and minTime), the length of its data (uvarint), the data as
// tables/event encodes it.
//
// A gap has no records: it says that the events of its numbers, tables and
// times are missing; its payload is the reason. The gap of a sensor has one
// number of its own, since what was lost never had any.
const (
	headerSize = 68
	blockMagic = 0x42524445 // "EDRB"

	flagZstd = 1
	flagGap  = 2
	flagLoss = 4

	// maxPayload bounds what a damaged header can make a reader allocate.
	maxPayload = 8 << 20
	// maxRecord bounds one event.
	maxRecord = 4 << 20
	// blockRaw is how large a block grows before the next begins.
	blockRaw = 128 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("block is damaged")

// block is the header of a block, and its place.
type block struct {
	flags            uint32
	stored, raw      uint32
	count            uint32
	crc              uint32
	tables           uint64
	firstID, lastID  uint64
	minTime, maxTime int64
	at               int64 // offset of the header in the segment
}

func (b *block) gap() bool { return b.flags&flagGap != 0 }

func (b *block) size() int64 { return headerSize + int64(b.stored) }

func (b *block) appendHeader(dst []byte) []byte {
	start := len(dst)
	le := binary.LittleEndian
	for _, v := range []uint32{blockMagic, b.flags, b.stored, b.raw, b.count, b.crc} {
		dst = le.AppendUint32(dst, v)
	}
	for _, v := range []uint64{b.tables, b.firstID, b.lastID, uint64(b.minTime), uint64(b.maxTime)} {
		dst = le.AppendUint64(dst, v)
	}
	return le.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// parseHeader reads a header; an error wraps errDamaged.
func parseHeader(p []byte) (block, error) {
	le := binary.LittleEndian
	if len(p) < headerSize {
		return block{}, fmt.Errorf("header cut off: %w", errDamaged)
	}
	if le.Uint32(p) != blockMagic {
		return block{}, fmt.Errorf("no block begins here: %w", errDamaged)
	}
	if crc32.Checksum(p[:headerSize-4], castagnoli) != le.Uint32(p[headerSize-4:]) {
		return block{}, fmt.Errorf("checksum of the header does not fit: %w", errDamaged)
	}
	b := block{
		flags: le.Uint32(p[4:]), stored: le.Uint32(p[8:]), raw: le.Uint32(p[12:]),
		count: le.Uint32(p[16:]), crc: le.Uint32(p[20:]), tables: le.Uint64(p[24:]),
		firstID: le.Uint64(p[32:]), lastID: le.Uint64(p[40:]),
		minTime: int64(le.Uint64(p[48:])), maxTime: int64(le.Uint64(p[56:])),
	}
	if b.stored > maxPayload || b.raw > maxPayload || b.firstID > b.lastID || b.minTime > b.maxTime {
		return block{}, fmt.Errorf("header contradicts itself: %w", errDamaged)
	}
	return b, nil
}

// record is an event on its way to the disk, with its table's code.
type record struct {
	tables.Event
	code uint8
}

func (r *record) size() int { return len(r.Data) + 72 }

// encodeBlock makes one block of records, which are in order of their numbers.
func encodeBlock(dst []byte, recs []record, enc *zstd.Encoder) ([]byte, block) {
	b := block{
		count: uint32(len(recs)), firstID: recs[0].ID, lastID: recs[len(recs)-1].ID,
		minTime: recs[0].Time.UnixNano(), maxTime: recs[0].Time.UnixNano(),
	}
	for i := range recs {
		t := recs[i].Time.UnixNano()
		b.minTime, b.maxTime = min(b.minTime, t), max(b.maxTime, t)
		b.tables |= 1 << recs[i].code
	}
	var raw []byte
	id, at := b.firstID, b.minTime
	for i := range recs {
		r := &recs[i]
		t := r.Time.UnixNano()
		raw = append(raw, r.code)
		raw = binary.AppendUvarint(raw, r.ID-id)
		raw = binary.AppendVarint(raw, t-at)
		raw = binary.AppendUvarint(raw, uint64(len(r.Data)))
		raw = append(raw, r.Data...)
		id, at = r.ID, t
	}
	b.raw = uint32(len(raw))
	payload := enc.EncodeAll(raw, nil)
	if len(payload) < len(raw) {
		b.flags = flagZstd
	} else {
		payload = raw
	}
	return seal(dst, b, payload)
}

// encodeGap makes a block that says what is missing and why.
func encodeGap(dst []byte, g gap) ([]byte, block) {
	flags := uint32(flagGap)
	if g.loss {
		flags |= flagLoss
	}
	return seal(dst, block{
		flags: flags, raw: uint32(len(g.reason)), tables: g.tables,
		firstID: g.firstID, lastID: g.lastID, minTime: g.minTime, maxTime: max(g.minTime, g.maxTime),
	}, []byte(g.reason))
}

func seal(dst []byte, b block, payload []byte) ([]byte, block) {
	b.stored = uint32(len(payload))
	b.crc = crc32.Checksum(payload, castagnoli)
	dst = b.appendHeader(dst)
	return append(dst, payload...), b
}

// open checks a payload as stored and uncompresses it.
func (b *block) open(payload []byte, dec *zstd.Decoder) ([]byte, error) {
	if len(payload) != int(b.stored) {
		return nil, fmt.Errorf("payload cut off: %w", errDamaged)
	}
	if crc32.Checksum(payload, castagnoli) != b.crc {
		return nil, fmt.Errorf("checksum of the payload does not fit: %w", errDamaged)
	}
	if b.flags&flagZstd == 0 {
		return payload, nil
	}
	raw, err := dec.DecodeAll(payload, make([]byte, 0, b.raw))
	if err != nil || len(raw) != int(b.raw) {
		return nil, fmt.Errorf("payload does not uncompress: %w", errDamaged)
	}
	return raw, nil
}

// records walks the records of an opened payload. It stops with an error at
// the first that is damaged; visit returns false to stop early. Data lies in raw.
func (b *block) records(raw []byte, visit func(record) bool) error {
	id, at := b.firstID, b.minTime
	for n := range b.count {
		bad := func(what string) error {
			return fmt.Errorf("record %d of %d: %s: %w", n+1, b.count, what, errDamaged)
		}
		if len(raw) == 0 {
			return bad("missing")
		}
		r := record{code: raw[0]}
		raw = raw[1:]
		dID, l := binary.Uvarint(raw)
		if l <= 0 || dID > b.lastID-id {
			return bad("number")
		}
		raw = raw[l:]
		dt, l := binary.Varint(raw)
		if l <= 0 {
			return bad("time")
		}
		raw = raw[l:]
		size, l := binary.Uvarint(raw)
		if l <= 0 || size > uint64(len(raw)-l) {
			return bad("length")
		}
		id, at = id+dID, at+dt
		r.ID, r.Time = id, time.Unix(0, at)
		r.Data = raw[l : l+int(size) : l+int(size)]
		raw = raw[l+int(size):]
		if !visit(r) {
			return nil
		}
	}
	if len(raw) != 0 {
		return fmt.Errorf("%d bytes after the last record: %w", len(raw), errDamaged)
	}
	return nil
}
