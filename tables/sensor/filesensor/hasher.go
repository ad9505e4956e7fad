package filesensor

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"
)

// target is a file to hash, as it was when its event was read.
type target struct {
	key  string // the kernel's handle of the file; empty where only the path is known
	path string
	state
	spare *spare // of its lane; used by the hasher alone
	free  bool   // is hashed in spite of the CPU limit
}

// state tells one content of a file from another.
type state struct {
	dev, inode   uint64
	mtime, ctime int64 // in nanoseconds; ctime is 0 where the system has none
	size         int64
}

// contentFile is a file opened for hashing.
type contentFile interface {
	io.ReadCloser
	state() (state, error)
}

// sums are the hashes of a content in hexadecimal digits.
type sums struct{ md5, sha1, sha256 string }

// hashError says why there is no hash.
type hashError struct {
	why    string
	hashed int32 // 0 or -1, as the column has it
}

func (e *hashError) Error() string { return e.why }

// nothing is the hashes of no content.
var nothing = sums{
	"d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
}

// maxSums bounds each of the two generations of remembered hashes.
const maxSums = 4096

// hasher hashes files, one at a time, and remembers what it found.
type hasher struct {
	o    Hashing
	open atomic.Pointer[func(*target) (contentFile, error)]
	buf  []byte
	on   [3]hash.Hash

	mu             sync.Mutex
	recent, before map[state]sums
	files          uint64
	bytes          int64
	used           time.Duration
}

func newHasher(o Hashing) *hasher {
	return &hasher{o: o, on: [3]hash.Hash{md5.New(), sha1.New(), sha256.New()}, recent: map[state]sums{}}
}

// known is the remembered hash of the file as it was. The time of its last
// change is part of what it is remembered by: only the kernel sets that, so
// that a content with a forged date of modification is not taken for another.
func (h *hasher) known(t *target) (sums, bool) {
	if t.size == 0 {
		return nothing, true
	}
	if t.ctime == 0 || t.inode == 0 {
		return sums{}, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, ok := h.recent[t.state]; ok {
		return s, true
	}
	s, ok := h.before[t.state]
	return s, ok
}

func (h *hasher) remember(of state, s sums) {
	if of.ctime == 0 || of.inode == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.recent) >= maxSums {
		h.before, h.recent = h.recent, map[state]sums{}
	}
	h.recent[of] = s
}

// cost is what hashing has read and used.
func (h *hasher) cost() (files uint64, bytes int64, cpu time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.files, h.bytes, h.used
}

// hash reads a file. The context's deadline is when the hash is no longer of use.
func (h *hasher) hash(ctx context.Context, t *target) (sums, error) {
	if s, ok := h.known(t); ok {
		return s, nil
	}
	began := threadTime()
	s, n, err := h.read(ctx, t)
	h.mu.Lock()
	h.files++
	h.bytes += n
	h.used += threadTime() - began
	h.mu.Unlock()
	return s, err
}

func (h *hasher) read(ctx context.Context, t *target) (sums, int64, error) {
	if err := h.pace(ctx, t); err != nil {
		return sums{}, 0, err
	}
	open := openByPath
	if set := h.open.Load(); set != nil {
		open = *set
	}
	f, err := open(t)
	if err != nil {
		return sums{}, 0, failure(err)
	}
	defer f.Close()
	first, err := f.state()
	if err != nil {
		return sums{}, 0, failure(err)
	}
	if !first.same(t.state) {
		return sums{}, 0, &hashError{failChanged, -1}
	}
	for _, on := range h.on {
		on.Reset()
	}
	if h.buf == nil {
		h.buf = make([]byte, 256<<10)
	}
	var total int64
	for {
		n, err := f.Read(h.buf)
		for _, on := range h.on {
			on.Write(h.buf[:n])
		}
		total += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return sums{}, total, failure(err)
		}
		if total > t.size { // it grows: nothing of it would be true
			return sums{}, total, &hashError{failChanged, -1}
		}
		if err := h.pace(ctx, t); err != nil {
			return sums{}, total, err
		}
	}
	last, err := f.state()
	if err != nil {
		return sums{}, total, failure(err)
	}
	if !last.same(first) || total != last.size {
		return sums{}, total, &hashError{failChanged, -1}
	}
	digits := func(i int) string { return hex.EncodeToString(h.on[i].Sum(nil)) }
	s := sums{digits(0), digits(1), digits(2)}
	if last == first {
		h.remember(last, s)
	}
	return s, total, nil
}

// same says whether the content is the same as far as its dates tell: ctime
// is left out, which a mere rename changes.
func (s state) same(o state) bool {
	return s.inode == o.inode && s.mtime == o.mtime && s.size == o.size && s.dev == o.dev
}

func (h *hasher) pace(ctx context.Context, t *target) error {
	if h.o.Pacer != nil && !t.free {
		if err := h.o.Pacer.Pace(ctx); err != nil && ctx.Err() == nil {
			// It cannot be waited for in time.
			if t.free = t.spare.take(t.size, time.Now()); !t.free {
				return &hashError{notBudget, 0}
			}
		}
	}
	if ctx.Err() != nil {
		return &hashError{notTime, 0}
	}
	return nil
}

func failure(err error) error {
	var known *hashError
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, fs.ErrNotExist), isStale(err):
		return &hashError{failGone, -1}
	}
	return &hashError{failRead, -1}
}
