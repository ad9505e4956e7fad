package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A segment is a header and frames. Integers are big-endian, checksums CRC-32C.
//
//	header: "EDROUT1\n", u8 length of the outbox id, the id, u64 number of the
//	        first record, u32 checksum of all before
//	frame:  u32 length of the record, u64 number, u32 checksum of length,
//	        number and record, the record's JSON
const (
	segmentMagic = "EDROUT1\n"
	frameHead    = 16
	maxRecord    = 4<<20 - 64<<10 // within what the wire takes in one record
	maxID        = 64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// What a scan may meet. A torn end is what a crash leaves: a part of the last
// frame, or zeros where the file grew before its data came.
var (
	errTorn    = errors.New("the file ends within a frame")
	errCorrupt = errors.New("the bytes do not match their checksum")
)

func appendHeader(b []byte, id string, first uint64) []byte {
	at := len(b)
	b = append(b, segmentMagic...)
	b = append(b, byte(len(id)))
	b = append(b, id...)
	b = binary.BigEndian.AppendUint64(b, first)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

func headerLen(id string) int { return len(segmentMagic) + 1 + len(id) + 8 + 4 }

// readHeader reads a segment's header and returns the bytes it takes.
func readHeader(b []byte) (id string, first uint64, n int, err error) {
	if len(b) < len(segmentMagic)+1 {
		return "", 0, 0, errTorn
	}
	if string(b[:len(segmentMagic)]) != segmentMagic {
		return "", 0, 0, fmt.Errorf("it does not begin as a segment does: %w", errCorrupt)
	}
	l := int(b[len(segmentMagic)])
	if l == 0 || l > maxID {
		return "", 0, 0, fmt.Errorf("its outbox id has %d bytes: %w", l, errCorrupt)
	}
	at := len(segmentMagic) + 1
	n = at + l + 12
	if len(b) < n {
		return "", 0, 0, errTorn
	}
	if binary.BigEndian.Uint32(b[n-4:n]) != crc32.Checksum(b[:n-4], castagnoli) {
		return "", 0, 0, fmt.Errorf("its header: %w", errCorrupt)
	}
	first = binary.BigEndian.Uint64(b[at+l:])
	if first == 0 {
		return "", 0, 0, fmt.Errorf("its first number is 0: %w", errCorrupt)
	}
	return string(b[at : at+l]), first, n, nil
}

func appendFrame(b []byte, number uint64, record []byte) []byte {
	var head [frameHead]byte
	binary.BigEndian.PutUint32(head[0:], uint32(len(record)))
	binary.BigEndian.PutUint64(head[4:], number)
	sum := crc32.Update(crc32.Checksum(head[:12], castagnoli), castagnoli, record)
	binary.BigEndian.PutUint32(head[12:], sum)
	return append(append(b, head[:]...), record...)
}

// readFrame reads the frame at the front of b and returns the bytes it takes.
func readFrame(b []byte) (number uint64, record []byte, n int, err error) {
	if len(b) < frameHead {
		return 0, nil, 0, errTorn
	}
	l := int64(binary.BigEndian.Uint32(b))
	number = binary.BigEndian.Uint64(b[4:])
	if l == 0 || l > maxRecord || number == 0 {
		if allZero(b) {
			return 0, nil, 0, errTorn
		}
		return 0, nil, 0, fmt.Errorf("a frame of %d bytes: %w", l, errCorrupt)
	}
	if int64(len(b)) < frameHead+l {
		return 0, nil, 0, errTorn
	}
	n = frameHead + int(l)
	record = b[frameHead:n]
	sum := crc32.Update(crc32.Checksum(b[:12], castagnoli), castagnoli, record)
	if binary.BigEndian.Uint32(b[12:]) != sum {
		return 0, nil, 0, fmt.Errorf("record %d: %w", number, errCorrupt)
	}
	return number, record, n, nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// frame is where a record stands.
type frame struct {
	number uint64
	record []byte
}

// scanned is what a segment holds.
type scanned struct {
	id     string
	first  uint64
	next   uint64 // number after the last good frame
	good   int64  // bytes up to the end of the last good frame
	frames []frame
}

// scanSegment reads a whole segment. On an error the frames before it stand.
func scanSegment(b []byte) (s scanned, err error) {
	id, first, n, err := readHeader(b)
	if err != nil {
		return s, err
	}
	s = scanned{id: id, first: first, next: first, good: int64(n)}
	for b = b[n:]; len(b) > 0; b = b[n:] {
		var number uint64
		var record []byte
		if number, record, n, err = readFrame(b); err != nil {
			return s, err
		}
		if number != s.next {
			return s, fmt.Errorf("record %d stands where %d is due: %w", number, s.next, errCorrupt)
		}
		s.frames = append(s.frames, frame{number, record})
		s.next++
		s.good += int64(n)
	}
	return s, nil
}
