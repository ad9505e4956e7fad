package procfs

import "bytes"

// CgroupPath picks a process's path out of /proc/PID/cgroup: that of cgroup v2
// (the line "0::"), unless it is the root and a v1 hierarchy tells more; of
// those, systemd's naming hierarchy first, then whichever is deepest.
func CgroupPath(b []byte) []byte {
	var v2, systemd, other []byte
	for len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		first := bytes.IndexByte(line, ':')
		if first < 0 {
			continue
		}
		second := bytes.IndexByte(line[first+1:], ':')
		if second < 0 {
			continue
		}
		controllers := line[first+1 : first+1+second]
		path := line[first+second+2:]
		switch {
		case second == 0 && string(line[:first]) == "0":
			v2 = path
		case string(controllers) == "name=systemd":
			systemd = path
		case bytes.Count(path, []byte("/")) > bytes.Count(other, []byte("/")) || len(path) > 1 && len(other) <= 1:
			other = path
		}
	}
	for _, p := range [][]byte{v2, systemd, other} {
		if len(p) > 1 {
			return p
		}
	}
	for _, p := range [][]byte{v2, systemd, other} {
		if len(p) > 0 {
			return p
		}
	}
	return nil
}

// ContainerID finds the container's ID in a cgroup path, as the runtimes name
// their groups: Docker, containerd, Podman, CRI-O and Kubernetes use 64
// hexadecimal digits (docker-ID.scope, libpod-ID.scope, crio-ID.scope,
// cri-containerd-ID.scope, /docker/ID, /kubepods/…/ID), LXC and LXD a name
// (lxc.payload.NAME, /lxc/NAME). Empty outside a container.
func ContainerID(path []byte) []byte {
	rest := path
	for len(rest) > 0 {
		i := bytes.LastIndexByte(rest, '/')
		part := rest[i+1:]
		if i < 0 {
			i = 0
		}
		rest = rest[:i]
		if id := hexID(part); id != nil {
			return id
		}
		if name, ok := bytes.CutPrefix(part, []byte("lxc.payload.")); ok && len(name) > 0 {
			return name
		}
		if bytes.HasSuffix(rest, []byte("/lxc")) && len(part) > 0 {
			return part
		}
	}
	return nil
}

// hexID cuts the 64 digits out of a group's name: alone, or between the
// runtime's prefix and ".scope". The monitor's own group ("libpod-conmon-ID",
// "crio-conmon-ID") is not the container.
func hexID(part []byte) []byte {
	part = bytes.TrimSuffix(part, []byte(".scope"))
	if i := bytes.LastIndexAny(part, "-:"); i >= 0 {
		if bytes.Contains(part[:i], []byte("conmon")) {
			return nil
		}
		part = part[i+1:]
	}
	if len(part) != 64 {
		return nil
	}
	for _, c := range part {
		if hexDigit(c) > 15 {
			return nil
		}
	}
	return part
}
