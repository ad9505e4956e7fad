package system

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/aiedr/edr/tables/tablestest"
)

func TestSystemdUnits(t *testing.T) {
	files := map[string]string{
		"usr/lib/systemd/system/ssh.service":                       "[Unit]\nDescription=OpenBSD Secure Shell server\n[Service]\nExecStart=/usr/sbin/sshd -D\nUser=root\n[Install]\nWantedBy=multi-user.target\n",
		"etc/systemd/system/multi-user.target.wants/ssh.service":   "-> /usr/lib/systemd/system/ssh.service",
		"etc/systemd/system/sshd.service":                          "-> /usr/lib/systemd/system/ssh.service",
		"etc/systemd/system/ssh.service.d/evil.conf":               "[Service]\nExecStart=\nExecStart=/tmp/x\n",
		"usr/lib/systemd/system/service.d/all.conf":                "[Service]\nUser=nobody\n",
		"usr/lib/systemd/system/user-runtime-dir@.service":         "[Unit]\nDescription=dir of %i\n[Service]\nExecStart=/lib/systemd/x start %i\n",
		"usr/lib/systemd/system/getty@.service":                    "[Unit]\nDescription=Getty on %I\n[Service]\nExecStart=-/sbin/agetty %I\n[Install]\nWantedBy=getty.target\n",
		"etc/systemd/system/getty.target.wants/getty@tty1.service": "-> /usr/lib/systemd/system/getty@.service",
		"etc/systemd/system/x.target.requires/nowhere.service":     "-> /none",
		"usr/lib/systemd/system/apt-daily.timer":                   "[Timer]\nOnCalendar=daily\n",
		"etc/systemd/system/off.service":                           "-> /dev/null",
		"run/systemd/generator/home.mount":                         "[Unit]\nSourcePath=/etc/fstab\n[Mount]\nWhat=/dev/sda2\n",
		"run/systemd/transient/run-r1.service":                     "[Service]\nExecStart=/bin/sh -c id\n",
		"usr/lib/systemd/system/bad.service":                       "\xff\xfe\x00garbage\nno section = 1\n",
		"usr/lib/systemd/system/README":                            "no unit",
		"run/systemd/units/invocation:ssh.service":                 "-> 0123456789abcdef0123456789abcdef",
		"run/systemd/units/invocation:home.mount":                  "-> 0123456789abcdef0123456789abcdef",
		"run/systemd/units/invocation:done.service":                "-> 0123456789abcdef0123456789abcdef",
		"run/systemd/units/log-extra-fields:x":                     "-> y",
		"sys/fs/cgroup/system.slice/ssh.service/cgroup.procs":      "812\n",
		"sys/fs/cgroup/system.slice/done.service/cgroup.procs":     "",
	}
	r := Scan(t, SystemdUnits, Host(t, files))
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	for _, c := range []map[string]any{
		{"id": "ssh.service", "description": "OpenBSD Secure Shell server", "load_state": "loaded", "active_state": "active", "sub_state": "running",
			"unit_file_state": "enabled", "fragment_path": "/usr/lib/systemd/system/ssh.service", "user": "nobody", "exec_start": "/tmp/x",
			"drop_in_paths": "/usr/lib/systemd/system/service.d/all.conf /etc/systemd/system/ssh.service.d/evil.conf",
			"object_path":   "/org/freedesktop/systemd1/unit/ssh_2eservice", "job_id": nil, "following": nil},
		{"id": "getty@tty1.service", "unit_file_state": "enabled", "active_state": nil, "sub_state": nil, "description": "Getty on %I",
			"fragment_path": "/usr/lib/systemd/system/getty@.service"},
		{"id": "nowhere.service", "load_state": "not-found", "unit_file_state": nil, "fragment_path": ""},
		{"id": "apt-daily.timer", "unit_file_state": "static", "active_state": nil},
		{"id": "off.service", "load_state": "masked", "unit_file_state": "masked"},
		{"id": "home.mount", "unit_file_state": "generated", "source_path": "/etc/fstab", "active_state": "active", "sub_state": "mounted"},
		{"id": "run-r1.service", "unit_file_state": "transient", "exec_start": "/bin/sh -c id"},
		{"id": "bad.service", "load_state": "error"},
		{"id": "done.service", "load_state": "loaded", "active_state": "active", "sub_state": "exited", "unit_file_state": nil},
	} {
		t.Run(fmt.Sprint(c["id"]), func(t *testing.T) { Want(t, r.Find(t, "id", c["id"]), c) })
	}
	if len(r.Rows) != 9 {
		for _, row := range r.Rows {
			t.Log(row["id"])
		}
		t.Errorf("%d units, want 9", len(r.Rows))
	}
	if said := fmt.Sprint(r.Warnings); !strings.Contains(said, "bad.service line 1") {
		t.Errorf("the broken file is not told: %s", said)
	}
	// Where no systemd runs, nothing is active.
	for name := range files {
		if strings.HasPrefix(name, "run/systemd/units") {
			delete(files, name)
		}
	}
	r = Scan(t, SystemdUnits, Host(t, files))
	Want(t, r.Find(t, "id", "ssh.service"), map[string]any{"active_state": "inactive", "sub_state": "dead"})
}

func TestDropInNames(t *testing.T) {
	got := strings.Join(dropInNames("foo-bar-baz@x.service"), " ")
	if want := "foo-bar-baz@x.service foo-bar-baz@.service foo-bar-.service foo-.service service"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestMounts(t *testing.T) {
	host := Host(t, map[string]string{
		"proc/mounts": "/dev/mapper/vg-root / ext4 rw,relatime 0 0\nserver:/x /mnt/a\\040b nfs4 rw,vers=4.2 0 0\nbroken\n\n\xff\xfe /\xff tmpfs rw 0 0\n" +
			"tmpfs /tmp tmpfs rw,noexec 0 0\n",
		"dev/mapper/vg-root": "-> ../dm-0", "dev/dm-0": "",
	})
	r := Scan(t, Mounts, host)
	if r.Err != nil || len(r.Rows) != 4 {
		t.Fatalf("%d rows, %v", len(r.Rows), r.Err)
	}
	Want(t, r.Find(t, "path", "/"), map[string]any{"device": "/dev/mapper/vg-root", "device_alias": "/dev/dm-0", "type": "ext4", "flags": "rw,relatime", "blocks": nil})
	Want(t, r.Find(t, "path", "/mnt/a b"), map[string]any{"device": "server:/x", "device_alias": "server:/x", "type": "nfs4"})
	Want(t, r.Find(t, "path", "/tmp"), map[string]any{"flags": "rw,noexec"})
	if said := fmt.Sprint(r.Warnings); !strings.Contains(said, "line 3") {
		t.Errorf("the broken line is not told: %s", said)
	}
}

func TestMountsLive(t *testing.T) {
	r := Scan(t, Mounts, Live(t))
	if r.Err != nil || len(r.Rows) == 0 {
		t.Fatalf("%d rows, %v", len(r.Rows), r.Err)
	}
	measured := 0
	for _, row := range r.Rows {
		if n, ok := row["blocks_size"].(int64); ok && n > 0 {
			measured++
		}
	}
	if measured == 0 {
		t.Error("no file system was measured")
	}
}
