package evidence

import (
	"io"
)

const (
	pageSize  = 16 << 10
	pageSlots = 256
)

// pages reads a file in pages and keeps some: a hive's parser asks for two and
// four bytes at a time, all over the file. It is for one goroutine.
type pages struct {
	r     io.ReaderAt
	slots [pageSlots]struct {
		page int64 // its number plus one; 0 for none
		n    int
		err  error
		b    []byte
	}
}

// ReadAt implements io.ReaderAt.
func (p *pages) ReadAt(out []byte, off int64) (int, error) {
	done := 0
	for done < len(out) {
		if off < 0 {
			return done, io.EOF
		}
		page := off / pageSize
		s := &p.slots[page%pageSlots]
		if s.page != page+1 {
			if s.b == nil {
				s.b = make([]byte, pageSize)
			}
			s.page = page + 1
			s.n, s.err = p.r.ReadAt(s.b, page*pageSize)
		}
		at := int(off % pageSize)
		if at >= s.n {
			if s.err == nil {
				return done, io.EOF
			}
			return done, s.err
		}
		k := copy(out[done:], s.b[at:s.n])
		done += k
		off += int64(k)
	}
	return done, nil
}
