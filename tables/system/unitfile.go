package system

import (
	"fmt"
	"strings"
)

// unitFile holds the settings of a systemd unit, with those of its drop-ins
// added: by section and key, in the order in which they were given.
type unitFile map[string][]string

// parse adds the settings of one file. An empty value takes back what was
// given before, as systemd has it for lists. It returns what it could not read.
func (u unitFile) parse(data []byte) []error {
	var bad []error
	section := ""
	n := 0
	long := ""
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(line)
		if long == "" && trimmed == "" || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ";") {
			continue // comments are passed over inside continued lines, too
		}
		if before, ok := strings.CutSuffix(line, "\\"); ok {
			long += before + " "
			continue
		}
		trimmed = strings.TrimSpace(long + line)
		long = ""
		if strings.HasPrefix(trimmed, "[") && strings.HasSuffix(trimmed, "]") {
			section = trimmed[1 : len(trimmed)-1]
			continue
		}
		key, val, ok := strings.Cut(trimmed, "=")
		if !ok {
			bad = append(bad, fmt.Errorf("line %d: %q is neither a section nor a setting", n, clip(trimmed)))
			continue
		}
		if section == "" {
			bad = append(bad, fmt.Errorf("line %d: a setting before the first section", n))
			continue
		}
		key = section + "." + strings.TrimSpace(key)
		val = strings.TrimSpace(val)
		if val == "" {
			delete(u, key)
			continue
		}
		u[key] = append(u[key], val)
	}
	return bad
}

// one is the setting that is in force of a key: the last.
func (u unitFile) one(key string) string {
	v := u[key]
	if len(v) == 0 {
		return ""
	}
	return v[len(v)-1]
}
