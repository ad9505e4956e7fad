package system

import (
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/tables"
	. "github.com/aiedr/edr/tables/tablestest"
)

func TestTime(t *testing.T) {
	r := Scan(t, Time, Host(t, nil))
	if r.Err != nil || len(r.Rows) != 1 {
		t.Fatalf("%v, %v", r.Rows, r.Err)
	}
	Want(t, r.Rows[0], map[string]any{
		"weekday": "Wednesday", "year": 2026, "month": 3, "day": 4, "hour": 5, "minutes": 6, "seconds": 7, "timezone": "UTC",
		"unix_time": 1772600767, "timestamp": "Wed Mar  4 05:06:07 2026 UTC", "datetime": "2026-03-04T05:06:07Z",
		"iso_8601": "2026-03-04T05:06:07Z", "win_timestamp": nil,
	})
}

func TestOSVersion(t *testing.T) {
	text := "# of the distribution\nNAME=\"Some \\\"OS\\\"\"\nVERSION_ID='24.04.1'\nVERSION=\"24.04 (Noble)\"\nID=some\nID_LIKE=\"debian x\"\nVERSION_CODENAME=noble\nbroken\nOPEN=\"never closed\n"
	r := Scan(t, OSVersion, Host(t, map[string]string{"usr/lib/os-release": text, "etc/os-release": "-> ../usr/lib/os-release"}))
	if r.Err != nil || len(r.Rows) != 1 || len(r.Warnings) != 2 {
		t.Fatalf("%v, %v, %v", r.Rows, r.Err, r.Warnings)
	}
	Want(t, r.Rows[0], map[string]any{
		"name": `Some "OS"`, "version": "24.04 (Noble)", "major": 24, "minor": 4, "patch": 1, "build": nil,
		"platform": "some", "platform_like": "debian x", "codename": "noble", "arch": nil,
	})
	r = Scan(t, OSVersion, Host(t, map[string]string{"usr/lib/os-release": "NAME=Rolling\nID=arch\nBUILD_ID=rolling\nVERSION_ID=sid.x\n"}))
	if r.Err != nil || len(r.Warnings) != 1 {
		t.Fatalf("%v, %v", r.Err, r.Warnings)
	}
	Want(t, r.Rows[0], map[string]any{"name": "Rolling", "version": "sid.x", "major": 0, "build": "rolling", "platform_like": "arch"})
	if r := Scan(t, OSVersion, Host(t, nil)); r.Err == nil || !strings.Contains(r.Err.Error(), "os-release") {
		t.Errorf("without os-release: %v", r.Err)
	}
}

func TestSystemInfo(t *testing.T) {
	cpu := "processor\t: 0\nmodel\t\t: 1\nmodel name\t: Some CPU @ 2GHz\nmicrocode\t: 0x1\nphysical id\t: 0\ncore id\t\t: 0\n\n"
	files := map[string]string{
		"sys/class/dmi/id/product_uuid": "4C4C4544-0042-3510-8052-B4C04F4E3333\n",
		"sys/class/dmi/id/sys_vendor":   "Vendor Inc.\n", "sys/class/dmi/id/product_name": "Box 9\n",
		"sys/class/dmi/id/board_serial": "B1\n", "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
		"proc/sys/kernel/hostname": "web1.example.org\n", "proc/meminfo": "MemTotal: 1024 kB\n",
		"proc/cpuinfo": cpu + strings.Replace(cpu, "processor\t: 0", "processor\t: 1", 1) + strings.Replace(strings.Replace(cpu, "core id\t\t: 0", "core id\t\t: 1", 1), "physical id\t: 0", "physical id\t: 1", 1),
	}
	r := Scan(t, SystemInfo, Host(t, files))
	if r.Err != nil || len(r.Rows) != 1 || len(r.Warnings) != 0 {
		t.Fatalf("%v, %v, %v", r.Rows, r.Err, r.Warnings)
	}
	Want(t, r.Rows[0], map[string]any{
		"hostname": "web1.example.org", "local_hostname": "web1", "computer_name": "web1.example.org",
		"uuid": "4c4c4544-0042-3510-8052-b4c04f4e3333", "cpu_brand": "Some CPU @ 2GHz", "cpu_logical_cores": 3,
		"cpu_physical_cores": 2, "cpu_sockets": 2, "cpu_microcode": "0x1", "cpu_subtype": "1", "physical_memory": 1 << 20,
		"hardware_vendor": "Vendor Inc.", "hardware_model": "Box 9", "board_serial": "B1", "hardware_serial": "",
	})
	files["sys/class/dmi/id/product_uuid"] = "03000200-0400-0500-0006-000700080009\n"
	files["proc/meminfo"] = "broken"
	r = Scan(t, SystemInfo, Host(t, files))
	if r.Err != nil || len(r.Warnings) != 1 {
		t.Fatalf("%v, %v", r.Err, r.Warnings)
	}
	Want(t, r.Rows[0], map[string]any{"uuid": "01234567-89ab-cdef-0123-456789abcdef", "physical_memory": 0})
	r = Scan(t, SystemInfo, Host(t, nil))
	if r.Err != nil || len(r.Rows) != 1 || len(r.Warnings) == 0 {
		t.Errorf("of an empty machine: %v, %v, %v", r.Rows, r.Err, r.Warnings)
	}
}

func TestUptimeAndKernel(t *testing.T) {
	host := Host(t, map[string]string{
		"proc/uptime": "93784.50 1.0\n", "proc/sys/kernel/osrelease": "6.1.0-9\n",
		"proc/cmdline": "BOOT_IMAGE=/boot/vmlinuz root=UUID=x ro quiet\n",
	})
	Want(t, Scan(t, Uptime, host).Rows[0], map[string]any{"days": 1, "hours": 2, "minutes": 3, "seconds": 4, "total_seconds": 93784})
	Want(t, Scan(t, KernelInfo, host).Rows[0], map[string]any{"version": "6.1.0-9", "arguments": "ro quiet", "path": "/boot/vmlinuz", "device": "UUID=x"})
	for _, table := range []*tables.Table{Uptime, KernelInfo} {
		if r := Scan(t, table, Host(t, nil)); r.Err == nil {
			t.Errorf("%s of a machine without /proc has no error", table.Name)
		}
	}
	if r := Scan(t, Uptime, Host(t, map[string]string{"proc/uptime": "soon"})); r.Err == nil {
		t.Error("a broken uptime has no error")
	}
}

func TestAgentTables(t *testing.T) {
	host := Host(t, map[string]string{"etc/machine-id": "0123456789abcdef0123456789abcdef\n"})
	for _, table := range []*tables.Table{EDRSchedule, OsquerySchedule, EDRSensors} {
		if r := Scan(t, table, host); r.Err == nil || !strings.Contains(r.Err.Error(), "only a running agent knows") {
			t.Errorf("%s outside an agent: %v", table.Name, r.Err)
		}
	}
	Want(t, Scan(t, EDRInfo, host).Rows[0], map[string]any{"running": 0, "uuid": nil, "outbox_records": nil})
	Want(t, Scan(t, OsqueryInfo, host).Rows[0], map[string]any{"uuid": "01234567-89ab-cdef-0123-456789abcdef", "version": osquerySemantics, "instance_id": ""})

	host.Agent = func() tables.AgentInfo {
		return tables.AgentInfo{UUID: "u", InstanceID: "i", Version: "1.2", ConfigHash: "h", ConfigOK: true, Server: "s:1",
			Started: time.Unix(100, 0), OutboxRecords: 3, OutboxDropped: 4, CPULimit: 5, Respond: "observe"}
	}
	host.Schedule = func() []tables.QueryStats {
		return []tables.QueryStats{
			{Name: "q", SQL: "SELECT 1", Interval: time.Minute, Executions: 2, LastExecuted: time.Unix(50, 0), Wall: 2500 * time.Millisecond,
				User: 20 * time.Millisecond, System: 10 * time.Millisecond, OutputSize: 9, Rows: 7, Memory: 11, LastError: "no"},
			{Name: "new"},
		}
	}
	host.Sensors = func() []tables.SensorStatus {
		return []tables.SensorStatus{
			{Name: "process", Table: "process_events", State: "degraded", Mechanism: "audit", Detail: "no BTF", Events: 5, Lost: 2, Gaps: 1,
				LastEvent: time.Unix(70, 0), Started: time.Unix(60, 0)},
			{Name: "file", State: "failed"},
		}
	}
	Want(t, Scan(t, EDRInfo, host).Rows[0], map[string]any{
		"running": 1, "uuid": "u", "instance_id": "i", "version": "1.2", "config_valid": 1, "server": "s:1", "start_time": 100,
		"outbox_records": 3, "outbox_dropped": 4, "cpu_limit": 5.0, "respond": "observe",
	})
	Want(t, Scan(t, OsqueryInfo, host).Rows[0], map[string]any{"instance_id": "i", "config_hash": "h", "config_valid": 1, "start_time": 100, "watcher": -1})
	r := Scan(t, EDRSchedule, host)
	Want(t, r.Find(t, "name", "q"), map[string]any{
		"query": "SELECT 1", "interval": 60, "executions": 2, "last_executed": 50, "wall_time": 2, "wall_time_ms": 2500,
		"user_time": 20, "system_time": 10, "output_size": 9, "rows": 7, "average_memory": 11, "last_error": "no", "denylisted": 0,
	})
	Want(t, r.Find(t, "name", "new"), map[string]any{"last_executed": 0})
	if r := Scan(t, OsquerySchedule, host); len(r.Rows) != 2 {
		t.Errorf("osquery_schedule: %d rows", len(r.Rows))
	}
	r = Scan(t, EDRSensors, host)
	Want(t, r.Find(t, "name", "process"), map[string]any{
		"table_name": "process_events", "state": "degraded", "mechanism": "audit", "detail": "no BTF", "events": 5, "lost": 2, "gaps": 1,
		"last_event": 70, "start_time": 60,
	})
	Want(t, r.Find(t, "name", "file"), map[string]any{"last_event": nil, "start_time": nil})
}

func FuzzFacts(f *testing.F) {
	f.Add("NAME=\"x\"\nVERSION_ID=1.2\n")
	f.Add("A='\\'\n=\n\"")
	f.Fuzz(func(t *testing.T, s string) {
		kv, _ := parseOSRelease(s)
		for k := range kv {
			if k == "" {
				t.Error("a key is empty")
			}
		}
		parseKernelCmdline(s)
		var i Info
		i.cpus([]byte(s))
	})
}
