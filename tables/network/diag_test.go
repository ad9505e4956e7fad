package network

import (
	"encoding/binary"
	"errors"
	"testing"
)

// answer builds a message as the kernel would.
func answer(kind, flags uint16, seq uint32, body []byte) []byte {
	b := make([]byte, nlHeader, nlHeader+len(body))
	binary.NativeEndian.PutUint32(b[0:], uint32(nlHeader+len(body)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint16(b[6:], flags)
	binary.NativeEndian.PutUint32(b[8:], seq)
	return append(b, body...)
}

func diagBody(family, state uint8) []byte {
	b := make([]byte, diagMsgSize)
	b[0], b[1] = family, state
	binary.BigEndian.PutUint16(b[4:], 22)
	binary.BigEndian.PutUint16(b[6:], 50000)
	copy(b[8:], []byte{127, 0, 0, 1})
	copy(b[24:], []byte{10, 1, 2, 3})
	binary.NativeEndian.PutUint32(b[64:], 33)
	binary.NativeEndian.PutUint32(b[68:], 777)
	return b
}

func TestDiagParse(t *testing.T) {
	var got []socket
	add := func(s socket) { got = append(got, s) }
	b := append(answer(diagByFamily, 0, 5, diagBody(familyIPv4, stateEstablished)), answer(diagByFamily, 0, 4, diagBody(familyIPv4, 1))...)
	b = append(b, answer(nlmDone, 0, 5, []byte{0, 0, 0, 0})...)
	done, err := diagParse(b, 5, protocolTCP, add)
	if err != nil || !done || len(got) != 1 {
		t.Fatalf("done %v, %v, %v", done, err, got)
	}
	s := got[0]
	if s.local.String() != "127.0.0.1" || s.remote.String() != "10.1.2.3" || s.localPort != 22 || s.remotePort != 50000 ||
		s.uid != 33 || s.inode != 777 || s.stateName() != "ESTABLISHED" {
		t.Errorf("got %+v", s)
	}
	if _, err := diagParse(answer(nlmDone, flagInterrupt, 5, nil), 5, protocolTCP, add); !errors.Is(err, errInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
	for name, bad := range map[string][]byte{
		"an error":       answer(nlmError, 0, 5, []byte{0xfe, 0xff, 0xff, 0xff}),
		"half an error":  answer(nlmError, 0, 5, []byte{1}),
		"half a socket":  answer(diagByFamily, 0, 5, make([]byte, 10)),
		"a false length": append(binary.NativeEndian.AppendUint32(nil, 4000), make([]byte, 20)...),
		"no length":      make([]byte, 20),
	} {
		if _, err := diagParse(bad, 5, protocolTCP, add); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func FuzzDiagParse(f *testing.F) {
	f.Add(answer(diagByFamily, 0, 5, diagBody(familyIPv6, stateListen)))
	f.Add(answer(nlmDone, flagInterrupt, 5, nil))
	f.Add(answer(nlmError, 0, 5, []byte{1, 2, 3, 4}))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = diagParse(b, 5, protocolTCP, func(s socket) {
			if !s.local.IsValid() || !s.remote.IsValid() {
				t.Errorf("a socket without addresses: %+v", s)
			}
			_ = s.stateName()
		})
	})
}
