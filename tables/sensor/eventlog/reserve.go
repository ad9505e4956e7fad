package eventlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
)

// reservation is a file that holds a number above every number given out, so
// that after a crash none is given out twice, though the events of the last
// moments are gone. It is overwritten in place and needs no free disk space.
type reservation struct {
	f  *os.File
	mu sync.Mutex
}

// ahead is how many numbers are reserved at once: at most so many are skipped
// after a crash.
const ahead = 1 << 16

const reservationClean = 1

// openReservation reads the first number that may be given out; clean says
// that the log was closed in order.
func openReservation(dir string) (r *reservation, next uint64, clean bool, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "next"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, false, err
	}
	var p [24]byte
	le := binary.LittleEndian
	if n, _ := f.ReadAt(p[:], 0); n == len(p) && crc32.Checksum(p[:20], castagnoli) == le.Uint32(p[20:]) {
		next, clean = le.Uint64(p[:]), p[8] == reservationClean
	}
	return &reservation{f: f}, next, clean, nil
}

func (r *reservation) write(upTo uint64, flag byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	le := binary.LittleEndian
	p := le.AppendUint64(nil, upTo)
	p = append(p, flag)
	p = append(p, make([]byte, 11)...)
	p = le.AppendUint32(p, crc32.Checksum(p, castagnoli))
	if _, err := r.f.WriteAt(p, 0); err != nil {
		return fmt.Errorf("reserve event numbers in %s: %w", r.f.Name(), err)
	}
	if err := r.f.Sync(); err != nil {
		return fmt.Errorf("reserve event numbers in %s: %w", r.f.Name(), err)
	}
	return nil
}
