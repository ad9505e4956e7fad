package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Wake states and layout of src/ring.h.
const (
	wakeNone    = 0
	countStride = 64
)

// safety bounds how long a record could wait if a wake-up were lost.
const safety = time.Second

// Ring reads one ring of records. It is our own reader rather than the
// library's because it sleeps edge-triggered: the first record wakes it, it
// lets more gather for the drain interval, and only a ring that fills beyond
// its level cuts that short. A level-triggered wait would return at once.
type Ring struct {
	consumer []byte // one page: our position
	producer []byte // one page with the kernel's position, then the data twice
	control  []byte
	counts   []byte
	mask     uint64
	cpus     int

	mu          sync.Mutex // guards kick against use after close, and waiting
	epoll, kick int
	interval    atomic.Int64
	stopped     atomic.Bool
	hurry       atomic.Bool // do not let records gather this time
	waiting     []chan struct{}
	gaps        gaps
	lostBefore  []uint64 // dropped counters at the last look
}

// openRing maps the ring, its control word and its counters.
func openRing(ring, control, counts *ebpf.Map, interval time.Duration) (*Ring, error) {
	r := &Ring{epoll: -1, kick: -1}
	page := os.Getpagesize()
	size := int(ring.MaxEntries())
	r.mask = uint64(size - 1)
	r.cpus = int(counts.MaxEntries())
	r.lostBefore = make([]uint64, r.cpus)
	r.interval.Store(int64(interval))
	var err error
	fail := func(what string) (*Ring, error) {
		r.unmap()
		return nil, fmt.Errorf("%s of the ring: %w", what, err)
	}
	if r.consumer, err = unix.Mmap(ring.FD(), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fail("map the reading position")
	}
	if r.producer, err = unix.Mmap(ring.FD(), int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return fail("map the data")
	}
	if r.control, err = unix.Mmap(control.FD(), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fail("map the control word")
	}
	whole := (r.cpus*countStride + page - 1) / page * page
	if r.counts, err = unix.Mmap(counts.FD(), 0, whole, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return fail("map the counters")
	}
	atomic.StoreUint32(word32(r.control, 4), uint32(size/4))
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fail("make the epoll descriptor")
	}
	if r.kick, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fail("make the event descriptor")
	}
	for _, fd := range []int{ring.FD(), r.kick} {
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(fd)}
		if err = unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
			return fail("wait on the descriptors")
		}
	}
	return r, nil
}

func word32(b []byte, at int) *uint32 { return (*uint32)(unsafe.Pointer(&b[at])) }
func word64(b []byte, at int) *uint64 { return (*uint64)(unsafe.Pointer(&b[at])) }

// SetInterval sets how long records may gather before they are handled. It
// takes effect at once and may be called at any time.
func (r *Ring) SetInterval(d time.Duration) {
	r.interval.Store(int64(d))
	r.poke()
}

func (r *Ring) poke() {
	r.hurry.Store(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kick < 0 {
		return
	}
	// A full event counter would mean that the reader is already awake.
	_, _ = unix.Write(r.kick, binary.NativeEndian.AppendUint64(nil, 1))
}

// Sync has everything handled that is in the ring now and returns when that
// is done, or after the time given. It must not be called from Run's handlers.
func (r *Ring) Sync(most time.Duration) bool {
	ch := make(chan struct{})
	r.mu.Lock()
	if r.kick < 0 || r.stopped.Load() {
		r.mu.Unlock()
		return false
	}
	r.waiting = append(r.waiting, ch)
	r.mu.Unlock()
	r.poke()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ch:
		return true
	case <-timer.C:
		return false
	}
}

// Loss is records that did not reach the reader.
type Loss struct {
	N     uint64
	Cause string
}

// Run hands every record to handle until stop, and after each drain calls
// drained with what was lost since. A record is valid only during the call.
// Run must not be called twice.
func (r *Ring) Run(handle func(raw []byte), drained func([]Loss)) error {
	events := make([]unix.EpollEvent, 2)
	for !r.stopped.Load() {
		if err := r.wait(events, safety); err != nil {
			return err
		}
		if r.stopped.Load() {
			break
		}
		if d := time.Duration(r.interval.Load()); d > 0 && r.pending() > 0 && !r.hurry.Load() {
			if err := r.wait(events, d); err != nil {
				return err
			}
		}
		r.round(handle, drained)
	}
	// A program may still be writing its last record on another CPU.
	for end := time.Now().Add(safety); ; time.Sleep(time.Millisecond) {
		r.round(handle, drained)
		if r.pending() == 0 || time.Now().After(end) {
			return nil
		}
	}
}

func (r *Ring) round(handle func([]byte), drained func([]Loss)) {
	r.hurry.Store(false)
	r.mu.Lock()
	waiting := r.waiting
	r.waiting = nil
	r.mu.Unlock()
	r.drain(handle)
	drained(r.losses())
	for _, ch := range waiting {
		close(ch)
	}
}

func (r *Ring) wait(events []unix.EpollEvent, d time.Duration) error {
	_, err := unix.EpollWait(r.epoll, events, int(max(d.Milliseconds(), 1)))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for records: %w", err)
	}
	return nil
}

func (r *Ring) pending() uint64 {
	return atomic.LoadUint64(word64(r.producer, 0)) - atomic.LoadUint64(word64(r.consumer, 0))
}

// drain handles the records that are in the ring when it begins. Those that
// come meanwhile wake us again: a handler that has caught up with another
// sensor's ring at the first record is then not behind it at the last.
func (r *Ring) drain(handle func(raw []byte)) {
	const (
		busy, discarded = 1 << 31, 1 << 30
		recordHeader    = 8
	)
	// From here on the next record wakes us again.
	atomic.StoreUint32(word32(r.control, 0), wakeNone)
	data := r.producer[os.Getpagesize():]
	at := atomic.LoadUint64(word64(r.consumer, 0))
	limit := atomic.LoadUint64(word64(r.producer, 0))
	for at < limit {
		off := int(at & r.mask)
		length := atomic.LoadUint32(word32(data, off))
		if length&busy != 0 {
			// Another CPU is still writing it, and will wake us if it was
			// told to; look again soon.
			r.poke()
			return
		}
		n := int(length &^ (busy | discarded))
		if length&discarded == 0 {
			raw := data[off+recordHeader : off+recordHeader+n]
			if h, err := DecodeHeader(raw); err == nil {
				r.gaps.saw(h.CPU, h.Seq)
			}
			handle(raw)
		}
		at += uint64((recordHeader + n + 7) &^ 7)
		atomic.StoreUint64(word64(r.consumer, 0), at)
	}
}

// losses compares the programs' counters with what arrived.
func (r *Ring) losses() []Loss {
	var out []Loss
	for cpu := range r.cpus {
		dropped := atomic.LoadUint64(word64(r.counts, cpu*countStride+8))
		if n := dropped - r.lostBefore[cpu]; n > 0 {
			r.lostBefore[cpu] = dropped
			out = append(out, Loss{n, "ring buffer full"})
		}
		if n := r.gaps.unexplained(uint32(cpu), dropped); n > 0 {
			out = append(out, Loss{n, fmt.Sprintf("sequence gap on cpu %d", cpu)})
		}
	}
	return out
}

// Taken is how many records the programs numbered so far, lost or not.
func (r *Ring) Taken() (n uint64) {
	for cpu := range r.cpus {
		n += atomic.LoadUint64(word64(r.counts, cpu*countStride))
	}
	return n
}

// stop makes Run drain once more and return.
func (r *Ring) stop() {
	r.stopped.Store(true)
	r.poke()
}

func (r *Ring) unmap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range []*[]byte{&r.consumer, &r.producer, &r.control, &r.counts} {
		if *m != nil {
			_ = unix.Munmap(*m)
			*m = nil
		}
	}
	for _, fd := range []*int{&r.epoll, &r.kick} {
		if *fd >= 0 {
			_ = unix.Close(*fd)
			*fd = -1
		}
	}
}
