package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strconv"
	"strings"

	"github.com/aiedr/edr/tables"
)

// OS is the row of os_version.
type OS struct {
	Name         string             `col:"name" doc:"Name of the distribution; NAME of os-release. On Windows the product's name."`
	Version      string             `col:"version" doc:"Version as the distribution words it; VERSION of os-release."`
	Major        int32              `col:"major" doc:"Major release number; from VERSION_ID."`
	Minor        int32              `col:"minor" doc:"Minor release number; from VERSION_ID."`
	Patch        int32              `col:"patch" doc:"Patch release number; from VERSION_ID."`
	Build        tables.Opt[string] `col:"build" doc:"Build or variant; BUILD_ID of os-release, NULL where there is none."`
	Platform     string             `col:"platform" doc:"Short name of the platform; ID of os-release."`
	PlatformLike string             `col:"platform_like" doc:"Related platforms; ID_LIKE of os-release, or ID where there is none."`
	Codename     string             `col:"codename" doc:"Code name of the release; VERSION_CODENAME of os-release. On Windows such as 22H2."`
	Arch         tables.Opt[string] `col:"arch" doc:"Architecture as uname has it; NULL for files of another machine."`
	Extra        tables.Opt[string] `col:"extra,hidden" doc:"macOS only; NULL elsewhere."`
	InstallDate  tables.Opt[int64]  `col:"install_date,hidden" doc:"Windows only; NULL elsewhere."`
	Revision     tables.Opt[int32]  `col:"revision,hidden" doc:"Windows only; NULL elsewhere."`
	PIDWithNS    int32              `col:"pid_with_namespace,additional,hidden" doc:"Other namespaces are not read in this version: anything but 0 is an error."`
	MountNS      tables.Opt[string] `col:"mount_namespace_id,hidden" doc:"Always NULL: other namespaces are not read in this version."`
}

// OSVersion is the table of the operating system's name and version.
var OSVersion = tables.New(tables.Spec[OS]{
	Name: "os_version", Doc: "Name and version of the operating system: one row.",
	Examples: []string{"SELECT name, version, platform, arch FROM os_version"},
	Class:    tables.Inventory, Platforms: tables.Linux | tables.Windows,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[OS, error] {
		if err := q.Host.Needs(tables.Linux | tables.Windows); err != nil {
			return fail[OS](err)
		}
		if err := q.Unbuilt("pid_with_namespace"); err != nil {
			return fail[OS](err)
		}
		if onWindows(q) {
			o, err := liveOS(q)
			if err != nil {
				return fail[OS](err)
			}
			return one(o)
		}
		o, err := readOS(q)
		if err != nil {
			return fail[OS](err)
		}
		if q.Host.Root.Live() {
			if u, err := uname(); err == nil {
				o.Arch = tables.Some(u.machine)
			} else {
				q.Warn(err)
			}
		}
		return one(o)
	},
})

// readOS reads os-release(5) from the first of the two places it may be in.
func readOS(q *tables.Query) (OS, error) {
	data, err := q.Host.Root.ReadFile("/etc/os-release", 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = q.Host.Root.ReadFile("/usr/lib/os-release", 1<<20)
	}
	if err != nil {
		return OS{}, fmt.Errorf("%w (neither /etc/os-release nor /usr/lib/os-release tells the version)", err)
	}
	kv, bad := parseOSRelease(string(data))
	for _, err := range bad {
		q.Warn(fmt.Errorf("os-release: %w", err))
	}
	o := OS{
		Name: kv["NAME"], Version: kv["VERSION"], Platform: kv["ID"], PlatformLike: kv["ID_LIKE"],
		Codename: kv["VERSION_CODENAME"],
	}
	if o.Version == "" {
		o.Version = kv["VERSION_ID"]
	}
	if o.PlatformLike == "" {
		o.PlatformLike = o.Platform
	}
	if b, ok := kv["BUILD_ID"]; ok {
		o.Build = tables.Some(b)
	}
	parts := strings.SplitN(kv["VERSION_ID"], ".", 4)
	for i, to := range []*int32{&o.Major, &o.Minor, &o.Patch} {
		if i >= len(parts) || parts[i] == "" {
			break
		}
		n, err := strconv.ParseInt(parts[i], 10, 32)
		if err != nil {
			q.Warn(fmt.Errorf("os-release: VERSION_ID %q has no number in place %d", kv["VERSION_ID"], i+1))
			break
		}
		*to = int32(n)
	}
	return o, nil
}

// parseOSRelease reads the shell-like assignments of os-release(5).
func parseOSRelease(s string) (map[string]string, []error) {
	kv := map[string]string{}
	var bad []error
	n := 0
	for line := range strings.Lines(s) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, val, ok := strings.Cut(line, "=")
		if !ok || key == "" {
			bad = append(bad, fmt.Errorf("line %d is no assignment", n))
			continue
		}
		v, err := unquote(val)
		if err != nil {
			bad = append(bad, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		kv[key] = v
	}
	return kv, bad
}

// unquote takes the quotes and backslashes off a value as a shell would.
func unquote(s string) (string, error) {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		return s, nil
	}
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return b.String(), nil
		case s[i] == '\\' && quote == '"' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", errors.New("the quote is not closed")
}
