package evidencetest

import (
	"encoding/binary"
	"time"
)

// HiveKey is a key to be written into a hive.
type HiveKey struct {
	Name   string
	Time   time.Time
	Values []HiveValue
	Keys   []HiveKey
}

// HiveValue is a value: Type as in the registry (1 REG_SZ, 4 REG_DWORD …) with
// its data as there.
type HiveValue struct {
	Name string
	Type uint32
	Data []byte
}

// SZ is a value of one text.
func SZ(name, text string) HiveValue {
	return HiveValue{name, 1, append(UTF16(text), 0, 0)}
}

// DWORD is a value of a number.
func DWORD(name string, v uint32) HiveValue {
	return HiveValue{name, 4, binary.LittleEndian.AppendUint32(nil, v)}
}

// HiveFile is a hive with a root key, which says that it was loaded from path.
func HiveFile(path string, root HiveKey) []byte {
	w := &hiveWriter{}
	w.b = make([]byte, 32) // the header of the only bin
	top := w.key(root, 0xffffffff, 0x2c)
	for len(w.b)%4096 != 0 {
		w.b = append(w.b, 0)
	}
	le := binary.LittleEndian
	copy(w.b, "hbin")
	le.PutUint32(w.b[8:], uint32(len(w.b)))
	h := make([]byte, 4096)
	copy(h, "regf")
	le.PutUint32(h[4:], 1)
	le.PutUint32(h[8:], 1)
	le.PutUint64(h[12:], fileTime(root.Time))
	le.PutUint32(h[20:], 1)
	le.PutUint32(h[24:], 5)
	le.PutUint32(h[32:], 1)
	le.PutUint32(h[36:], top)
	le.PutUint32(h[40:], uint32(len(w.b)))
	le.PutUint32(h[44:], 1)
	if len(path) > 31 {
		path = path[len(path)-31:] // Windows keeps the path's end
	}
	copy(h[48:112], UTF16(path))
	HiveSum(h)
	return append(h, w.b...)
}

// HiveSum puts the right checksum into a hive's header.
func HiveSum(h []byte) {
	var sum uint32
	for i := 0; i < 508; i += 4 {
		sum ^= binary.LittleEndian.Uint32(h[i:])
	}
	binary.LittleEndian.PutUint32(h[508:], sum)
}

type hiveWriter struct{ b []byte }

// cell adds a cell and gives its offset.
func (w *hiveWriter) cell(data []byte) uint32 {
	at := len(w.b)
	size := (len(data) + 4 + 7) &^ 7
	w.b = binary.LittleEndian.AppendUint32(w.b, uint32(-int32(size)))
	w.b = append(w.b, data...)
	for len(w.b) < at+size {
		w.b = append(w.b, 0)
	}
	return uint32(at)
}

func (w *hiveWriter) key(k HiveKey, parent uint32, flags uint16) uint32 {
	le := binary.LittleEndian
	nk := make([]byte, 76, 76+len(k.Name))
	copy(nk, "nk")
	le.PutUint16(nk[2:], flags)
	le.PutUint64(nk[4:], fileTime(k.Time))
	le.PutUint32(nk[16:], parent)
	le.PutUint32(nk[20:], uint32(len(k.Keys)))
	le.PutUint32(nk[28:], 0xffffffff)
	le.PutUint32(nk[32:], 0xffffffff)
	le.PutUint32(nk[36:], uint32(len(k.Values)))
	le.PutUint32(nk[40:], 0xffffffff)
	le.PutUint32(nk[44:], 0xffffffff)
	le.PutUint32(nk[48:], 0xffffffff)
	le.PutUint16(nk[72:], uint16(len(k.Name)))
	self := w.cell(append(nk, k.Name...))
	at := int(self) + 4
	if len(k.Keys) > 0 {
		list := append([]byte("lh"), le.AppendUint16(nil, uint16(len(k.Keys)))...)
		for _, s := range k.Keys {
			list = le.AppendUint32(list, w.key(s, self, 0x20))
			list = le.AppendUint32(list, 0)
		}
		le.PutUint32(w.b[at+28:], w.cell(list))
	}
	if len(k.Values) > 0 {
		var list []byte
		for _, v := range k.Values {
			list = le.AppendUint32(list, w.value(v))
		}
		le.PutUint32(w.b[at+40:], w.cell(list))
	}
	return self
}

func (w *hiveWriter) value(v HiveValue) uint32 {
	le := binary.LittleEndian
	vk := make([]byte, 20, 20+len(v.Name))
	copy(vk, "vk")
	le.PutUint16(vk[2:], uint16(len(v.Name)))
	le.PutUint32(vk[4:], uint32(len(v.Data)))
	if len(v.Data) <= 4 {
		le.PutUint32(vk[4:], uint32(len(v.Data))|0x80000000)
		copy(vk[8:12], v.Data)
	} else {
		le.PutUint32(vk[8:], w.cell(v.Data))
	}
	le.PutUint32(vk[12:], v.Type)
	le.PutUint16(vk[16:], 1)
	return w.cell(append(vk, v.Name...))
}
