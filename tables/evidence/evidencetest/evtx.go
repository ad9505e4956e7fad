// Package evidencetest makes small event logs, registry hives and task files
// for tests: of our own making, byte by byte as Windows writes them.
package evidencetest

import (
	"encoding/binary"
	"hash/crc32"
	"strconv"
	"time"
	"unicode/utf16"
)

// Event is an event to be written into a log.
type Event struct {
	ID                          uint16
	Channel, Provider, Computer string
	GUID                        [16]byte
	Level                       uint8
	Task                        uint16
	Keywords                    uint64
	Time                        time.Time
	SID                         []byte // nil: no user
	// UserData is the element in UserData that holds the values; empty for
	// an event with EventData.
	UserData string
	Data     []Named
}

// Named is a named value: string, uint32, uint64, bool, []string, time.Time,
// Hex32, Hex64, []byte, or nil.
type Named struct {
	Name  string
	Value any
}

// V is a named value.
func V(name string, v any) Named { return Named{Name: name, Value: v} }

// Hex32 and Hex64 are numbers that an event declares as hexadecimal.
type (
	Hex32 uint32
	Hex64 uint64
)

// EVTXFile is a log of the events, with perChunk of them in each chunk.
func EVTXFile(perChunk int, events ...Event) []byte {
	var chunks []byte
	n := 0
	for start := 0; start < len(events); start += perChunk {
		part := events[start:min(start+perChunk, len(events))]
		chunks = append(chunks, chunk(part, start+1)...)
		n++
	}
	h := make([]byte, 4096)
	copy(h, "ElfFile\x00")
	le := binary.LittleEndian
	le.PutUint64(h[16:], uint64(max(n-1, 0)))
	le.PutUint64(h[24:], uint64(len(events)+1))
	le.PutUint32(h[32:], 128)
	le.PutUint16(h[36:], 1)
	le.PutUint16(h[38:], 3)
	le.PutUint16(h[40:], 4096)
	le.PutUint16(h[42:], uint16(n))
	le.PutUint32(h[124:], crc32.ChecksumIEEE(h[:120]))
	return append(h, chunks...)
}

// ChunkSum puts the right checksums into a chunk that a test has changed.
func ChunkSum(c []byte) {
	le := binary.LittleEndian
	le.PutUint32(c[52:], crc32.ChecksumIEEE(c[512:le.Uint32(c[48:])]))
	le.PutUint32(c[124:], crc32.Update(crc32.ChecksumIEEE(c[:120]), crc32.IEEETable, c[128:512]))
}

func chunk(events []Event, firstID int) []byte {
	w := &chunkWriter{b: make([]byte, 512, 65536), names: map[string]int{}, templates: map[string]int{}}
	last := 512
	for i, e := range events {
		last = len(w.b)
		w.record(e, uint64(firstID+i))
	}
	end := len(w.b)
	if end > 65536 {
		panic("evidencetest: the events do not fit into a chunk")
	}
	c := append(w.b, make([]byte, 65536-end)...)
	le := binary.LittleEndian
	copy(c, "ElfChnk\x00")
	le.PutUint64(c[8:], uint64(firstID))
	le.PutUint64(c[16:], uint64(firstID+len(events)-1))
	le.PutUint64(c[24:], uint64(firstID))
	le.PutUint64(c[32:], uint64(firstID+len(events)-1))
	le.PutUint32(c[40:], 128)
	le.PutUint32(c[44:], uint32(last))
	le.PutUint32(c[48:], uint32(end))
	ChunkSum(c)
	return c
}

type chunkWriter struct {
	b         []byte
	names     map[string]int
	templates map[string]int
}

func (w *chunkWriter) u8(v ...byte) { w.b = append(w.b, v...) }
func (w *chunkWriter) u16(v uint16) { w.b = binary.LittleEndian.AppendUint16(w.b, v) }
func (w *chunkWriter) u32(v uint32) { w.b = binary.LittleEndian.AppendUint32(w.b, v) }
func (w *chunkWriter) u64(v uint64) { w.b = binary.LittleEndian.AppendUint64(w.b, v) }

func (w *chunkWriter) later() int { w.u32(0); return len(w.b) - 4 }
func (w *chunkWriter) put(at int, v int) {
	binary.LittleEndian.PutUint32(w.b[at:], uint32(v))
}

func (w *chunkWriter) record(e Event, id uint64) {
	start := len(w.b)
	w.u8('*', '*', 0, 0)
	size := w.later()
	w.u64(id)
	w.u64(fileTime(e.Time))
	w.u8(0x0f, 1, 1, 0, 0x0c, 1)
	w.u32(7) // the template's short name
	shape := e.UserData + "|"
	for _, v := range e.Data {
		shape += v.Name + "|"
	}
	if at, ok := w.templates[shape]; ok {
		w.u32(uint32(at))
	} else {
		at := len(w.b) + 4
		w.templates[shape] = at
		w.u32(uint32(at))
		w.definition(e)
	}
	w.values(e, id)
	w.u8(0)
	for (len(w.b)-start+4)%8 != 0 {
		w.u8(0)
	}
	w.u32(uint32(len(w.b) - start + 4))
	w.put(size, len(w.b)-start)
}

// The first values of each template are those of System.
const systemValues = 13

func (w *chunkWriter) definition(e Event) {
	w.u32(0)
	w.b = append(w.b, make([]byte, 16)...)
	size := w.later()
	start := len(w.b)
	w.u8(0x0f, 1, 1, 0)
	w.element("Event", []string{"xmlns"}, func(string) { w.text("http://schemas.microsoft.com/win/2004/08/events/event") }, func() {
		w.element("System", nil, nil, func() {
			w.element("Provider", []string{"Name", "Guid"}, func(a string) {
				w.value(map[string]uint16{"Name": 0, "Guid": 1}[a])
			}, nil)
			for i, name := range []string{"EventID", "Level", "Task", "Keywords"} {
				w.element(name, nil, nil, func() { w.value(uint16(2 + i)) })
			}
			w.element("TimeCreated", []string{"SystemTime"}, func(string) { w.value(6) }, nil)
			w.element("EventRecordID", nil, nil, func() { w.value(7) })
			w.element("Execution", []string{"ProcessID", "ThreadID"}, func(a string) {
				w.value(map[string]uint16{"ProcessID": 8, "ThreadID": 9}[a])
			}, nil)
			w.element("Channel", nil, nil, func() { w.value(10) })
			w.element("Computer", nil, nil, func() { w.value(11) })
			w.element("Security", []string{"UserID"}, func(string) { w.value(12) }, nil)
		})
		body := func() {
			for i, v := range e.Data {
				put := func() { w.value(uint16(systemValues + i)) }
				switch {
				case e.UserData != "":
					w.element(v.Name, nil, nil, put)
				case v.Name == "":
					w.element("Data", nil, nil, put)
				default:
					w.element("Data", []string{"Name"}, func(string) { w.text(v.Name) }, put)
				}
			}
		}
		if e.UserData != "" {
			w.element("UserData", nil, nil, func() { w.element(e.UserData, nil, nil, body) })
		} else {
			w.element("EventData", nil, nil, body)
		}
	})
	w.u8(0)
	w.put(size, len(w.b)-start)
}

func (w *chunkWriter) element(name string, attrs []string, attr func(string), content func()) {
	open := byte(0x01)
	if len(attrs) > 0 {
		open = 0x41
	}
	w.u8(open)
	w.u16(0xffff)
	size := w.later()
	w.name(name)
	if len(attrs) > 0 {
		list := w.later()
		start := len(w.b)
		for i, a := range attrs {
			tok := byte(0x46)
			if i == len(attrs)-1 {
				tok = 0x06
			}
			w.u8(tok)
			w.name(a)
			attr(a)
		}
		w.put(list, len(w.b)-start)
	}
	if content == nil {
		w.u8(0x03)
	} else {
		w.u8(0x02)
		content()
		w.u8(0x04)
	}
	w.put(size, len(w.b)-size-4)
}

func (w *chunkWriter) name(s string) {
	if at, ok := w.names[s]; ok {
		w.u32(uint32(at))
		return
	}
	at := len(w.b) + 4
	w.names[s] = at
	w.u32(uint32(at))
	w.u32(0)
	w.u16(0)
	w.u16(uint16(len(s)))
	w.b = append(w.b, UTF16(s)...)
	w.u16(0)
}

func (w *chunkWriter) text(s string) {
	w.u8(0x05, 0x01)
	w.u16(uint16(len(utf16.Encode([]rune(s)))))
	w.b = append(w.b, UTF16(s)...)
}

func (w *chunkWriter) value(i uint16) {
	w.u8(0x0e)
	w.u16(i)
	w.u8(0x01)
}

func (w *chunkWriter) values(e Event, id uint64) {
	le := binary.LittleEndian
	var sid any
	if e.SID != nil {
		sid = rawSID(e.SID)
	}
	vals := []any{e.Provider, e.GUID, e.ID, e.Level, e.Task, Hex64(e.Keywords), e.Time, id, uint32(4), uint32(8), e.Channel, e.Computer, sid}
	for _, v := range e.Data {
		vals = append(vals, v.Value)
	}
	w.u32(uint32(len(vals)))
	var kinds []byte
	var datas [][]byte
	for _, v := range vals {
		var kind byte
		var d []byte
		switch v := v.(type) {
		case nil:
		case string:
			kind, d = 0x01, UTF16(v)
		case uint8:
			kind, d = 0x04, []byte{v}
		case uint16:
			kind, d = 0x06, le.AppendUint16(nil, v)
		case uint32:
			kind, d = 0x08, le.AppendUint32(nil, v)
		case uint64:
			kind, d = 0x0a, le.AppendUint64(nil, v)
		case int32:
			kind, d = 0x07, le.AppendUint32(nil, uint32(v))
		case bool:
			kind, d = 0x0d, []byte{0, 0, 0, 0}
			if v {
				d[0] = 1
			}
		case []byte:
			kind, d = 0x0e, v
		case [16]byte:
			kind, d = 0x0f, v[:]
		case time.Time:
			kind, d = 0x11, le.AppendUint64(nil, fileTime(v))
		case rawSID:
			kind, d = 0x13, v
		case Hex32:
			kind, d = 0x14, le.AppendUint32(nil, uint32(v))
		case Hex64:
			kind, d = 0x15, le.AppendUint64(nil, uint64(v))
		case []string:
			kind = 0x81
			for _, s := range v {
				d = append(append(d, UTF16(s)...), 0, 0)
			}
		default:
			panic("evidencetest: no such kind of value at " + strconv.Itoa(len(kinds)))
		}
		kinds, datas = append(kinds, kind), append(datas, d)
	}
	for i := range kinds {
		w.u16(uint16(len(datas[i])))
		w.u8(kinds[i], 0)
	}
	for _, d := range datas {
		w.b = append(w.b, d...)
	}
}

type rawSID []byte

// System is the SID S-1-5-18.
func System() []byte { return []byte{1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0} }

// UTF16 is a text in little-endian UTF-16.
func UTF16(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func fileTime(t time.Time) uint64 {
	return uint64(t.Unix()+11644473600)*1e7 + uint64(t.Nanosecond()/100)
}
