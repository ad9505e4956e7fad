package filesensor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Parsing of what read gives from a fanotify group that reports folder
// handles and names. The kernel is the writer, but names in it are anyone's.
// Layouts are those of linux/fanotify.h, in the machine's byte order.
const (
	metadataLen  = 24
	metadataVers = 3

	infoFID      = 1
	infoDFIDName = 2
	infoDFID     = 3
	infoPidfd    = 4
	infoOldName  = 10
	infoNewName  = 12

	overflowBit = 0x4000
)

var errNotice = errors.New("fanotify event is damaged")

// place is a name in a folder. Key is the folder's identity: file system id
// and file handle as the kernel wrote them, struct file_handle at offset 8.
type place struct {
	key  []byte
	name []byte
}

// notice is one event of the kernel. Its keys and names lie in the buffer.
type notice struct {
	mask     uint64
	pid      int32
	pidfd    int32 // -1: none
	at       place // where it happened; the old place of a rename
	to       place // of a rename: the new place
	target   []byte
	fd       int32
	hasPidfd bool
}

// parseNotices walks the events of one read. It stops with an error at the
// first that is damaged, since the next cannot be found.
func parseNotices(buf []byte, visit func(*notice)) error {
	ne := binary.NativeEndian
	var n notice
	for len(buf) > 0 {
		if len(buf) < metadataLen {
			return fmt.Errorf("%d bytes after the last event: %w", len(buf), errNotice)
		}
		size := int(ne.Uint32(buf))
		if size < metadataLen || size > len(buf) {
			return fmt.Errorf("length %d of %d bytes: %w", size, len(buf), errNotice)
		}
		if buf[4] != metadataVers {
			return fmt.Errorf("version %d, not %d: %w", buf[4], metadataVers, errNotice)
		}
		head := int(ne.Uint16(buf[6:]))
		if head < metadataLen || head > size {
			return fmt.Errorf("metadata of %d bytes: %w", head, errNotice)
		}
		n = notice{mask: ne.Uint64(buf[8:]), fd: int32(ne.Uint32(buf[16:])), pid: int32(ne.Uint32(buf[20:])), pidfd: -1}
		if err := n.parseInfo(buf[head:size]); err != nil {
			return err
		}
		visit(&n)
		buf = buf[size:]
	}
	return nil
}

func (n *notice) parseInfo(p []byte) error {
	ne := binary.NativeEndian
	for len(p) > 0 {
		if len(p) < 4 {
			return fmt.Errorf("information cut off: %w", errNotice)
		}
		size := int(ne.Uint16(p[2:]))
		if size < 4 || size > len(p) {
			return fmt.Errorf("information of %d bytes in %d: %w", size, len(p), errNotice)
		}
		body := p[4:size]
		switch typ := p[0]; typ {
		case infoPidfd:
			if len(body) < 4 {
				return fmt.Errorf("pidfd cut off: %w", errNotice)
			}
			n.pidfd, n.hasPidfd = int32(ne.Uint32(body)), true
		case infoFID, infoDFID, infoDFIDName, infoOldName, infoNewName:
			if len(body) < 16 {
				return fmt.Errorf("file handle cut off: %w", errNotice)
			}
			handle := ne.Uint32(body[8:])
			if uint64(handle) > uint64(len(body)-16) {
				return fmt.Errorf("file handle of %d bytes in %d: %w", handle, len(body), errNotice)
			}
			key, rest := body[:16+handle], body[16+handle:]
			if i := bytes.IndexByte(rest, 0); i >= 0 {
				rest = rest[:i]
			}
			switch typ {
			case infoFID:
				n.target = key
			case infoNewName:
				n.to = place{key, rest}
			default:
				n.at = place{key, rest}
			}
		}
		p = p[size:]
	}
	return nil
}
