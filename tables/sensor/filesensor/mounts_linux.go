package filesensor

import (
	"os"
	"strings"
)

// mounted is a place where a file system is mounted.
type mounted struct{ path, kind string }

// mountPoints lists them; none if /proc cannot be read.
func mountPoints() []mounted {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	return parseMountinfo(string(data))
}

func parseMountinfo(text string) []mounted {
	// The kernel writes blanks and backslashes in octal.
	plain := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var points []mounted
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(line, " - ")
		f, kind := strings.Fields(before), strings.Fields(after)
		if ok && len(f) > 4 && len(kind) > 0 {
			points = append(points, mounted{plain.Replace(f[4]), kind[0]})
		}
	}
	return points
}

// remoteMounts are folders that are not walked: looking at them may wait for
// another machine, for ever.
func remoteMounts() []string {
	var remote []string
	for _, m := range mountPoints() {
		switch kind, _, _ := strings.Cut(m.kind, "."); kind {
		case "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "glusterfs", "fuse", "autofs", "ocfs2", "gfs2", "coda", "ncpfs":
			remote = append(remote, m.path)
		}
	}
	return remote
}
