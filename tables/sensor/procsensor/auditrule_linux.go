package procsensor

import (
	"encoding/binary"
	"runtime"
)

// auditCalls are the numbers of execve and execveat by the audit's name of
// the processor.
type auditCalls struct {
	arch  uint32
	calls []int
}

// auditArchs lists what a process of this machine can call, 32-bit programs
// included.
func auditArchs() []auditCalls {
	switch runtime.GOARCH {
	case "amd64":
		// The x32 numbers are those of the 64-bit processor with bit 30 set;
		// the audit's masks cannot name them, and kernels come without x32.
		return []auditCalls{{0xc000003e, []int{59, 322}}, {0x40000003, []int{11, 358}}}
	case "arm64":
		return []auditCalls{{0xc00000b7, []int{221, 281}}, {0x40000028, []int{11, 387}}}
	case "riscv64":
		return []auditCalls{{0xc00000f3, []int{221, 281}}}
	}
	return nil
}

// auditRuleKey marks our rules.
const auditRuleKey = "edr"

// auditRule is struct audit_rule_data: always at the exit of the calls, where
// they succeeded.
func auditRule(a auditCalls) []byte {
	const words = 64
	var mask, fields, values, flags [words]uint32
	for _, nr := range a.calls {
		mask[nr/32] |= 1 << (nr % 32)
	}
	set := []struct{ field, value uint32 }{
		{auditFieldArch, a.arch}, {auditSuccess, 1}, {auditKey, uint32(len(auditRuleKey))},
	}
	for i, s := range set {
		fields[i], values[i], flags[i] = s.field, s.value, auditEqual
	}
	var b []byte
	for _, v := range []uint32{auditFilterExit, auditAlways, uint32(len(set))} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	for _, list := range [][words]uint32{mask, fields, values, flags} {
		for _, v := range list {
			b = binary.NativeEndian.AppendUint32(b, v)
		}
	}
	b = binary.NativeEndian.AppendUint32(b, uint32(len(auditRuleKey)))
	return append(b, auditRuleKey...)
}
