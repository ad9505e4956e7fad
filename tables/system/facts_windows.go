package system

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"github.com/shirou/gopsutil/v3/mem"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/aiedr/edr/tables"
)

// Where Windows says what it is and runs on.
const (
	currentVersion = `SOFTWARE\Microsoft\Windows NT\CurrentVersion`
	biosKey        = `HARDWARE\DESCRIPTION\System\BIOS`
	processorKey   = `HARDWARE\DESCRIPTION\System\CentralProcessor\0`
	cryptography   = `SOFTWARE\Microsoft\Cryptography`
)

// reg reads values of one key below HKEY_LOCAL_MACHINE. A value that is not
// there is empty and no warning.
type reg struct {
	q    *tables.Query
	key  registry.Key
	path string
}

func openReg(q *tables.Query, path string) reg {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		if !errors.Is(err, registry.ErrNotExist) {
			q.Warn(fmt.Errorf("open registry key HKEY_LOCAL_MACHINE\\%s: %w", path, err))
		}
		return reg{q: q, path: path}
	}
	return reg{q, k, path}
}

func (r reg) close() {
	if r.key != 0 {
		_ = r.key.Close()
	}
}

func (r reg) text(name string) string {
	if r.key == 0 {
		return ""
	}
	s, _, err := r.key.GetStringValue(name)
	r.warn(name, err)
	return strings.TrimSpace(s)
}

func (r reg) number(name string) (int64, bool) {
	if r.key == 0 {
		return 0, false
	}
	n, _, err := r.key.GetIntegerValue(name)
	r.warn(name, err)
	return int64(n), err == nil
}

func (r reg) warn(name string, err error) {
	if err != nil && !errors.Is(err, registry.ErrNotExist) {
		r.q.Warn(fmt.Errorf("read the value %s of registry key HKEY_LOCAL_MACHINE\\%s: %w", name, r.path, err))
	}
}

// liveOS is the version of the running Windows. The kernel says which it is to
// whoever asks, also where a program asks for compatibility; the registry has
// what people call it.
func liveOS(q *tables.Query) (OS, error) {
	v := windows.RtlGetVersion()
	r := openReg(q, currentVersion)
	defer r.close()
	o := OS{
		Name:    "Microsoft " + productName(r.text("ProductName"), v.BuildNumber),
		Version: fmt.Sprintf("%d.%d.%d", v.MajorVersion, v.MinorVersion, v.BuildNumber),
		Major:   int32(v.MajorVersion), Minor: int32(v.MinorVersion),
		Build: tables.Some(fmt.Sprint(v.BuildNumber)), Platform: "windows", PlatformLike: "windows",
		Codename: r.text("DisplayVersion"), Arch: tables.Some(archName()),
	}
	if ubr, ok := r.number("UBR"); ok {
		o.Revision = tables.Some(int32(ubr))
	}
	if at, ok := r.number("InstallDate"); ok {
		o.InstallDate = tables.Some(at)
	}
	return o, nil
}

func archName() string {
	switch runtime.GOARCH {
	case "amd64", "arm64":
		return "64-bit"
	}
	return "32-bit"
}

// liveInfo is the identity and hardware of the running Windows.
func liveInfo(q *tables.Query) Info {
	i := Info{CPUType: map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH], LogicalCores: int32(runtime.NumCPU())}
	var err error
	if i.Hostname, err = os.Hostname(); err != nil {
		q.Warn(fmt.Errorf("read the host name: %w", err))
	}
	i.ComputerName = i.Hostname
	i.LocalHostname, _, _ = strings.Cut(i.Hostname, ".")
	if m, err := mem.VirtualMemory(); err != nil {
		q.Warn(fmt.Errorf("read the size of the memory: %w", err))
	} else {
		i.Memory = int64(m.Total)
	}
	bios := openReg(q, biosKey)
	defer bios.close()
	i.HWVendor, i.HWModel, i.HWVersion = bios.text("SystemManufacturer"), bios.text("SystemProductName"), bios.text("SystemVersion")
	i.BoardVendor, i.BoardModel, i.BoardVersion = bios.text("BaseBoardManufacturer"), bios.text("BaseBoardProduct"), bios.text("BaseBoardVersion")
	cpu := openReg(q, processorKey)
	defer cpu.close()
	i.CPUBrand, i.CPUSubtype = cpu.text("ProcessorNameString"), cpu.text("Identifier")
	i.UUID = liveUUID(q)
	if cores, err := relations(relationCore); err != nil {
		q.Warn(fmt.Errorf("count the processor cores: %w", err))
		i.PhysicalCores = i.LogicalCores
	} else {
		i.PhysicalCores = cores
	}
	if sockets, err := relations(relationPackage); err == nil {
		i.Sockets = tables.Some(sockets)
	}
	return i
}

// liveUUID is the identifier that the installation of Windows gave itself.
func liveUUID(q *tables.Query) string {
	r := openReg(q, cryptography)
	defer r.close()
	id := strings.ToLower(r.text("MachineGuid"))
	if id == "" {
		q.Warn(fmt.Errorf("the registry has no MachineGuid below %s: uuid is empty", cryptography))
	}
	return id
}

// Kinds of GetLogicalProcessorInformationEx.
const (
	relationCore    = 0
	relationPackage = 3
)

// relations counts the processor's parts of a kind. Each record begins with its
// kind and size, four bytes each.
func relations(kind uint32) (int32, error) {
	call := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetLogicalProcessorInformationEx")
	if err := call.Find(); err != nil {
		return 0, err
	}
	var size uint32
	_, _, _ = call.Call(uintptr(kind), 0, uintptr(unsafe.Pointer(&size)))
	const most = 16 << 20
	if size < 8 || size > most {
		return 0, fmt.Errorf("the system names %d bytes", size)
	}
	buf := make([]byte, size)
	if ok, _, err := call.Call(uintptr(kind), uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&size))); ok == 0 {
		return 0, err
	}
	return countRecords(buf[:min(int(size), len(buf))])
}

// liveUptime is the time since boot in seconds.
func liveUptime() (int64, error) { return int64(windows.DurationSinceBoot().Seconds()), nil }
