package seal

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The body of a record is a byte for the codec, the length unpacked, and the
// data.
const (
	codecPlain byte = 0
	codecZstd  byte = 1

	packHeader  = 5
	packMinimum = 256 // below it compression gains nothing
)

// The coders hold no state between calls of EncodeAll and DecodeAll.
var encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(256<<10))
})

var decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(MaxPlain),
		zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
})

func pack(plain []byte) ([]byte, error) {
	if len(plain) > MaxPlain {
		return nil, fmt.Errorf("pack %d bytes: %w", len(plain), ErrOversized)
	}
	w := &writer{b: make([]byte, 0, packHeader+min(len(plain), 4096))}
	if len(plain) < packMinimum {
		w.u8(codecPlain)
		w.u32(uint32(len(plain)))
		w.raw(plain)
		return w.b, nil
	}
	e, err := encoder()
	if err != nil {
		return nil, fmt.Errorf("make a zstd encoder: %w", err)
	}
	w.u8(codecZstd)
	w.u32(uint32(len(plain)))
	w.b = e.EncodeAll(plain, w.b)
	return w.b, nil
}

// unpack checks the length that the packer claims before it unpacks, and
// never unpacks more.
func unpack(b []byte) ([]byte, error) {
	r := &reader{b: b}
	codec, size := r.u8(), r.u32()
	if r.err != nil {
		return nil, r.err
	}
	if size > MaxPlain {
		return nil, fmt.Errorf("unpack %d bytes: %w", size, ErrOversized)
	}
	data := b[r.off:]
	switch codec {
	case codecPlain:
		if len(data) != int(size) {
			return nil, fmt.Errorf("unpack: %d bytes where %d are due: %w", len(data), size, ErrMalformed)
		}
		return data, nil
	case codecZstd:
		// A frame that says its size lets the decoder refuse early; one that
		// does not is held by the capacity and the memory limit.
		var h zstd.Header
		if err := h.Decode(data); err != nil {
			return nil, fmt.Errorf("unpack: %v: %w", err, ErrMalformed)
		}
		if h.HasFCS && h.FrameContentSize != uint64(size) {
			return nil, fmt.Errorf("unpack: the frame holds %d bytes where %d are due: %w", h.FrameContentSize, size, ErrMalformed)
		}
		d, err := decoder()
		if err != nil {
			return nil, fmt.Errorf("make a zstd decoder: %w", err)
		}
		out, err := d.DecodeAll(data, make([]byte, 0, min(int(size), 1<<20)))
		if err != nil {
			return nil, fmt.Errorf("unpack: %v: %w", err, ErrMalformed)
		}
		if len(out) != int(size) {
			return nil, fmt.Errorf("unpack: %d bytes where %d are due: %w", len(out), size, ErrMalformed)
		}
		return out, nil
	}
	return nil, fmt.Errorf("unpack: codec %d: %w", codec, ErrMalformed)
}
