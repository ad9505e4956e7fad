package system

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// firstWindows11 is the build from which on Windows calls itself 11; what the
// registry says of it went on to be Windows 10.
const firstWindows11 = 22000

func productName(name string, build uint32) string {
	if name == "" {
		name = "Windows"
	}
	if build >= firstWindows11 && strings.HasPrefix(name, "Windows 10") {
		name = "Windows 11" + strings.TrimPrefix(name, "Windows 10")
	}
	return name
}

// countRecords counts records that begin with a kind and their size, of four
// bytes each.
func countRecords(b []byte) (int32, error) {
	n := int32(0)
	for len(b) > 0 {
		if len(b) < 8 {
			return 0, fmt.Errorf("%d bytes after record %d", len(b), n)
		}
		size := binary.LittleEndian.Uint32(b[4:])
		if size < 8 || int64(size) > int64(len(b)) {
			return 0, fmt.Errorf("record %d names %d bytes of %d", n+1, size, len(b))
		}
		b = b[size:]
		n++
	}
	return n, nil
}
