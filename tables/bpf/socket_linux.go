package bpf

import (
	"bytes"
	_ "embed" // the object
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

//go:embed obj/socket.bpfel.o
var socketObject []byte

// SocketOptions of LoadSocket. The zero value gives the defaults.
type SocketOptions struct {
	Options
	// Accept is how accept is to be seen; empty for the best that works here.
	Accept string
}

// The ways to see accept, best first.
const (
	// AcceptFexit traces inet_accept; some kernels forbid it.
	AcceptFexit = "fexit"
	// AcceptName is called when accept asks for the peer's name. A caller that
	// does not want the name shows as TypeIncoming without TypeAccept until it
	// closes the connection. It needs the cgroup v2 root.
	AcceptName = "getpeername"
	// AcceptExit looks at the end of the system call, which costs every system
	// call of the machine a little.
	AcceptExit = "sys_exit"
)

// Socket programs as they are attached.
type SocketPrograms struct {
	*Ring
	// Accept is how accept is seen.
	Accept string
	// Cgroup is the cgroup v2 root to which the programs for bind and for UDP
	// connect are attached; empty where NoCgroup says why not.
	Cgroup   string
	NoCgroup error
	loaded   *loaded
}

// The programs of the object and where they go.
var (
	socketCgroup = map[string]ebpf.AttachType{
		"socket_connect4": ebpf.AttachCGroupInet4Connect,
		"socket_connect6": ebpf.AttachCGroupInet6Connect,
		"socket_bind4":    ebpf.AttachCGroupInet4PostBind,
		"socket_bind6":    ebpf.AttachCGroupInet6PostBind,
	}
	// socketNames are those of AcceptName.
	socketNames = map[string]ebpf.AttachType{
		"socket_named4": ebpf.AttachCgroupInet4GetPeername,
		"socket_named6": ebpf.AttachCgroupInet6GetPeername,
	}
	acceptNumbers = map[string][2]int64{
		"amd64": {43, 288},
		// The table that arm64, riscv64 and loong64 share.
		"arm64": {202, 242}, "riscv64": {202, 242}, "loong64": {202, 242},
	}
)

// LoadSocket loads and attaches the programs. What is optional and refused is
// told by the fields of the answer.
func LoadSocket(opts SocketOptions) (*SocketPrograms, error) {
	if opts.RingBytes == 0 {
		opts.RingBytes = 1 << 20
	}
	var failed error
	for _, accept := range []string{AcceptFexit, AcceptName, AcceptExit} {
		if opts.Accept != "" && opts.Accept != accept {
			continue
		}
		s, err := loadSocket(opts.Options.filled(), accept)
		if err == nil {
			return s, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

func loadSocket(opts Options, accept string) (*SocketPrograms, error) {
	spec, err := specOf(socketObject, opts)
	if err != nil {
		return nil, err
	}
	root, noCgroup := cgroupRoot("/proc/self/mountinfo")
	if err := chooseAccept(spec, accept, noCgroup); err != nil {
		return nil, err
	}
	s := &SocketPrograms{Accept: accept, loaded: &loaded{}}
	if noCgroup != nil {
		s.NoCgroup = noCgroup
		for name := range socketCgroup {
			delete(spec.Programs, name)
		}
	}
	// The library would map the constants to keep them at hand, which keeps
	// them in the kernel after Close until some later collection of garbage.
	clear(spec.Variables)
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, loadError("load the socket programs with accept by "+accept, err)
	}
	for _, p := range coll.Programs {
		s.loaded.programs = append(s.loaded.programs, p)
		s.loaded.closers = append(s.loaded.closers, p)
	}
	for _, m := range coll.Maps {
		s.loaded.closers = append(s.loaded.closers, m)
	}
	if s.Ring, err = openRing(coll.Maps["ring"], coll.Maps["control"], coll.Maps["counts"], opts.Interval); err != nil {
		return nil, errors.Join(err, s.loaded.close())
	}
	attach := func(what string, l link.Link, err error) error {
		if err != nil {
			return errors.Join(loadError("attach to "+what, err), s.Close())
		}
		s.loaded.links = append(s.loaded.links, l)
		return nil
	}
	// Close before open: a connection whose opening is seen has its end seen.
	l, err := link.AttachTracing(link.TracingOptions{Program: coll.Programs["socket_state"]})
	if err := attach("the tracepoint inet_sock_set_state", l, err); err != nil {
		return nil, err
	}
	switch accept {
	case AcceptName:
		for name, kind := range socketNames {
			l, err = link.AttachCgroup(link.CgroupOptions{Path: root, Attach: kind, Program: coll.Programs[name]})
			if err := attach(name+" at the cgroup root "+root, l, err); err != nil {
				return nil, err
			}
		}
		l = nil
	case AcceptFexit:
		l, err = link.AttachTracing(link.TracingOptions{Program: coll.Programs["socket_accept"]})
	case AcceptExit:
		l, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: "sys_exit", Program: coll.Programs["socket_accept_exit"]})
	}
	if l != nil || err != nil {
		if err := attach("accept by "+accept, l, err); err != nil {
			return nil, err
		}
	}
	if s.NoCgroup != nil {
		return s, nil
	}
	for name, kind := range socketCgroup {
		l, err := link.AttachCgroup(link.CgroupOptions{Path: root, Attach: kind, Program: coll.Programs[name]})
		if err != nil {
			s.NoCgroup = loadError("attach "+name+" to the cgroup root "+root, err)
			return s, nil
		}
		s.loaded.links = append(s.loaded.links, l)
	}
	s.Cgroup = root
	return s, nil
}

// chooseAccept leaves the programs of one way to see accept and sets their
// constants.
func chooseAccept(spec *ebpf.CollectionSpec, accept string, noCgroup error) error {
	if accept != AcceptFexit {
		delete(spec.Programs, "socket_accept")
	}
	if accept != AcceptExit {
		delete(spec.Programs, "socket_accept_exit")
	}
	if accept != AcceptName {
		for name := range socketNames {
			delete(spec.Programs, name)
		}
	}
	switch accept {
	case AcceptName:
		if noCgroup != nil {
			return noCgroup
		}
		return setConstant(spec, "accept_by_name", 1)
	case AcceptExit:
		numbers, ok := acceptNumbers[runtime.GOARCH]
		if !ok {
			return &LoadError{Op: "see accept by system call", Reason: "the numbers of accept are not known on " + runtime.GOARCH, Err: errors.ErrUnsupported}
		}
		return errors.Join(setConstant(spec, "nr_accept", numbers[0]), setConstant(spec, "nr_accept4", numbers[1]))
	}
	return nil
}

// Detach takes the programs off and lets Run hand out what is still in the
// ring and return.
func (s *SocketPrograms) Detach() error {
	err := s.loaded.detach()
	s.Ring.stop()
	return err
}

// Close frees programs and maps. Run must have returned.
func (s *SocketPrograms) Close() error {
	err := s.loaded.close()
	s.Ring.unmap()
	return err
}

// Skipped is how often the kernel skipped a program because it was already
// running on that CPU.
func (s *SocketPrograms) Skipped() (uint64, error) { return s.loaded.skipped() }

// cgroupRoot finds where the cgroup v2 hierarchy is mounted: /sys/fs/cgroup,
// or /sys/fs/cgroup/unified beside version 1. It mounts nothing.
func cgroupRoot(mountinfo string) (string, error) {
	b, err := os.ReadFile(mountinfo)
	if err != nil {
		return "", fmt.Errorf("find the cgroup v2 mount: %w", err)
	}
	if dir := findCgroup2(string(b)); dir != "" {
		return dir, nil
	}
	return "", &LoadError{
		Op: "find the cgroup v2 mount", Reason: "none is mounted; bind and UDP connect are not seen", Err: errors.ErrUnsupported,
	}
}

// findCgroup2 picks the mount of type cgroup2 that shows the hierarchy's root.
func findCgroup2(mountinfo string) string {
	best := ""
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		if !ok {
			continue
		}
		f, kind := strings.Fields(before), strings.Fields(after)
		if len(f) < 5 || len(kind) < 1 || kind[0] != "cgroup2" || f[3] != "/" {
			continue
		}
		dir := unescapeMount(f[4])
		if best == "" || len(dir) < len(best) {
			best = dir
		}
	}
	return best
}

// unescapeMount turns the octal escapes of mountinfo back (\040 is a space).
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			var n int
			if _, err := fmt.Sscanf(s[i+1:i+4], "%3o", &n); err == nil && n < 256 {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// setConstant writes a constant of 64 bits into the section that the program
// reads it from.
func setConstant(spec *ebpf.CollectionSpec, name string, value int64) error {
	v := spec.Variables[name]
	if v == nil {
		return fmt.Errorf("set the constant %s: the object has none of that name", name)
	}
	section := spec.Maps[v.SectionName]
	if section == nil || len(section.Contents) != 1 {
		return fmt.Errorf("set the constant %s: the object has no section %s", name, v.SectionName)
	}
	b, ok := section.Contents[0].Value.([]byte)
	if !ok || int(v.Offset)+8 > len(b) || v.Size() != 8 {
		return fmt.Errorf("set the constant %s: it is not 64 bits in its section", name)
	}
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint64(b[v.Offset:], uint64(value))
	section.Contents[0].Value = b
	return nil
}
