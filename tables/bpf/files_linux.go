package bpf

import (
	"bytes"
	_ "embed" // the object
	"errors"
	"fmt"
	"io"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

//go:embed obj/files.bpfel.o
var filesObject []byte

// HeldSocket is a socket that a process holds, or where FD is -1 a process,
// which comes before its sockets.
type HeldSocket struct {
	PID   uint32 // in the reader's namespace of processes
	FD    int32
	Inode uint64 // of the socket
	NetNS uint32 // inode number of the network namespace, of a process alone
	_     uint32
}

// HeldSockets is the loaded iterator over open files.
type HeldSockets struct {
	mu      sync.Mutex
	program *ebpf.Program
	maps    map[string]*ebpf.Map
	iter    *link.Iter
	buf     []byte
}

// LoadHeldSockets loads the iterator. It costs nothing until it is read.
func LoadHeldSockets() (*HeldSockets, error) {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(filesObject))
	if err != nil {
		return nil, fmt.Errorf("read the embedded eBPF object: %w", err)
	}
	all, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, loadError("load the iterator over files", err)
	}
	h := &HeldSockets{program: all.Programs["files"], maps: all.Maps, buf: make([]byte, 64<<10)}
	if h.iter, err = link.AttachIter(link.IterOptions{Program: h.program}); err != nil {
		return nil, errors.Join(loadError("make the iterator over files", err), h.Close())
	}
	return h, nil
}

// Read calls f for each process with open files and for each of its sockets.
func (h *HeldSockets) Read(f func(HeldSocket)) error {
	const size = int(unsafe.Sizeof(HeldSocket{}))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.iter == nil {
		return errors.New("read the iterator over files: it is closed")
	}
	file, err := h.iter.Open()
	if err != nil {
		return fmt.Errorf("run the iterator over files: %w", err)
	}
	defer file.Close()
	have := 0
	for {
		n, err := file.Read(h.buf[have:])
		have += n
		at := 0
		for ; have-at >= size; at += size {
			// Written in this machine's order, and aligned: the size is a
			// multiple of eight.
			f(*(*HeldSocket)(unsafe.Pointer(&h.buf[at])))
		}
		have = copy(h.buf, h.buf[at:have])
		switch {
		case errors.Is(err, io.EOF) || err == nil && n == 0:
			if have > 0 {
				return fmt.Errorf("read the iterator over files: %d bytes after the last record", have)
			}
			return nil
		case err != nil:
			return fmt.Errorf("read the iterator over files: %w", err)
		}
	}
}

// Close unloads it.
func (h *HeldSockets) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	if h.iter != nil {
		errs = append(errs, h.iter.Close())
		h.iter = nil
	}
	if h.program != nil {
		errs = append(errs, h.program.Close())
		h.program = nil
	}
	for _, m := range h.maps {
		errs = append(errs, m.Close())
	}
	h.maps = nil
	return errors.Join(errs...)
}
