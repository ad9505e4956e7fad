package engine

import (
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// cpuTime is processor time of a thread.
type cpuTime struct{ user, system time.Duration }

// threadCPU is what the calling thread has used so far.
func threadCPU() cpuTime {
	var created, ended, kernel, user windows.Filetime
	getThreadTimes := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetThreadTimes")
	ok, _, _ := getThreadTimes.Call(uintptr(windows.CurrentThread()),
		uintptr(unsafe.Pointer(&created)), uintptr(unsafe.Pointer(&ended)),
		uintptr(unsafe.Pointer(&kernel)), uintptr(unsafe.Pointer(&user)))
	if ok == 0 {
		return cpuTime{}
	}
	return cpuTime{span(user), span(kernel)}
}

// span reads a count of 100 nanoseconds.
func span(f windows.Filetime) time.Duration {
	return time.Duration(uint64(f.HighDateTime)<<32|uint64(f.LowDateTime)) * 100
}
