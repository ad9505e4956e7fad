package filesensor

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

func le16(b []byte, v uint16) []byte { return binary.NativeEndian.AppendUint16(b, v) }
func le32(b []byte, v uint32) []byte { return binary.NativeEndian.AppendUint32(b, v) }

// info makes one information record with a file handle.
func info(typ byte, handle, name string) []byte {
	body := append(le32(nil, 7), le32(nil, 8)...) // fsid
	body = le32(body, uint32(len(handle)))
	body = le32(body, 1)
	body = append(body, handle...)
	if name != "" {
		body = append(append(body, name...), 0)
	}
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	return append(le16([]byte{typ, 0}, uint16(4+len(body))), body...)
}

func meta(mask uint64, pid int32, infos ...[]byte) []byte {
	all := slices.Concat(infos...)
	b := le32(nil, uint32(metadataLen+len(all)))
	b = append(b, metadataVers, 0)
	b = le16(b, metadataLen)
	b = binary.NativeEndian.AppendUint64(b, mask)
	b = le32(b, ^uint32(0))
	b = le32(b, uint32(pid))
	return append(b, all...)
}

func pidfdInfo(fd uint32) []byte { return le32(le16([]byte{infoPidfd, 0}, 8), fd) }

func TestParseNotices(t *testing.T) {
	buf := meta(0x100, 42, info(infoDFIDName, "handle12", "name"), info(infoFID, "target", ""), pidfdInfo(9))
	buf = append(buf, meta(0x10000000, 43, info(infoOldName, "a", "old"), info(infoNewName, "b", "new"))...)
	buf = append(buf, meta(overflowBit, 0)...)
	var got []notice
	if err := parseNotices(buf, func(n *notice) { got = append(got, *n) }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 {
		t.Fatalf("%d events", len(got))
	}
	a := got[0]
	if a.pid != 42 || a.pidfd != 9 || a.fd != -1 || string(a.at.name) != "name" || string(a.at.key[16:]) != "handle12" || string(a.target[16:]) != "target" {
		t.Errorf("%+v", a)
	}
	b := got[1]
	if string(b.at.name) != "old" || string(b.to.name) != "new" || b.pidfd != -1 || b.hasPidfd {
		t.Errorf("%+v", b)
	}
	for i := 1; i < len(buf); i++ {
		if err := parseNotices(buf[:i], func(*notice) {}); err != nil && !errors.Is(err, errNotice) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

func FuzzNotices(f *testing.F) {
	f.Add(meta(0x100, 42, info(infoDFIDName, "handle12", "name"), info(infoFID, "target", ""), pidfdInfo(9)))
	f.Add(append(meta(0x10000000, 43, info(infoOldName, "a", "old"), info(infoNewName, "b", "new")), meta(overflowBit, 0)...))
	f.Fuzz(func(t *testing.T, buf []byte) {
		n := 0
		err := parseNotices(buf, func(e *notice) {
			n += metadataLen
			for _, p := range []place{e.at, e.to, {key: e.target}} {
				if p.key != nil && (len(p.key) < 16 || int(binary.NativeEndian.Uint32(p.key[8:])) != len(p.key)-16) {
					t.Fatalf("key %x says that its handle has another length", p.key)
				}
			}
		})
		if err != nil && !errors.Is(err, errNotice) || n > len(buf) {
			t.Fatalf("%d bytes of events in %d: %v", n, len(buf), err)
		}
	})
}
