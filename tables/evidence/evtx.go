package evidence

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"

	"www.velocidex.com/golang/evtx"
)

// ErrNotEVTX says that a file is no Windows event log.
var ErrNotEVTX = errors.New("not an EVTX file")

const (
	evtxHeader     = 4096 // where the chunks begin, unless the header says otherwise
	chunkSize      = evtx.EVTX_CHUNK_SIZE
	chunkHeader    = evtx.EVTX_CHUNK_HEADER_SIZE
	recordHeader   = evtx.EVTX_EVENT_RECORD_SIZE
	evtxDirty      = 1 // flag of the header: it was open when it was copied
	minEVTXHeader  = 128
	maxEmptyChunks = 4096 // in a row: 256 MiB of space that is set aside
)

// ReadEVTX yields the records of an EVTX file of size bytes, in the file's
// order. Of a damaged file it yields the records that can be read; what cannot
// goes to warn, with chunk and offset. An error is yielded, once and last, for
// what is no EVTX file at all, or when ctx ends. It holds one chunk of 64 KiB
// in memory at a time.
func ReadEVTX(ctx context.Context, r io.ReaderAt, size int64, warn func(error)) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		f := &evtxFile{r: r, size: size, warn: warn, yield: yield}
		first, err := f.header()
		if err != nil {
			yield(nil, err)
			return
		}
		buf := make([]byte, chunkSize)
		empty := 0
		for n := 0; ; n++ {
			offset := first + int64(n)*chunkSize
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if offset >= size {
				f.missing(n)
				return
			}
			got, err := r.ReadAt(buf, offset)
			if err != nil && !errors.Is(err, io.EOF) {
				yield(nil, fmt.Errorf("read chunk %d at offset 0x%x: %w", n, offset, err))
				return
			}
			clear(buf[got:])
			if got < chunkSize && got > 0 && !blank(buf[:got]) {
				warn(fmt.Errorf("the file ends in the middle of chunk %d at offset 0x%x, after %d of %d bytes: what was before is read", n, offset, got, chunkSize))
			}
			if blank(buf) {
				// A sparse file costs its maker nothing and the reader hours.
				if empty++; empty > maxEmptyChunks && n >= f.chunks {
					warn(fmt.Errorf("from offset 0x%x on %d chunks are empty: the rest of the file's %d bytes is left out", offset-int64(empty-1)*chunkSize, empty, size))
					return
				}
				continue
			}
			empty = 0
			if !f.chunk(buf, n, offset) {
				return
			}
		}
	}
}

type evtxFile struct {
	r      io.ReaderAt
	size   int64
	warn   func(error)
	yield  func(*Record, error) bool
	dirty  bool
	chunks int // as the header says; -1 where it does not
	whole  int // chunks that were there
}

// header reads the file's header and says where the chunks begin.
func (f *evtxFile) header() (int64, error) {
	buf := make([]byte, minEVTXHeader)
	n, err := f.r.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read the header: %w", err)
	}
	f.chunks = -1
	var h evtx.EVTXHeader
	if n < len(buf) || string(buf[:8]) != evtx.EVTX_HEADER_MAGIC {
		// The header may be damaged while the chunks are not.
		var magic [8]byte
		if k, _ := f.r.ReadAt(magic[:], evtxHeader); k == 8 && string(magic[:]) == evtx.EVTX_CHUNK_HEADER_MAGIC {
			f.warn(errors.New("the file header is damaged: the chunks behind it are read"))
			return evtxHeader, nil
		}
		return 0, fmt.Errorf("%w: %s", ErrNotEVTX, opening(buf[:n]))
	}
	if err := binary.Read(bytes.NewReader(buf), binary.LittleEndian, &h); err != nil {
		return 0, fmt.Errorf("%w: read the header: %w", ErrNotEVTX, err)
	}
	if h.MajorVersion != 3 {
		return 0, fmt.Errorf("%w that this version reads: its format is %d.%d, and 3.0 to 3.2 are known", ErrNotEVTX, h.MajorVersion, h.MinorVersion)
	}
	if sum := crc32.ChecksumIEEE(buf[:120]); sum != h.CheckSum {
		f.warn(errors.New("the file header has a wrong checksum: the chunks behind it are read"))
		return evtxHeader, nil
	}
	f.chunks, f.dirty = int(h.ChunkCount), h.FileFlags&evtxDirty != 0
	if h.HeaderBlockSize >= minEVTXHeader {
		return int64(h.HeaderBlockSize), nil
	}
	return evtxHeader, nil
}

// missing says that the header announced more chunks than there were. A log
// that was copied while open has an old header, which may say too few.
func (f *evtxFile) missing(n int) {
	if f.chunks > n {
		f.warn(fmt.Errorf("the file is cut off: its header announces %d chunks and there are %d", f.chunks, n))
	}
}

// chunk yields the records of one chunk, and says whether to go on.
func (f *evtxFile) chunk(buf []byte, n int, offset int64) bool {
	where := fmt.Sprintf("chunk %d at offset 0x%x", n, offset)
	if string(buf[:8]) != evtx.EVTX_CHUNK_HEADER_MAGIC {
		f.warn(fmt.Errorf("%s is damaged and left out: %s", where, opening(buf)))
		return true
	}
	var h evtx.ChunkHeader
	if err := binary.Read(bytes.NewReader(buf[:chunkHeader]), binary.LittleEndian, &h); err != nil {
		f.warn(fmt.Errorf("%s: read its header: %w", where, err))
		return true
	}
	end := int(binary.LittleEndian.Uint32(buf[48:])) // where the free space begins
	sum := crc32.Update(crc32.ChecksumIEEE(buf[:120]), crc32.IEEETable, buf[128:chunkHeader])
	sound := sum == h.CheckSum && end >= chunkHeader && end <= chunkSize
	switch {
	case !sound:
		f.warn(fmt.Errorf("%s: its header has a wrong checksum: what looks like a record in it is read", where))
		end = chunkSize
	case crc32.ChecksumIEEE(buf[chunkHeader:end]) != h.EventRecordCheckSum:
		f.warn(fmt.Errorf("%s: its records have a wrong checksum: those that can be read are", where))
	}
	c := &chunkRecords{xml: newChunkXML(buf), end: end, open: f.dirty || !sound}
	for rec := range c.all {
		if !f.yield(rec, nil) {
			return false
		}
	}
	if c.failed > 0 {
		f.warn(fmt.Errorf("%s: records that could not be read: %d; the first, at offset 0x%x: %w", where, c.failed, offset+int64(c.firstAt), c.first))
	}
	if c.skipped > 0 {
		f.warn(fmt.Errorf("%s: %d bytes between records are damaged and left out", where, c.skipped))
	}
	return true
}

// chunkRecords walks the records of a chunk.
type chunkRecords struct {
	xml  *chunkXML
	end  int
	open bool // records may follow the end that the header says

	failed, skipped int
	first           error
	firstAt         int
}

func (c *chunkRecords) all(yield func(*Record) bool) {
	buf, last := c.xml.buf, uint64(0)
	for pos := chunkHeader; pos+recordHeader+4 <= chunkSize; {
		id := binary.LittleEndian.Uint64(buf[pos+8:])
		magic := string(buf[pos:pos+4]) == evtx.EVTX_EVENT_RECORD_MAGIC
		if pos >= c.end && !(c.open && magic && id == last+1) {
			return
		}
		size := int(binary.LittleEndian.Uint32(buf[pos+4:]))
		if !magic || size < recordHeader+4 || size > chunkSize-pos {
			next := bytes.Index(buf[pos+1:], []byte(evtx.EVTX_EVENT_RECORD_MAGIC))
			if next < 0 || pos+1+next >= c.end {
				if magic {
					c.fail(pos, fmt.Errorf("its size %d is impossible", size))
				} else if !blank(buf[pos:c.end]) {
					c.skipped += c.end - pos
				}
				return
			}
			c.skipped += 1 + next
			pos += 1 + next
			continue
		}
		rec, err := c.read(pos, size)
		if err != nil {
			c.fail(pos, err)
		} else if !yield(rec) {
			return
		}
		last = id
		pos += size
	}
}

func (c *chunkRecords) fail(pos int, err error) {
	if c.failed++; c.failed == 1 {
		c.first, c.firstAt = err, pos
	}
}

// read parses one record. A fault of the parser costs the record and is said.
func (c *chunkRecords) read(pos, size int) (rec *Record, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	buf := c.xml.buf
	root, err := c.xml.record(pos+recordHeader, pos+size-4)
	if err != nil {
		return nil, err
	}
	return newRecord(root, binary.LittleEndian.Uint64(buf[pos+8:]), fileTime(binary.LittleEndian.Uint64(buf[pos+16:])))
}

func blank(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// opening says what a file or block that is not what it should be looks like.
// It quotes nothing: who may read event logs may not read every file.
func opening(b []byte) string {
	switch {
	case len(b) == 0:
		return "it is empty"
	case bytes.HasPrefix(b, []byte("\x89PNG")):
		return "it is a PNG picture"
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return "it is a JPEG picture"
	case bytes.HasPrefix(b, []byte("regf")):
		return "it is a registry hive"
	case bytes.HasPrefix(b, []byte(evtx.EVTX_HEADER_MAGIC)):
		return "it is an EVTX file that is cut off in its header"
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		return "it is a ZIP archive: unpack it"
	case bytes.HasPrefix(b, []byte("\x1f\x8b")):
		return "it is compressed by gzip: unpack it"
	}
	return "its first bytes are those of something else"
}
