package winreg

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Types of registry values, as Windows numbers them.
const (
	TypeNone uint32 = iota
	TypeString
	TypeExpandString
	TypeBinary
	TypeDWord
	TypeDWordBigEndian
	TypeLink
	TypeMultiString
	TypeResourceList
	TypeFullResourceDescriptor
	TypeResourceRequirementsList
	TypeQWord
)

var typeNames = [...]string{
	"REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN", "REG_LINK",
	"REG_MULTI_SZ", "REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR", "REG_RESOURCE_REQUIREMENTS_LIST", "REG_QWORD",
}

// TypeName is the name of a value's type; a number that Windows does not
// define is written as REG_ and the number.
func TypeName(t uint32) string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "REG_" + strconv.FormatUint(uint64(t), 10)
}

// Text is a value's data as osquery words it: numbers in decimal, texts as
// they are, lists joined by commas, all else as hexadecimal digits. Data that
// has not the size of its type is given as digits too.
func Text(t uint32, data []byte) string {
	switch t {
	case TypeString, TypeExpandString, TypeLink:
		s, _, _ := strings.Cut(utf16le(data), "\x00")
		return s
	case TypeMultiString:
		var parts []string
		for part := range strings.SplitSeq(utf16le(data), "\x00") {
			if part != "" {
				parts = append(parts, part)
			}
		}
		return strings.Join(parts, ",")
	case TypeDWord:
		if len(data) == 4 {
			return strconv.FormatUint(uint64(binary.LittleEndian.Uint32(data)), 10)
		}
	case TypeDWordBigEndian:
		if len(data) == 4 {
			return strconv.FormatUint(uint64(binary.BigEndian.Uint32(data)), 10)
		}
	case TypeQWord:
		if len(data) == 8 {
			return strconv.FormatUint(binary.LittleEndian.Uint64(data), 10)
		}
	}
	return strings.ToUpper(hex.EncodeToString(data))
}

// utf16le reads UTF-16; half a character at the end is left out.
func utf16le(data []byte) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units))
}
