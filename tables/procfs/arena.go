package procfs

import "unsafe"

// arena keeps short texts in shared chunks: one allocation for many strings.
// A chunk is written once and never again, so the strings stay valid.
type arena struct{ chunk []byte }

const arenaChunk = 32 << 10

func (a *arena) keep(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > arenaChunk/8 {
		return string(b)
	}
	if cap(a.chunk)-len(a.chunk) < len(b) {
		a.chunk = make([]byte, 0, arenaChunk)
	}
	n := len(a.chunk)
	a.chunk = append(a.chunk, b...)
	return unsafe.String(&a.chunk[n], len(b))
}
