package api

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// whole is a whole number that may come as text, because a browser cannot
// write every number of 64 bits.
type whole int64

// UnmarshalJSON implements json.Unmarshaler.
func (w *whole) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err != nil {
		return fmt.Errorf("%s is no whole number", b)
	}
	*w = whole(n)
	return nil
}

// natural is a whole number of 64 bits that is not below 0, also as text.
type natural uint64

// UnmarshalJSON implements json.Unmarshaler.
func (n *natural) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseUint(strings.Trim(string(b), `"`), 10, 64)
	if err != nil {
		return fmt.Errorf("%s is no whole number from 0 on", b)
	}
	*n = natural(v)
	return nil
}

// checkers read the arguments of each action strictly: an identity that cannot
// be reused, so that nothing is done to another thing than the one seen. The
// host checks all of it again, and more.
var checkers = map[string]func(args json.RawMessage, dry bool) (any, error){
	"terminate_process":  processArgs,
	"suspend_process":    processArgs,
	"resume_process":     processArgs,
	"quarantine_file":    fileArgs,
	"restore_file":       restoreArgs,
	"block_connection":   blockArgs,
	"unblock_connection": unblockArgs,
}

// checkArgs reads the arguments of an action; a dry run may leave out what the
// host can fill in.
func checkArgs(action string, args json.RawMessage, dry bool) (json.RawMessage, error) {
	check := checkers[action]
	if check == nil {
		names := make([]string, 0, len(checkers))
		for name := range checkers {
			names = append(names, name)
		}
		slices.Sort(names)
		return nil, badRequest("there is no action %q; there are %s", action, strings.Join(names, ", "))
	}
	in, err := check(args, dry)
	if err != nil {
		return nil, badRequest("the args of %s: %v", action, err)
	}
	return json.Marshal(in)
}

func processArgs(args json.RawMessage, _ bool) (any, error) {
	var in struct {
		PID       *whole `json:"pid"`
		StartTime *whole `json:"start_time_ns"`
	}
	if err := strict(args, &in); err != nil {
		return nil, err
	}
	switch {
	case in.PID == nil || in.StartTime == nil || *in.PID < 1 || *in.StartTime < 1:
		return nil, fmt.Errorf("they need pid and start_time_ns: the pid alone may be another process by now")
	case *in.PID == 1:
		return nil, fmt.Errorf("pid 1 is the machine's init, which is left alone")
	}
	return in, nil
}

var sha256Form = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

func fileArgs(args json.RawMessage, dry bool) (any, error) {
	var in struct {
		Path   string   `json:"path"`
		Inode  *natural `json:"inode,omitempty"`
		Device *natural `json:"device,omitempty"`
		SHA256 string   `json:"sha256,omitempty"`
		Size   *natural `json:"size,omitempty"`
	}
	if err := strict(args, &in); err != nil {
		return nil, err
	}
	switch {
	case !path.IsAbs(in.Path) || strings.ContainsRune(in.Path, 0) || len(in.Path) > 4095:
		return nil, fmt.Errorf("path must be an absolute path of at most 4095 bytes")
	case in.SHA256 != "" && !sha256Form.MatchString(in.SHA256):
		return nil, fmt.Errorf("sha256 must be 64 hexadecimal digits")
	case !dry && (in.Inode == nil || *in.Inode == 0 || in.SHA256 == ""):
		return nil, fmt.Errorf("they need path, inode and sha256: a path alone may be another file by now. A dry run with the path answers the rest")
	}
	return in, nil
}

var quarantineID = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16}$`)

func restoreArgs(args json.RawMessage, _ bool) (any, error) {
	var in struct {
		ID string `json:"id"`
	}
	if err := strict(args, &in); err != nil {
		return nil, err
	}
	if !quarantineID.MatchString(in.ID) {
		return nil, fmt.Errorf("id must be that of a quarantined file, such as 20260102T030405Z-0123456789abcdef")
	}
	return in, nil
}

type endpoint struct {
	RemoteAddress string   `json:"remote_address"`
	RemotePort    *natural `json:"remote_port,omitempty"`
	Protocol      string   `json:"protocol,omitempty"`
	Direction     string   `json:"direction,omitempty"`
}

func (e endpoint) check() error {
	addr, err := netip.ParseAddr(e.RemoteAddress)
	switch {
	case err != nil:
		return fmt.Errorf("remote_address must be an IPv4 or IPv6 address")
	case addr.Unmap().IsLoopback() || addr.IsUnspecified() || addr.IsMulticast():
		return fmt.Errorf("remote_address %s is no other machine's", e.RemoteAddress)
	case e.RemotePort != nil && *e.RemotePort > 65535:
		return fmt.Errorf("remote_port must be at most 65535, 0 for any")
	case !slices.Contains([]string{"", "tcp", "udp", "any"}, e.Protocol):
		return fmt.Errorf("protocol must be tcp, udp or any")
	case !slices.Contains([]string{"", "out", "in", "both"}, e.Direction):
		return fmt.Errorf("direction must be out, in or both")
	}
	return nil
}

func blockArgs(args json.RawMessage, _ bool) (any, error) {
	var in struct {
		endpoint
		PID       *whole   `json:"pid,omitempty"`
		StartTime *whole   `json:"start_time_ns,omitempty"`
		Duration  *natural `json:"duration_s,omitempty"`
	}
	if err := strict(args, &in); err != nil {
		return nil, err
	}
	switch {
	case in.PID != nil && (*in.PID < 1 || in.StartTime == nil || *in.StartTime < 1):
		return nil, fmt.Errorf("a pid needs its start_time_ns: the pid alone may be another process by now")
	case in.Duration != nil && *in.Duration > 30*24*3600:
		return nil, fmt.Errorf("duration_s must be at most %d, 0 for an hour", 30*24*3600)
	}
	return in, in.check()
}

func unblockArgs(args json.RawMessage, _ bool) (any, error) {
	var in endpoint
	if err := strict(args, &in); err != nil {
		return nil, err
	}
	return in, in.check()
}
