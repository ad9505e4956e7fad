package eventlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A segment begins with these bytes and the number in its name.
const (
	segmentMagic  = "EDRLOG\x00\x01"
	segmentHeader = 16
	segmentSuffix = ".log"
)

// segment is one file of the log. Everything but refs is guarded by the log's
// mutex; blocks is only appended to, so that a reader's copy of the slice stays
// good.
type segment struct {
	f       *os.File
	path    string
	firstID uint64
	size    int64
	blocks  []block
	lastID  uint64
	minTime int64
	maxTime int64
	tables  uint64
	events  uint64
	created time.Time
	cut     bool         // its end was torn, and it is not the newest
	refs    atomic.Int32 // the log's own and one for each reader
	// unused runs when the last of them lets go; nil does nothing.
	unused atomic.Pointer[func()]
}

func segmentName(firstID uint64) string { return fmt.Sprintf("%020d%s", firstID, segmentSuffix) }

// segmentID is the number in a segment's name.
func segmentID(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	return id, err == nil
}

func createSegment(dir string, firstID uint64) (*segment, error) {
	path := filepath.Join(dir, segmentName(firstID))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	head := binary.LittleEndian.AppendUint64([]byte(segmentMagic), firstID)
	if _, err := f.Write(head); err != nil {
		f.Close()
		os.Remove(path)
		return nil, err
	}
	s := &segment{f: f, path: path, firstID: firstID, size: segmentHeader}
	s.refs.Store(1)
	return s, nil
}

func (s *segment) retain() { s.refs.Add(1) }

func (s *segment) release() {
	if s.refs.Add(-1) == 0 {
		s.f.Close() // read-only from here on: nothing to lose
		if f := s.unused.Load(); f != nil {
			(*f)()
		}
	}
}

func (s *segment) add(b block) {
	if len(s.blocks) == 0 {
		s.minTime, s.maxTime = b.minTime, b.maxTime
	}
	s.minTime, s.maxTime = min(s.minTime, b.minTime), max(s.maxTime, b.maxTime)
	s.tables |= b.tables
	s.lastID = max(s.lastID, b.lastID)
	s.events += uint64(b.count)
	s.blocks = append(s.blocks, b)
}

// damage is what opening a segment had to step over or cut off.
type damage struct {
	skipped int64 // bytes in the middle that are no block
	places  int   // how many such places
	cut     int64 // bytes of the torn end
}

// openSegment reads the headers of a segment's blocks. Bytes that are no block
// are stepped over up to the next that is one. In the newest segment, where a
// crash may have left half a write, payloads are checked too and what follows
// the last good block is cut off.
func openSegment(path string, id uint64, newest bool, dec *zstd.Decoder) (s *segment, d damage, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, d, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, d, err
	}
	s = &segment{f: f, path: path, firstID: id}
	s.refs.Store(1)
	size := info.Size()
	lastEvent := uint64(0)
	pos := int64(segmentHeader)
	good := min(size, pos)
	head := make([]byte, headerSize)
	for pos < size {
		b, ok := s.blockAt(pos, size, head)
		if ok && newest && !s.payloadGood(&b, dec) {
			ok = false
		}
		if ok && !b.gap() && b.firstID <= lastEvent {
			ok = false // a copy of an older block: numbers only rise
		}
		if !ok {
			next := s.findBlock(pos+1, size)
			if next < 0 {
				break
			}
			d.skipped += next - pos
			d.places++
			pos = next
			continue
		}
		s.add(b)
		if !b.gap() {
			lastEvent = b.lastID
		}
		pos += b.size()
		good = pos
	}
	d.cut = size - good
	s.cut = d.cut > 0 && !newest
	s.created = info.ModTime()
	if len(s.blocks) > 0 {
		s.created = time.Unix(0, s.minTime)
	}
	s.size = size
	if newest && d.cut > 0 {
		if err := f.Truncate(good); err != nil {
			return nil, d, fmt.Errorf("cut off its torn end: %w", err)
		}
		s.size = good
	}
	if newest && good < segmentHeader { // not even its header was written
		if _, err := f.WriteAt(binary.LittleEndian.AppendUint64([]byte(segmentMagic), id), 0); err != nil {
			return nil, d, err
		}
		s.size = segmentHeader
	}
	return s, d, nil
}

func (s *segment) blockAt(pos, size int64, head []byte) (block, bool) {
	if _, err := s.f.ReadAt(head, pos); err != nil {
		return block{}, false
	}
	b, err := parseHeader(head)
	if err != nil || pos+b.size() > size {
		return block{}, false
	}
	b.at = pos
	return b, true
}

func (s *segment) payloadGood(b *block, dec *zstd.Decoder) bool {
	raw, err := s.payload(b, dec)
	if err != nil {
		return false
	}
	return b.gap() || b.records(raw, func(record) bool { return true }) == nil
}

// payload reads and opens a block's payload into memory of its own.
func (s *segment) payload(b *block, dec *zstd.Decoder) ([]byte, error) {
	stored := make([]byte, b.stored)
	if _, err := s.f.ReadAt(stored, b.at+headerSize); err != nil {
		return nil, fmt.Errorf("read %s at %d: %w", s.path, b.at, err)
	}
	return b.open(stored, dec)
}

// findBlock looks for the next good header from pos on; -1 if there is none
// that can be read.
func (s *segment) findBlock(pos, size int64) int64 {
	magic := binary.LittleEndian.AppendUint32(nil, blockMagic)
	buf := make([]byte, 64<<10)
	head := make([]byte, headerSize)
	for pos < size {
		n, err := s.f.ReadAt(buf, pos)
		if err != nil && err != io.EOF {
			return -1 // the disk gives no more of it
		}
		for at := 0; at < n; {
			i := bytes.Index(buf[at:n], magic)
			if i < 0 {
				break
			}
			at += i
			if _, ok := s.blockAt(pos+int64(at), size, head); ok {
				return pos + int64(at)
			}
			at++
		}
		if n < len(buf) {
			return -1
		}
		pos += int64(n) - int64(len(magic)-1)
	}
	return -1
}
