package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"strings"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/procfs"
)

// Info is the row of system_info.
type Info struct {
	Hostname      string             `col:"hostname" doc:"Host name with its domain where it has one; /proc/sys/kernel/hostname, or /etc/hostname in files of another machine."`
	UUID          string             `col:"uuid" doc:"Identifier of the machine: the hardware's (DMI product_uuid), else /etc/machine-id as a UUID; on Windows the MachineGuid of the installation."`
	CPUType       string             `col:"cpu_type" doc:"Architecture of the processor, as uname has it."`
	CPUSubtype    string             `col:"cpu_subtype" doc:"Model number of the processor within its family."`
	CPUBrand      string             `col:"cpu_brand" doc:"Model name of the processor."`
	PhysicalCores int32              `col:"cpu_physical_cores" doc:"Number of physical processor cores."`
	LogicalCores  int32              `col:"cpu_logical_cores" doc:"Number of logical processor cores."`
	Sockets       tables.Opt[int32]  `col:"cpu_sockets" doc:"Number of processor sockets; NULL where the kernel does not say."`
	Microcode     tables.Opt[string] `col:"cpu_microcode" doc:"Microcode version; NULL where the kernel does not say."`
	Memory        int64              `col:"physical_memory" doc:"Memory that the kernel manages, in bytes; MemTotal."`
	HWVendor      string             `col:"hardware_vendor" doc:"Vendor of the hardware; DMI sys_vendor, empty where the machine has no DMI."`
	HWModel       string             `col:"hardware_model" doc:"Model of the hardware; DMI product_name."`
	HWVersion     string             `col:"hardware_version" doc:"Version of the hardware; DMI product_version."`
	HWSerial      string             `col:"hardware_serial" doc:"Serial number of the hardware; DMI product_serial, which only root may read."`
	BoardVendor   string             `col:"board_vendor" doc:"Vendor of the board; DMI board_vendor."`
	BoardModel    string             `col:"board_model" doc:"Model of the board; DMI board_name."`
	BoardVersion  string             `col:"board_version" doc:"Version of the board; DMI board_version."`
	BoardSerial   string             `col:"board_serial" doc:"Serial number of the board; DMI board_serial, which only root may read."`
	ComputerName  string             `col:"computer_name" doc:"The host name again."`
	LocalHostname string             `col:"local_hostname" doc:"The host name without its domain."`
	EmulatedCPU   tables.Opt[string] `col:"emulated_cpu_type,hidden" doc:"Windows only; NULL elsewhere."`
}

// SystemInfo is the table of the machine's identity and hardware.
var SystemInfo = tables.New(tables.Spec[Info]{
	Name: "system_info", Doc: "Identity, processor, memory and hardware of the machine: one row.",
	Examples: []string{"SELECT hostname, uuid, cpu_brand, physical_memory FROM system_info"},
	Class:    tables.Inventory, Platforms: tables.Linux | tables.Windows,
	Scan: func(ctx context.Context, q *tables.Query) iter.Seq2[Info, error] {
		if err := q.Host.Needs(tables.Linux | tables.Windows); err != nil {
			return fail[Info](err)
		}
		if onWindows(q) {
			return one(liveInfo(q))
		}
		return one(readInfo(q))
	},
})

// onWindows says whether the machine that is read is this Windows.
func onWindows(q *tables.Query) bool {
	return runtime.GOOS == "windows" && q.Host.Root != nil && q.Host.Root.Live()
}

// small bounds the one-line files that are read here.
const small = 64 << 10

// fact reads a one-line file; what does not exist is empty and no warning.
func fact(q *tables.Query, name string) string {
	data, err := q.Host.Root.ReadFile(name, small)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			q.Warn(err)
		}
		return ""
	}
	return strings.TrimSpace(string(data))
}

func readInfo(q *tables.Query) Info {
	var i Info
	i.HWVendor, i.HWModel = fact(q, dmi+"sys_vendor"), fact(q, dmi+"product_name")
	i.HWVersion, i.HWSerial = fact(q, dmi+"product_version"), fact(q, dmi+"product_serial")
	i.BoardVendor, i.BoardModel = fact(q, dmi+"board_vendor"), fact(q, dmi+"board_name")
	i.BoardVersion, i.BoardSerial = fact(q, dmi+"board_version"), fact(q, dmi+"board_serial")
	i.UUID = machineID(q)
	if i.Hostname = fact(q, "/proc/sys/kernel/hostname"); i.Hostname == "" {
		i.Hostname = fact(q, "/etc/hostname")
	}
	i.ComputerName = i.Hostname
	i.LocalHostname, _, _ = strings.Cut(i.Hostname, ".")
	if data, err := q.Host.Root.ReadFile("/proc/meminfo", small); err != nil {
		q.Warn(err)
	} else if i.Memory, err = procfs.ParseMemTotal(data); err != nil {
		q.Warn(err)
	}
	if data, err := q.Host.Root.ReadFile("/proc/cpuinfo", 16<<20); err != nil {
		q.Warn(err)
	} else {
		i.cpus(data)
	}
	if q.Host.Root.Live() {
		if u, err := uname(); err != nil {
			q.Warn(err)
		} else {
			i.CPUType = u.machine
		}
	}
	return i
}

// dmi is where the kernel shows what the firmware says of the hardware.
const dmi = "/sys/class/dmi/id/"

// machineID is the identifier of the machine, by the hardware or the system.
func machineID(q *tables.Query) string {
	id := hardwareUUID(fact(q, dmi+"product_uuid"))
	if id == "" {
		id = machineUUID(fact(q, "/etc/machine-id"))
	}
	if id == "" {
		q.Warn(errors.New("the machine has neither a DMI product_uuid nor an /etc/machine-id: uuid is empty"))
	}
	return id
}

// cpus reads /proc/cpuinfo: a paragraph for each logical core.
func (i *Info) cpus(data []byte) {
	sockets, cores := map[string]bool{}, map[string]bool{}
	var socket, core string
	flush := func() {
		if core != "" {
			cores[socket+"/"+core] = true
		}
		socket, core = "", ""
	}
	for line := range bytes.Lines(data) {
		key, val, _ := strings.Cut(string(line), ":")
		key, val = strings.TrimSpace(key), strings.TrimSpace(val)
		switch key {
		case "":
			flush()
		case "processor":
			i.LogicalCores++
		case "model name":
			i.CPUBrand = val
		case "model":
			i.CPUSubtype = val
		case "microcode":
			i.Microcode = tables.Some(val)
		case "physical id":
			socket = val
			sockets[val] = true
		case "core id":
			core = val
		}
	}
	flush()
	if i.PhysicalCores = int32(len(cores)); i.PhysicalCores == 0 {
		i.PhysicalCores = i.LogicalCores
	}
	if len(sockets) > 0 {
		i.Sockets = tables.Some(int32(len(sockets)))
	}
}

// hardwareUUID refuses the values that vendors leave in place of one.
func hardwareUUID(s string) string {
	if len(s) != 36 {
		return ""
	}
	for _, bad := range []string{"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
		"03000200-0400-0500-0006-000700080009", "03020100-0504-0706-0809-0a0b0c0d0e0f"} {
		if strings.EqualFold(s, bad) {
			return ""
		}
	}
	return strings.ToLower(s)
}

// machineUUID puts the dashes of a UUID into machine-id(5).
func machineUUID(s string) string {
	if len(s) != 32 {
		return ""
	}
	return fmt.Sprintf("%s-%s-%s-%s-%s", s[:8], s[8:12], s[12:16], s[16:20], s[20:])
}
