package evidence

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The kinds of value in binary XML. kindList marks a list of them.
const (
	kindNull       = 0x00
	kindString     = 0x01
	kindANSI       = 0x02
	kindInt8       = 0x03
	kindUint8      = 0x04
	kindInt16      = 0x05
	kindUint16     = 0x06
	kindInt32      = 0x07
	kindUint32     = 0x08
	kindInt64      = 0x09
	kindUint64     = 0x0a
	kindReal32     = 0x0b
	kindReal64     = 0x0c
	kindBool       = 0x0d
	kindBinary     = 0x0e
	kindGUID       = 0x0f
	kindSize       = 0x10
	kindFileTime   = 0x11
	kindSystemTime = 0x12
	kindSID        = 0x13
	kindHex32      = 0x14
	kindHex64      = 0x15
	kindXML        = 0x21
	kindList       = 0x80
)

// widths are the sizes of the items of a list.
var widths = map[byte]int{
	kindInt8: 1, kindUint8: 1, kindInt16: 2, kindUint16: 2, kindInt32: 4, kindUint32: 4, kindInt64: 8, kindUint64: 8,
	kindReal32: 4, kindReal64: 8, kindBool: 4, kindGUID: 16, kindFileTime: 8, kindSystemTime: 16, kindHex32: 4, kindHex64: 8,
}

// items are the values of a list.
func (v value) items() []value {
	kind := v.kind &^ kindList
	var out []value
	switch kind {
	case kindString, kindANSI:
		width := 2
		if kind == kindANSI {
			width = 1
		}
		start := 0
		for i := 0; i+width <= len(v.data); i += width {
			if v.data[i] == 0 && v.data[i+width-1] == 0 {
				out = append(out, value{kind: kind, data: v.data[start:i]})
				start = i + width
			}
		}
		if start < len(v.data) {
			out = append(out, value{kind: kind, data: v.data[start:]})
		}
		return out
	}
	w := widths[kind]
	if w == 0 {
		return []value{{kind: kindBinary, data: v.data}}
	}
	for i := 0; i+w <= len(v.data); i += w {
		out = append(out, value{kind: kind, data: v.data[i : i+w]})
	}
	return out
}

// String is the value as Windows prints it in an event's XML: numbers in
// decimal but for those that are declared as hexadecimal, which have 0x and no
// leading zeros; bytes in hexadecimal; times in ISO 8601.
func (v value) String() string {
	if v.kind&kindList != 0 {
		items := v.items()
		texts := make([]string, len(items))
		for i, item := range items {
			texts[i] = item.String()
		}
		return strings.Join(texts, ",")
	}
	d := v.data
	switch v.kind {
	case kindNull:
		return ""
	case kindString:
		return fromUTF16(d)
	case kindANSI:
		return latin1(strings.TrimRight(string(d), "\x00"))
	case kindInt8, kindInt16, kindInt32, kindInt64:
		if n, ok := number(d); ok {
			shift := 64 - 8*len(d)
			return strconv.FormatInt(int64(n)<<shift>>shift, 10)
		}
	case kindUint8, kindUint16, kindUint32, kindUint64:
		if n, ok := number(d); ok {
			return strconv.FormatUint(n, 10)
		}
	case kindHex32, kindHex64, kindSize:
		if n, ok := number(d); ok {
			return "0x" + strconv.FormatUint(n, 16)
		}
	case kindReal32:
		if len(d) == 4 {
			return strconv.FormatFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(d))), 'g', -1, 32)
		}
	case kindReal64:
		if len(d) == 8 {
			return strconv.FormatFloat(math.Float64frombits(binary.LittleEndian.Uint64(d)), 'g', -1, 64)
		}
	case kindBool:
		if n, ok := number(d); ok {
			return strconv.FormatBool(n != 0)
		}
	case kindGUID:
		if len(d) == 16 {
			return guid(d)
		}
	case kindFileTime:
		if len(d) == 8 {
			return isoTime(fileTime(binary.LittleEndian.Uint64(d)))
		}
	case kindSystemTime:
		if len(d) == 16 {
			u := func(i int) int { return int(binary.LittleEndian.Uint16(d[2*i:])) }
			return isoTime(time.Date(u(0), time.Month(u(1)), u(3), u(4), u(5), u(6), u(7)*1e6, time.UTC))
		}
	case kindSID:
		if s := sid(d); s != "" {
			return s
		}
	}
	return strings.ToUpper(hex.EncodeToString(d))
}

// number reads a little-endian integer of 1, 2, 4 or 8 bytes.
func number(d []byte) (uint64, bool) {
	switch len(d) {
	case 1:
		return uint64(d[0]), true
	case 2:
		return uint64(binary.LittleEndian.Uint16(d)), true
	case 4:
		return uint64(binary.LittleEndian.Uint32(d)), true
	case 8:
		return binary.LittleEndian.Uint64(d), true
	}
	return 0, false
}

func guid(d []byte) string {
	return fmt.Sprintf("{%08x-%04x-%04x-%04x-%012x}", binary.LittleEndian.Uint32(d), binary.LittleEndian.Uint16(d[4:]),
		binary.LittleEndian.Uint16(d[6:]), d[8:10], d[10:16])
}

func sid(d []byte) string {
	if len(d) < 8 || len(d) < 8+4*int(d[1]) {
		return ""
	}
	var authority uint64
	for _, b := range d[2:8] {
		authority = authority<<8 | uint64(b)
	}
	s := fmt.Sprintf("S-%d-%d", d[0], authority)
	for i := range int(d[1]) {
		s += "-" + strconv.FormatUint(uint64(binary.LittleEndian.Uint32(d[8+4*i:])), 10)
	}
	return s
}

// fileTime is a Windows time: 100 ns since 1601.
func fileTime(ft uint64) time.Time {
	const epoch = 11644473600 // seconds from 1601 to 1970
	return time.Unix(int64(ft/1e7)-epoch, int64(ft%1e7)*100).UTC()
}

func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// latin1 reads single bytes as the characters of the same number.
func latin1(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			r := make([]rune, len(s))
			for i := range len(s) {
				r[i] = rune(s[i])
			}
			return string(r)
		}
	}
	return s
}
