package procfs

import (
	"bytes"
	"fmt"
)

// Mount is a line of /proc/mounts.
type Mount struct {
	Device, Path, Type, Options string
}

// ParseMount reads a line of /proc/mounts, where a space, tab, newline or
// backslash in a name is written as three octal digits.
func ParseMount(line []byte) (Mount, error) {
	var f [4][]byte
	for i := range f {
		if f[i], line = field(line); len(f[i]) == 0 {
			return Mount{}, fmt.Errorf("parse mount: ends before field %d", i+1)
		}
	}
	return Mount{Device: unescape(f[0]), Path: unescape(f[1]), Type: unescape(f[2]), Options: unescape(f[3])}, nil
}

func unescape(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+3 < len(b) && octal(b[i+1]) && b[i+1] < '4' && octal(b[i+2]) && octal(b[i+3]) {
			out = append(out, (b[i+1]-'0')<<6|(b[i+2]-'0')<<3|(b[i+3]-'0'))
			i += 3
			continue
		}
		out = append(out, b[i])
	}
	return string(out)
}

func octal(c byte) bool { return c >= '0' && c <= '7' }

// Unlimited is the value of a limit that does not limit.
const Unlimited = 1<<64 - 1

// Limit is a line of /proc/PID/limits.
type Limit struct {
	Name       string // such as "Max open files"
	Soft, Hard uint64
}

// limitName is how wide the kernel makes the first column.
const limitName = 26

// ParseLimit reads a line of /proc/PID/limits. The heading is an error.
func ParseLimit(line []byte) (Limit, error) {
	if len(line) <= limitName {
		return Limit{}, fmt.Errorf("parse limit: the line is too short")
	}
	l := Limit{Name: string(bytes.TrimRight(line[:limitName], " "))}
	rest := line[limitName:]
	for _, to := range []*uint64{&l.Soft, &l.Hard} {
		var w []byte
		w, rest = field(rest)
		if string(w) == "unlimited" {
			*to = Unlimited
			continue
		}
		v, err := uintOf(w)
		if err != nil {
			return Limit{}, fmt.Errorf("parse limit %s: %w", l.Name, err)
		}
		*to = v
	}
	return l, nil
}
