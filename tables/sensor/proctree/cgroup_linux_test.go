package proctree

import "testing"

func TestCgroupMounts(t *testing.T) {
	const (
		unified = "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
		hybrid  = "40 39 0:34 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw\n41 39 0:35 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n42 39 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
		inside  = "40 39 0:34 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup rw\nbroken\n"
	)
	for _, c := range []struct{ info, v2, pids string }{
		{unified, "/sys/fs/cgroup", ""},
		{hybrid, "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids"},
		{inside, "", ""},
	} {
		if v2, pids := cgroupMounts(c.info); v2 != c.v2 || pids != c.pids {
			t.Errorf("%q: %q %q", c.info, v2, pids)
		}
	}
}
