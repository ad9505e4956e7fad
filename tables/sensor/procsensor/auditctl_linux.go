package procsensor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Requests to the audit (linux/audit.h).
const (
	auditGet       = 1000
	auditSet       = 1001
	auditUser      = 1005 // a message of our own into the record
	auditAddRule   = 1011
	auditDelRule   = 1012
	auditListRules = 1013

	auditMaskEnabled = 1
	auditMaskPID     = 4
	auditMaskBacklog = 0x10
	auditMaskWait    = 0x20

	auditFilterTask = 1
	auditFilterExit = 4
	auditNever      = 0
	auditAlways     = 2
	auditFieldArch  = 11
	auditSuccess    = 104
	auditKey        = 210
	auditEqual      = 0x40000000
)

// auditStatus is struct audit_status.
type auditStatus struct {
	Mask, Enabled, Failure, PID, RateLimit, Backlog, Lost, Waiting, Features, WaitTime, WaitedTime uint32
}

func (s auditStatus) bytes() []byte {
	var b []byte
	for _, v := range []uint32{s.Mask, s.Enabled, s.Failure, s.PID, s.RateLimit, s.Backlog, s.Lost, s.Waiting, s.Features, s.WaitTime, s.WaitedTime} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

// parseAuditStatus reads a status; older kernels have fewer words.
func parseAuditStatus(b []byte) (s auditStatus, err error) {
	words := []*uint32{&s.Mask, &s.Enabled, &s.Failure, &s.PID, &s.RateLimit, &s.Backlog, &s.Lost, &s.Waiting, &s.Features, &s.WaitTime, &s.WaitedTime}
	if len(b) < 8*4 {
		return s, fmt.Errorf("audit status of %d bytes is too short", len(b))
	}
	for i, w := range words {
		if len(b) >= 4*i+4 {
			*w = binary.NativeEndian.Uint32(b[4*i:])
		}
	}
	return s, nil
}

// auditControl asks and tells the audit, apart from the socket on which the
// records come.
type auditControl struct{ *nlsock }

func openAuditControl() (*auditControl, error) {
	s, err := openNetlink(unix.NETLINK_AUDIT, 0, 64<<10)
	if err != nil {
		return nil, err
	}
	return &auditControl{s}, nil
}

// ask sends a request and hands each answer to f until the kernel has
// acknowledged it.
func (c *auditControl) ask(kind uint16, payload []byte, f func(kind uint16, data []byte)) error {
	seq, err := c.send(kind, unix.NLM_F_REQUEST|unix.NLM_F_ACK, payload)
	if err != nil {
		return err
	}
	if err := c.f.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	buf := make([]byte, 16<<10)
	acknowledged := false
	for {
		n, err := c.receive(buf)
		if err != nil {
			return fmt.Errorf("wait for the answer: %w", err)
		}
		// The audit's lengths leave out the header at times: one datagram is
		// one message.
		if n < nlHeader || binary.NativeEndian.Uint32(buf[8:]) != seq {
			continue
		}
		got, data := binary.NativeEndian.Uint16(buf[4:]), buf[nlHeader:n]
		switch got {
		case unix.NLMSG_ERROR:
			if err := nlError(data); err != nil {
				return err
			}
			acknowledged = true
			if kind != auditListRules && kind != auditGet || f == nil {
				return nil
			}
		case unix.NLMSG_DONE:
			return nil
		default:
			if f != nil {
				f(got, data)
			}
			if kind == auditGet {
				f = nil
				if acknowledged {
					return nil
				}
			}
		}
	}
}

// status asks how the audit stands.
func (c *auditControl) status() (s auditStatus, err error) {
	var perr error
	found := false
	err = c.ask(auditGet, nil, func(kind uint16, data []byte) {
		if kind == auditGet {
			s, perr = parseAuditStatus(data)
			found = true
		}
	})
	if err == nil && !found {
		perr = errors.New("the kernel gave no status")
	}
	return s, errors.Join(err, perr)
}

func (c *auditControl) set(s auditStatus) error { return c.ask(auditSet, s.bytes(), nil) }

// taskRule says whether a rule such as Debian's "-a never,task" keeps the audit
// from looking at processes at all.
func (c *auditControl) taskRule() (found bool, err error) {
	err = c.ask(auditListRules, nil, func(kind uint16, data []byte) {
		if kind == auditListRules && len(data) >= 12 &&
			binary.NativeEndian.Uint32(data) == auditFilterTask &&
			binary.NativeEndian.Uint32(data[4:]) == auditNever &&
			binary.NativeEndian.Uint32(data[8:]) == 0 {
			found = true
		}
	})
	return found, err
}

// auditHold is what we changed, to be changed back.
type auditHold struct {
	control *auditControl
	before  auditStatus
	rules   [][]byte
	set     bool
}

// auditBacklog is how many records may wait for us.
const auditBacklog = 8192

// take makes the audit tell us of executions. events is the socket on which
// the records will come.
func (h *auditHold) take(events *nlsock) error {
	unavailable := func(reason string, err error) error {
		return &Unavailable{Mechanism: "audit", Reason: reason, Err: err}
	}
	s, err := h.control.status()
	switch {
	case errors.Is(err, unix.EPERM):
		return unavailable("needs root, or the capability CAP_AUDIT_CONTROL, in the first user namespace", err)
	case errors.Is(err, unix.ECONNREFUSED):
		return unavailable("not in a container: the audit talks to the first network and process namespaces only", err)
	case err != nil:
		return unavailable("the audit does not answer", err)
	}
	h.before = s
	switch {
	case s.PID != 0 && int(s.PID) != os.Getpid():
		return unavailable(fmt.Sprintf("process %d (%s) already takes the audit's records; stop it to use this mechanism", s.PID, processName(s.PID)), nil)
	case s.Enabled == 2:
		return unavailable("the audit's configuration is locked until the next boot (auditctl -e 2)", nil)
	}
	never, err := h.control.taskRule()
	if err != nil {
		return unavailable("the audit's rules cannot be listed", err)
	}
	if never {
		return unavailable("the rule \"-a never,task\" keeps the audit from looking at processes; remove it with auditctl -d never,task", nil)
	}
	archs := auditArchs()
	if len(archs) == 0 {
		return unavailable("the numbers of execve are not known on "+runtime.GOARCH, nil)
	}
	h.set = true
	// The records' socket is the one that names itself as the receiver.
	e := auditControl{events}
	if err := e.set(auditStatus{Mask: auditMaskPID, PID: uint32(os.Getpid())}); err != nil {
		if errors.Is(err, unix.EEXIST) {
			return unavailable("another process already takes the audit's records", err)
		}
		return unavailable("the kernel did not make us the receiver of records", err)
	}
	// A full backlog must not hold up the programs of the machine: drop, and
	// count what is dropped.
	now := auditStatus{Mask: auditMaskEnabled | auditMaskBacklog | auditMaskWait, Enabled: 1, Backlog: max(auditBacklog, s.Backlog)}
	if err := h.control.set(now); err != nil {
		return unavailable("the kernel did not take our settings", err)
	}
	for _, a := range archs {
		rule := auditRule(a)
		err := h.control.ask(auditAddRule, rule, nil)
		// One of ours that a killed agent left behind is taken over.
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return unavailable("the kernel did not take our rule", err)
		}
		h.rules = append(h.rules, rule)
	}
	return events.f.SetReadDeadline(time.Time{})
}

// removeRules removes our rules; those that are gone already do no harm.
func (h *auditHold) removeRules(by *auditControl) error {
	var errs []error
	for _, rule := range h.rules {
		if err := by.ask(auditDelRule, rule, nil); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("remove our audit rule: %w", err))
		}
	}
	return errors.Join(errs...)
}

// release puts everything back.
func (h *auditHold) release() error {
	errs := []error{h.removeRules(h.control)}
	if h.set {
		h.set = false
		back := auditStatus{
			Mask:    auditMaskEnabled | auditMaskBacklog | auditMaskWait,
			Enabled: h.before.Enabled, Backlog: h.before.Backlog, WaitTime: h.before.WaitTime,
		}
		// The receiver last: without one, records go to the kernel's log.
		for _, s := range []auditStatus{back, {Mask: auditMaskPID}} {
			if err := h.control.set(s); err != nil {
				errs = append(errs, fmt.Errorf("put the audit's settings back: %w", err))
			}
		}
	}
	return errors.Join(append(errs, h.control.close())...)
}

func processName(pid uint32) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || len(b) < 2 {
		return "its name cannot be read"
	}
	return string(b[:len(b)-1])
}
