package procsensor

import (
	"encoding/binary"
	"fmt"
)

// Kinds of message of the process connector (linux/cn_proc.h).
const (
	connectorNone = 0
	connectorFork = 0x00000001
	connectorExec = 0x00000002
	connectorExit = 0x80000000
)

// connectorEvent is a message of the process connector.
type connectorEvent struct {
	Kind uint32
	CPU  uint32
	Seq  uint32 // number on the CPU, without gaps
	Time uint64 // CLOCK_MONOTONIC, nanoseconds

	PID, TGID             uint32 // of who executed or ended, or of the child
	ParentPID, ParentTGID uint32 // of a birth; of an end where the kernel tells
	Code                  uint32 // of an end, as wait(2) gives it
	Err                   uint32 // of the answer to a request
}

// parseConnector reads struct cn_msg with the struct proc_event in it. Of
// other connectors' messages ok is false.
func parseConnector(b []byte) (e connectorEvent, ok bool, err error) {
	const header, fixed = 20, 16
	if len(b) < header {
		return e, false, fmt.Errorf("connector message of %d bytes is too short", len(b))
	}
	u32 := func(at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }
	if u32(0) != connectorIndex || u32(4) != connectorValue {
		return e, false, nil
	}
	e.Seq = u32(8)
	if n := int(binary.NativeEndian.Uint16(b[16:])); n > len(b)-header {
		return e, false, fmt.Errorf("connector message says %d bytes and has %d", n, len(b)-header)
	}
	b = b[header:]
	if len(b) < fixed {
		return e, false, fmt.Errorf("process event of %d bytes is too short", len(b))
	}
	e.Kind, e.CPU = u32(0), u32(4)
	e.Time = binary.NativeEndian.Uint64(b[8:])
	b = b[fixed:]
	need := map[uint32]int{connectorNone: 4, connectorFork: 16, connectorExec: 8, connectorExit: 16}[e.Kind]
	if len(b) < need {
		return e, false, fmt.Errorf("process event of kind %#x has %d bytes, want %d", e.Kind, len(b), need)
	}
	switch e.Kind {
	case connectorNone:
		e.Err = u32(0)
	case connectorFork:
		e.ParentPID, e.ParentTGID, e.PID, e.TGID = u32(0), u32(4), u32(8), u32(12)
	case connectorExec:
		e.PID, e.TGID = u32(0), u32(4)
	case connectorExit:
		e.PID, e.TGID, e.Code = u32(0), u32(4), u32(8)
		if len(b) >= 24 {
			e.ParentPID, e.ParentTGID = u32(16), u32(20)
		}
	}
	return e, true, nil
}

// The connector's address and its requests.
const (
	connectorIndex  = 1
	connectorValue  = 1
	connectorListen = 1
	connectorIgnore = 2
)

// connectorRequest is the message that begins or ends listening.
func connectorRequest(op uint32) []byte {
	b := make([]byte, 0, 24)
	for _, v := range []uint32{connectorIndex, connectorValue, 0, 0} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	b = binary.NativeEndian.AppendUint16(b, 4)
	b = binary.NativeEndian.AppendUint16(b, 0)
	return binary.NativeEndian.AppendUint32(b, op)
}
