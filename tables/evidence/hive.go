package evidence

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"www.velocidex.com/golang/regparser"
)

// ErrNotHive says that a file is no registry hive.
var ErrNotHive = errors.New("not a registry hive")

// ErrHiveLog says that a file is the transaction log of a hive (.LOG, .LOG1).
var ErrHiveLog = fmt.Errorf("%w: it is the transaction log of one (.LOG); name the hive itself", ErrNotHive)

// Bounds of a hive. A key is at most 512 deep in Windows; a value's data longer
// than the bound is shown up to it.
const (
	hiveHeader    = 4096
	maxKeyDepth   = 512
	maxValueBytes = 1 << 20
	maxValues     = 65_536 // of one key
	maxKeyName    = 512    // bytes; Windows allows 255 characters
	maxSubkeys    = 1 << 20
	// References in a hive have 32 bits: nothing beyond is part of it.
	maxHive = 1<<32 + hiveHeader
)

// Hive is an open registry hive. It reads pages as they are needed and keeps
// 4 MiB of them.
type Hive struct {
	// Root is the key that the hive's root is shown as, such as
	// HKEY_LOCAL_MACHINE\SOFTWARE.
	Root string

	reg  *regparser.Registry
	size int64
	warn func(error)
	seen []uint64 // a bit for each 8 bytes of the file: keys that were read
}

// Key is one key of a hive.
type Key struct {
	Path   string // with the hive's root
	Name   string
	Parent string    // path of the key that it is in; empty for the hive's root
	MTime  time.Time // last write
	node   *regparser.CM_KEY_NODE
}

// Value is one value of a key.
type Value struct {
	Name, Type, Data string
}

// OpenHive opens a hive of size bytes. Name is the file's path, from which and
// from the hive's own header the place of its root is taken. What is wrong with
// the file but leaves it readable goes to warn.
func OpenHive(name string, r io.ReaderAt, size int64, warn func(error)) (*Hive, error) {
	head := make([]byte, hiveHeader)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	if n < 512 || string(head[:4]) != "regf" {
		why := opening(head[:n])
		if strings.HasPrefix(string(head[:n]), "regf") {
			why = "it is cut off in its header"
		}
		return nil, fmt.Errorf("%w: %s", ErrNotHive, why)
	}
	reg, err := regparser.NewRegistry(&pages{r: r})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotHive, err)
	}
	b := reg.BaseBlock
	if b.Type() != 0 {
		return nil, ErrHiveLog
	}
	if n < hiveHeader || size <= hiveHeader {
		return nil, fmt.Errorf("%w: it is cut off after its header", ErrNotHive)
	}
	if size > maxHive {
		warn(fmt.Errorf("the file has %d bytes, and no hive is longer than %d: the rest is left out", size, int64(maxHive)))
		size = maxHive
	}
	h := &Hive{reg: reg, size: size, warn: warn, seen: make([]uint64, size/(8*64)+1)}
	if sum := hiveChecksum(head); sum != b.CheckSum() {
		warn(errors.New("the header of the hive has a wrong checksum: it is read all the same"))
	}
	if b.Sequence1() != b.Sequence2() {
		warn(errors.New("the hive was copied while it was written: the last changes are in its transaction logs (.LOG1, .LOG2), which are not read"))
	}
	if end := hiveHeader + int64(b.Length()); end > size {
		warn(fmt.Errorf("the hive is cut off: %d of %d bytes are there, and what they have is read", size, end))
	}
	h.Root = hiveRoot(name, fromUTF16Z(head[48:112]))
	return h, nil
}

// hiveChecksum is the exclusive or of the header's first 127 words.
func hiveChecksum(head []byte) uint32 {
	var sum uint32
	for i := 0; i < 508; i += 4 {
		sum ^= binary.LittleEndian.Uint32(head[i:])
	}
	switch sum {
	case 0:
		return 1
	case 0xffffffff:
		return 0xfffffffe
	}
	return sum
}

// Top is the hive's root key.
func (h *Hive) Top() (Key, error) {
	n, err := h.key(h.reg.BaseBlock.RootCell())
	if err != nil {
		return Key{}, fmt.Errorf("read the root key: %w", err)
	}
	h.first(n)
	return Key{Path: h.Root, Name: h.Root[strings.LastIndexByte(h.Root, '\\')+1:], MTime: keyTime(n), node: n}, nil
}

// cell is the cell at an offset of the hive's data.
func (h *Hive) cell(offset uint32) (*regparser.HCELL, error) {
	at := hiveHeader + int64(offset)
	if offset == 0xffffffff || at+8 > h.size {
		return nil, fmt.Errorf("a reference leads to offset 0x%x, outside the file", at)
	}
	return h.reg.Profile.HCELL(h.reg.Reader, at), nil
}

func (h *Hive) key(offset uint32) (*regparser.CM_KEY_NODE, error) {
	c, err := h.cell(offset)
	if err != nil {
		return nil, err
	}
	n := c.KeyNode()
	if n == nil {
		return nil, fmt.Errorf("no key at offset 0x%x, where one should be", c.Offset)
	}
	return n, nil
}

// Subkeys are the keys below one, in the hive's order, which is by name. A key
// that was read before is left out: a sound hive names each once, and a made
// one could otherwise lead round in circles.
func (h *Hive) Subkeys(k Key) iter.Seq[Key] {
	return func(yield func(Key) bool) {
		counts, lists := k.node.SubKeyCounts(), k.node.SubKeyLists()
		if len(counts) == 0 || counts[0] == 0 || len(lists) == 0 {
			return
		}
		for _, offset := range h.index(k, lists[0], 0) {
			n, err := h.key(offset)
			if err != nil {
				h.warn(fmt.Errorf("key %s: a subkey cannot be read: %w", k.Path, err))
				continue
			}
			if !h.first(n) {
				h.warn(fmt.Errorf("key %s: a subkey at offset 0x%x is also another's, and left out here", k.Path, n.Offset))
				continue
			}
			length := n.NameLength()
			if length > maxKeyName {
				h.warn(fmt.Errorf("key %s: the name of a subkey of %d bytes is cut", k.Path, length))
				length = maxKeyName
			}
			name := h.text(n.Offset+h.reg.Profile.Off_CM_KEY_NODE__Name, length, n.Flags()&0x20 != 0)
			if !yield(Key{Path: k.Path + `\` + name, Name: name, Parent: k.Path, MTime: keyTime(n), node: n}) {
				return
			}
		}
	}
}

// first notes a key as read and says whether it is for the first time.
func (h *Hive) first(n *regparser.CM_KEY_NODE) bool {
	at := n.Offset / 8
	bit := uint64(1) << (at % 64)
	if h.seen[at/64]&bit != 0 {
		return false
	}
	h.seen[at/64] |= bit
	return true
}

// index reads a list of subkeys; one kind of list leads to others.
func (h *Hive) index(k Key, offset uint32, depth int) []uint32 {
	c, err := h.cell(offset)
	if err != nil {
		h.warn(fmt.Errorf("key %s: its list of subkeys cannot be read: %w", k.Path, err))
		return nil
	}
	list := &keyList{h: h, at: c.Offset + 8}
	if ix := c.KeyIndexFast(); ix != nil {
		list.count, list.step = int(ix.Count()), 8
		return list.offsets()
	}
	ix := c.KeyIndex()
	if ix == nil {
		h.warn(fmt.Errorf("key %s: no list of subkeys at offset 0x%x, where one should be", k.Path, c.Offset))
		return nil
	}
	list.count, list.step = int(ix.Count()), 4
	offsets := list.offsets()
	if ix.Signature() != 0x6972 { // "ri", a list of lists
		return offsets
	}
	if depth > 0 {
		h.warn(fmt.Errorf("key %s: lists of subkeys in lists of lists, which Windows does not write, are left out", k.Path))
		return nil
	}
	var out []uint32
	for _, o := range offsets {
		out = append(out, h.index(k, o, depth+1)...)
		if int64(len(out)) > min(h.size/80, maxSubkeys) { // 80 bytes is the least that a key takes
			h.warn(fmt.Errorf("key %s: its lists name more subkeys than the file has room for or than %d; the rest is left out", k.Path, maxSubkeys))
			break
		}
	}
	return out
}

// keyList is a run of entries that begin with an offset.
type keyList struct {
	h           *Hive
	at          int64
	count, step int
}

func (l *keyList) offsets() []uint32 {
	raw := l.h.bytes(l.at, int64(l.count*l.step))
	out := make([]uint32, 0, len(raw)/l.step)
	for i := 0; i+l.step <= len(raw); i += l.step {
		out = append(out, binary.LittleEndian.Uint32(raw[i:]))
	}
	return out
}

// bytes reads from the file what of it there is.
func (h *Hive) bytes(at, n int64) []byte {
	if at < 0 || at >= h.size || n <= 0 {
		return nil
	}
	b := make([]byte, min(n, h.size-at))
	got, err := h.reg.Reader.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) {
		h.warn(fmt.Errorf("read %d bytes at offset 0x%x: %w", n, at, err))
	}
	return b[:got]
}

// text reads a name: of single bytes where it is marked so, else UTF-16.
func (h *Hive) text(at int64, length uint16, narrow bool) string {
	b := h.bytes(at, int64(length))
	if narrow {
		return latin1(string(b))
	}
	return fromUTF16(b)
}

// Values are the values of a key, in the hive's order.
func (h *Hive) Values(k Key) iter.Seq[Value] {
	return func(yield func(Value) bool) {
		list := k.node.ValueList()
		count := int64(list.Count())
		if count == 0 {
			return
		}
		if count > maxValues {
			h.warn(fmt.Errorf("key %s announces %d values; %d of them are read", k.Path, count, maxValues))
			count = maxValues
		}
		c, err := h.cell(list.List())
		if err != nil {
			h.warn(fmt.Errorf("key %s: its list of values cannot be read: %w", k.Path, err))
			return
		}
		raw := h.bytes(c.Payload(), 4*count)
		if int64(len(raw)) < 4*count {
			h.warn(fmt.Errorf("key %s: its list of values ends after %d of %d", k.Path, len(raw)/4, count))
		}
		for ; len(raw) >= 4; raw = raw[4:] {
			v, err := h.value(k, binary.LittleEndian.Uint32(raw))
			if err != nil {
				h.warn(fmt.Errorf("key %s: a value cannot be read: %w", k.Path, err))
				continue
			}
			if !yield(v) {
				return
			}
		}
	}
}

func (h *Hive) value(k Key, offset uint32) (Value, error) {
	c, err := h.cell(offset)
	if err != nil {
		return Value{}, err
	}
	n := c.KeyValue()
	if n == nil {
		return Value{}, fmt.Errorf("no value at offset 0x%x, where one should be", c.Offset)
	}
	name := h.text(n.Offset+h.reg.Profile.Off_CM_KEY_VALUE_Name, n.NameLength(), n.Flags()&1 != 0)
	if name == "" {
		name = "(Default)"
	}
	data, err := h.data(n)
	if err != nil {
		h.warn(fmt.Errorf("key %s, value %s: %w", k.Path, name, err))
	}
	return Value{Name: name, Type: valueType(n.Type()), Data: valueText(n.Type(), data)}, nil
}

// data is the value's data: in the value itself, in a cell, or in a list of
// segments.
func (h *Hive) data(n *regparser.CM_KEY_VALUE) ([]byte, error) {
	size := n.DataLength()
	if size&0x80000000 != 0 {
		size &= 0x7fffffff
		return h.bytes(n.Offset+h.reg.Profile.Off_CM_KEY_VALUE_Data, int64(min(size, 4))), nil
	}
	if size == 0 {
		return nil, nil
	}
	var cut error
	want := int64(size)
	if want > maxValueBytes {
		cut = fmt.Errorf("its data of %d bytes is shown up to %d", want, maxValueBytes)
		want = maxValueBytes
	}
	c, err := h.cell(n.Data())
	if err != nil {
		return nil, fmt.Errorf("its data cannot be read: %w", err)
	}
	const segmented = 16344 // longer data is in segments of that size
	if size <= segmented || c.Signature() != 0x6264 {
		b := h.bytes(c.Payload(), want)
		if int64(len(b)) < want {
			cut = fmt.Errorf("its data ends after %d of %d bytes", len(b), size)
		}
		return b, cut
	}
	big := h.reg.Profile.CM_BIG_DATA(h.reg.Reader, c.Payload())
	list, err := h.cell(big.List())
	if err != nil {
		return nil, fmt.Errorf("the list of its data's segments cannot be read: %w", err)
	}
	var out []byte
	for raw := h.bytes(list.Payload(), 4*int64(big.Count())); len(raw) >= 4 && int64(len(out)) < want; raw = raw[4:] {
		seg, err := h.cell(binary.LittleEndian.Uint32(raw))
		if err != nil {
			return out, fmt.Errorf("a segment of its data cannot be read: %w", err)
		}
		out = append(out, h.bytes(seg.Payload(), min(segmented, want-int64(len(out))))...)
	}
	if int64(len(out)) < want {
		cut = fmt.Errorf("its data ends after %d of %d bytes", len(out), size)
	}
	return out, cut
}

func keyTime(n *regparser.CM_KEY_NODE) time.Time {
	return fileTime(regparser.ParseUint64(n.Reader, n.Offset+n.Profile.Off_CM_KEY_NODE_LastWriteTime))
}

func valueType(t uint32) string {
	if s := regparser.RegTypeToString(t); s != "REG_UNKNOWN" {
		return s
	}
	return "UNKNOWN"
}

// valueText is the data as osquery shows it: texts as such, numbers in decimal,
// several texts joined by commas, and anything else in hexadecimal.
func valueText(t uint32, d []byte) string {
	switch t {
	case regparser.REG_SZ, regparser.REG_EXPAND_SZ, regparser.REG_LINK:
		return fromUTF16Z(d)
	case regparser.REG_MULTI_SZ:
		var texts []string
		for _, item := range (value{kind: kindString | kindList, data: d}).items() {
			if s := fromUTF16(item.data); s != "" {
				texts = append(texts, s)
			}
		}
		return strings.Join(texts, ",")
	case regparser.REG_DWORD:
		if len(d) >= 4 {
			return strconv.FormatUint(uint64(binary.LittleEndian.Uint32(d)), 10)
		}
	case regparser.REG_DWORD_BIG_ENDIAN:
		if len(d) >= 4 {
			return strconv.FormatUint(uint64(binary.BigEndian.Uint32(d)), 10)
		}
	case regparser.REG_QWORD:
		if len(d) >= 8 {
			return strconv.FormatUint(binary.LittleEndian.Uint64(d), 10)
		}
	}
	return strings.ToUpper(hex.EncodeToString(d))
}

// fromUTF16Z reads UTF-16 up to its first zero.
func fromUTF16Z(b []byte) string {
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return fromUTF16(b[:i])
		}
	}
	return fromUTF16(b)
}

// hiveRoot is where a hive's root stands in the registry: by the path that the
// hive itself keeps, else by its file's name. One that neither tells is shown
// under its file's name.
func hiveRoot(file, embedded string) string {
	for _, p := range []string{embedded, file} {
		parts := strings.FieldsFunc(p, func(r rune) bool { return r == '/' || r == '\\' })
		if len(parts) == 0 {
			continue
		}
		name := strings.ToUpper(parts[len(parts)-1])
		stem := strings.TrimSuffix(name, ".HIV")
		switch {
		case slices.Contains([]string{"SAM", "SECURITY", "SOFTWARE", "SYSTEM", "HARDWARE", "COMPONENTS", "DRIVERS"}, stem):
			return `HKEY_LOCAL_MACHINE\` + stem
		case stem == "BCD":
			return `HKEY_LOCAL_MACHINE\BCD00000000`
		case stem == "DEFAULT":
			return `HKEY_USERS\.DEFAULT`
		case strings.HasPrefix(name, "NTUSER") && strings.HasSuffix(name, ".DAT"):
			return `HKEY_USERS\` + profile(embedded, file)
		case strings.HasPrefix(name, "USRCLASS") && strings.HasSuffix(name, ".DAT"):
			return `HKEY_USERS\` + profile(embedded, file) + `_Classes`
		}
	}
	parts := strings.FieldsFunc(file, func(r rune) bool { return r == '/' || r == '\\' })
	if len(parts) == 0 {
		return "HIVE"
	}
	return parts[len(parts)-1]
}

// profile names the user of a hive: the folder below Users that it was in. The
// SID that the live registry shows is not in the hive.
func profile(names ...string) string {
	for _, p := range names {
		parts := strings.FieldsFunc(p, func(r rune) bool { return r == '/' || r == '\\' })
		for i := 0; i+2 < len(parts); i++ {
			if strings.EqualFold(parts[i], "users") || strings.EqualFold(parts[i], "documents and settings") {
				return parts[i+1]
			}
		}
	}
	for _, p := range names[len(names)-1:] {
		if i := strings.LastIndexAny(p, `/\`); p[i+1:] != "" {
			return p[i+1:]
		}
	}
	return "unknown"
}

// Walk calls visit for each key from the root down, parents first; a visit
// that answers false leaves out what is below its key. A panic of the parser
// is an error.
func (h *Hive) Walk(ctx context.Context, visit func(Key) (below bool, err error)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	top, err := h.Top()
	if err != nil {
		return err
	}
	return h.walk(ctx, top, 0, visit)
}

func (h *Hive) walk(ctx context.Context, k Key, depth int, visit func(Key) (bool, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if depth > maxKeyDepth {
		h.warn(fmt.Errorf("key %s… is left out: deeper than %d keys", k.Path[:min(len(k.Path), 200)], maxKeyDepth))
		return nil
	}
	below, err := visit(k)
	if err != nil || !below {
		return err
	}
	for s := range h.Subkeys(k) {
		if err := h.walk(ctx, s, depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}
