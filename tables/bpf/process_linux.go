package bpf

import (
	"bytes"
	_ "embed" // the object
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
)

//go:embed obj/process.bpfel.o
var processObject []byte

// Options of a loader. The zero value gives the defaults.
type Options struct {
	RingBytes int           // power of two; 4 MiB if 0
	Interval  time.Duration // how long records may gather; 250 ms if 0
}

// Interval is how long records gather unless told otherwise.
const Interval = 250 * time.Millisecond

func (o Options) filled() Options {
	if o.RingBytes == 0 {
		o.RingBytes = 4 << 20
	}
	if o.Interval == 0 {
		o.Interval = Interval
	}
	return o
}

// Process is the loaded and attached programs that see births, executions and
// ends of processes.
type Process struct {
	*Ring
	programs processPrograms
	loaded   *loaded
}

type processPrograms struct {
	Exec    *ebpf.Program `ebpf:"process_exec"`
	Exit    *ebpf.Program `ebpf:"process_exit"`
	Fork    *ebpf.Program `ebpf:"process_fork"`
	Ring    *ebpf.Map     `ebpf:"ring"`
	Control *ebpf.Map     `ebpf:"control"`
	Counts  *ebpf.Map     `ebpf:"counts"`
	Scratch *ebpf.Map     `ebpf:"scratch"`
	Ended   *ebpf.Map     `ebpf:"ended"`
}

// LoadProcess loads and attaches the programs. Records gather from then on;
// Run hands them out.
func LoadProcess(opts Options) (*Process, error) {
	opts = opts.filled()
	spec, err := specOf(processObject, opts)
	if err != nil {
		return nil, err
	}
	tells, err := tracepointHasArgument("sched_process_exit", "group_dead", 1)
	if err != nil {
		return nil, err
	}
	if err := spec.Variables["exit_tells_group_dead"].Set(tells); err != nil {
		return nil, fmt.Errorf("set a constant of the process programs: %w", err)
	}
	p := &Process{loaded: &loaded{}}
	if err := spec.LoadAndAssign(&p.programs, nil); err != nil {
		return nil, loadError("load the process programs", err)
	}
	g := &p.programs
	p.loaded.closers = append(p.loaded.closers, g.Exec, g.Exit, g.Fork, g.Ring, g.Control, g.Counts, g.Scratch, g.Ended)
	p.loaded.programs = []*ebpf.Program{g.Exec, g.Exit, g.Fork}
	if p.Ring, err = openRing(g.Ring, g.Control, g.Counts, opts.Interval); err != nil {
		return nil, errors.Join(err, p.loaded.close())
	}
	for _, at := range []struct {
		name    string
		program *ebpf.Program
	}{
		{"sched_process_fork", g.Fork},
		{"sched_process_exec", g.Exec},
		{"sched_process_exit", g.Exit},
	} {
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: at.name, Program: at.program})
		if err != nil {
			return nil, errors.Join(loadError("attach to the raw tracepoint "+at.name, err), p.Close())
		}
		p.loaded.links = append(p.loaded.links, l)
	}
	return p, nil
}

// Detach takes the programs off their tracepoints and lets Run hand out what
// is still in the ring and return.
func (p *Process) Detach() error {
	err := p.loaded.detach()
	p.Ring.stop()
	return err
}

// Close frees programs and maps. Run must have returned.
func (p *Process) Close() error {
	err := p.loaded.close()
	p.Ring.unmap()
	return err
}

// Skipped is how often the kernel skipped a program because it was already
// running on that CPU.
func (p *Process) Skipped() (uint64, error) { return p.loaded.skipped() }

// loaded is what has to be given back to the kernel.
type loaded struct {
	mu       sync.Mutex
	links    []link.Link
	programs []*ebpf.Program
	closers  []interface{ Close() error }
}

func (l *loaded) detach() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, k := range l.links {
		errs = append(errs, k.Close())
	}
	l.links = nil
	return errors.Join(errs...)
}

func (l *loaded) close() error {
	errs := []error{l.detach()}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.closers {
		errs = append(errs, c.Close())
	}
	l.closers, l.programs = nil, nil
	return errors.Join(errs...)
}

func (l *loaded) skipped() (n uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.programs {
		s, err := p.Stats()
		if err != nil {
			return 0, fmt.Errorf("read the statistics of a program: %w", err)
		}
		n += s.RecursionMisses
	}
	return n, nil
}

// specOf reads an object and fits its ring to this machine.
func specOf(object []byte, opts Options) (*ebpf.CollectionSpec, error) {
	if n := opts.RingBytes; n < 4096 || n&(n-1) != 0 {
		return nil, fmt.Errorf("size the ring: %d bytes is not a power of two of at least 4096", n)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("read the embedded eBPF object: %w", err)
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("count the processors: %w", err)
	}
	spec.Maps["ring"].MaxEntries = uint32(opts.RingBytes)
	spec.Maps["counts"].MaxEntries = uint32(cpus)
	return spec, nil
}

// tracepointHasArgument asks the kernel's BTF whether a raw tracepoint has an
// argument of that name at that place (0 is the first). Kernels before 6.15
// or so keep no names; there the number of arguments decides.
func tracepointHasArgument(tracepoint, name string, at int) (bool, error) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return false, loadError("read the kernel's BTF", err)
	}
	var def *btf.Typedef
	if err := kernel.TypeByName("btf_trace_"+tracepoint, &def); err != nil {
		return false, loadError("find the raw tracepoint "+tracepoint, err)
	}
	ptr, ok := def.Type.(*btf.Pointer)
	if !ok {
		return false, nil
	}
	proto, ok := ptr.Target.(*btf.FuncProto)
	if !ok {
		return false, nil
	}
	// The first parameter is the tracepoint's own data.
	if len(proto.Params) <= at+1 {
		return false, nil
	}
	got := proto.Params[at+1].Name
	return got == "" || got == name, nil
}
