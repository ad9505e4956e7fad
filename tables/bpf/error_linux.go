package bpf

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// LoadError says why eBPF does not run here.
type LoadError struct {
	Op     string // what was tried
	Reason string // what the kernel lacks or refuses, and what would help
	Err    error
}

func (e *LoadError) Error() string {
	return fmt.Sprintf("%s: %s (%v)", e.Op, e.Reason, e.Err)
}

// Unwrap returns the kernel's or the library's error.
func (e *LoadError) Unwrap() error { return e.Err }

func loadError(op string, err error) error {
	reason := "the kernel refused it; another mechanism has to take over"
	var verifier *ebpf.VerifierError
	switch {
	case errors.As(err, &verifier):
		reason = "the kernel's verifier refused the program; please report the kernel version with this text"
	case os.Geteuid() != 0 && errors.Is(err, unix.EPERM):
		reason = "needs root, or the capabilities CAP_BPF and CAP_PERFMON"
	case errors.Is(err, unix.EPERM):
		reason = "the kernel forbids it even to root: lockdown, a container or a security policy"
	case errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, os.ErrNotExist):
		reason = "needs Linux 5.12 or later built with BTF (CONFIG_DEBUG_INFO_BTF)"
	}
	return &LoadError{Op: op, Reason: reason, Err: err}
}
