package proctree

import (
	"encoding/binary"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/aiedr/edr/tables/procfs"
)

// cgroups finds the path of a cgroup by its inode number, also when all its
// processes are gone. It needs CAP_DAC_READ_SEARCH.
type cgroups struct {
	v2, legacy string // where the hierarchies are mounted; empty if they are not
}

func openCgroups(mountinfo string) cgroups {
	b, err := os.ReadFile(mountinfo)
	if err != nil {
		return cgroups{}
	}
	var c cgroups
	c.v2, c.legacy = cgroupMounts(string(b))
	return c
}

// cgroupMounts finds where cgroup v2 and the hierarchy of version 1 that counts
// processes are mounted.
func cgroupMounts(mountinfo string) (v2, pids string) {
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		place, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(place) < 5 || len(kind) < 3 || place[3] != "/" {
			continue
		}
		switch {
		case kind[0] == "cgroup2" && v2 == "":
			v2 = place[4]
		case kind[0] == "cgroup" && pids == "" && slices.Contains(strings.Split(kind[2], ","), "pids"):
			pids = place[4]
		}
	}
	return v2, pids
}

// kernfsHandle is the type of a file handle that is an inode number of kernfs
// (FILEID_KERNFS).
const kernfsHandle = 0xfe

// path is the path of a cgroup below its mount.
func (c cgroups) path(mount string, id uint64) (string, bool) {
	dir, err := unix.Open(mount, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", false
	}
	defer unix.Close(dir)
	handle := unix.NewFileHandle(kernfsHandle, binary.NativeEndian.AppendUint64(nil, id))
	fd, err := unix.OpenByHandleAt(dir, handle, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	full, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return "", false
	}
	path, ok := strings.CutPrefix(full, mount)
	if !ok {
		return "", false
	}
	return "/" + strings.TrimPrefix(path, "/"), true
}

// container is the container that one of the two cgroups belongs to. ok is
// false where neither could be found.
func (c cgroups) container(cgroup, legacy uint64) (id string, ok bool) {
	if c.v2 != "" && cgroup != 0 {
		path, found := c.path(c.v2, cgroup)
		if id := procfs.ContainerID([]byte(path)); len(id) > 0 {
			return string(id), true
		}
		ok = found
	}
	if c.legacy != "" && legacy != 0 {
		path, found := c.path(c.legacy, legacy)
		if id := procfs.ContainerID([]byte(path)); len(id) > 0 {
			return string(id), true
		}
		ok = found
	}
	return "", ok
}
