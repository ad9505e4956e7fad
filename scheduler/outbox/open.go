package outbox

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aiedr/edr/wire"
)

// The folder of an outbox holds one folder for its life, named by
// currentFile, in which are the segments and the number acknowledged.
const (
	currentFile = "current"
	lockFile    = "lock"
	lifePrefix  = "life-"
)

// Open opens the outbox of a folder, or makes it. A torn end that a crash left
// is taken away. A damaged file is set aside as NAME.corrupt-TIME; a new life
// of the outbox begins with what can be read, and a problem record tells what
// was lost.
func Open(o Options) (*Outbox, error) {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	o.SegmentBytes = min(o.SegmentBytes, o.MaxBytes/4)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.disk == nil {
		o.disk = &disk{}
	}
	if err := o.disk.mkdir(o.Dir); err != nil {
		return nil, fmt.Errorf("make the outbox: %w", err)
	}
	held, err := lock(filepath.Join(o.Dir, lockFile))
	if err != nil {
		return nil, err
	}
	b := &Outbox{o: o, disk: o.disk, lock: held, wake: make(chan struct{})}
	if err := b.open(); err != nil {
		if b.file != nil {
			b.file.Close()
		}
		held.Close()
		return nil, fmt.Errorf("open the outbox %s: %w", o.Dir, err)
	}
	return b, nil
}

func (b *Outbox) open() error {
	id, spoiled, err := b.currentLife()
	if err != nil {
		return err
	}
	if err := b.removeOtherLives(id); err != nil {
		return err
	}
	if id == "" {
		return b.begin(nil, spoiled)
	}
	return b.load(id, spoiled)
}

// currentLife is the id of the outbox's life, "" for none. spoiled tells of a
// pointer that could not be read and was set aside.
func (b *Outbox) currentLife() (id string, spoiled []string, err error) {
	path := filepath.Join(b.o.Dir, currentFile)
	text, err := os.ReadFile(path)
	if err == nil {
		id = strings.TrimSpace(string(text))
		if st, serr := os.Stat(filepath.Join(b.o.Dir, lifePrefix+id)); validID(id) && serr == nil && st.IsDir() {
			return id, nil, nil
		}
		to, err := b.setAside(path)
		if err != nil {
			return "", nil, err
		}
		spoiled = append(spoiled, fmt.Sprintf("%s was damaged and is now %s", path, to))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", nil, err
	}
	lives, err := b.lives()
	if err != nil || len(lives) == 0 {
		return "", spoiled, err
	}
	// Ids begin with the time, so the last one is the newest.
	return slices.Max(lives), spoiled, nil
}

func (b *Outbox) lives() ([]string, error) {
	entries, err := os.ReadDir(b.o.Dir)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutPrefix(e.Name(), lifePrefix); ok && validID(id) && e.IsDir() {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// removeOtherLives removes what a crash during begin left: a life that was not
// yet the current one, or one that is no longer.
func (b *Outbox) removeOtherLives(id string) error {
	lives, err := b.lives()
	if err != nil {
		return err
	}
	for _, l := range lives {
		if l != id {
			if err := b.disk.remove(filepath.Join(b.o.Dir, lifePrefix+l)); err != nil {
				return err
			}
		}
	}
	return nil
}

func validID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func newID(now time.Time) (string, error) {
	var r [10]byte
	if _, err := rand.Read(r[:]); err != nil {
		return "", fmt.Errorf("make an outbox id: %w", err)
	}
	return now.UTC().Format("20060102t150405") + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(r[:])), nil
}

// setAside keeps a damaged file under another name in the outbox's folder. It
// is a link first, so that a crash on the way leaves the file in its place.
func (b *Outbox) setAside(path string) (string, error) {
	to := filepath.Join(b.o.Dir, filepath.Base(path)+".corrupt-"+b.o.Now().UTC().Format("20060102T150405.000000000Z"))
	if filepath.Dir(path) == b.o.Dir {
		return to, b.disk.rename(path, to)
	}
	if _, err := b.disk.before("link", 0); err != nil {
		return "", err
	}
	err := os.Link(path, to)
	if err != nil {
		// Not every file system has links.
		text, rerr := os.ReadFile(path)
		if rerr != nil {
			return "", errors.Join(err, rerr)
		}
		err = os.WriteFile(to, text, 0o600)
	}
	return to, err
}

// load reads a life. Whatever does not fit together begins a new one.
func (b *Outbox) load(id string, spoiled []string) error {
	dir := filepath.Join(b.o.Dir, lifePrefix+id)
	paths, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		return err
	}
	slices.Sort(paths)
	r := &reading{b: b, id: id, acked: readAckedFile(dir), spoiled: spoiled}
	for i, p := range paths {
		if err := r.segment(p, i == len(paths)-1); err != nil {
			return err
		}
	}
	if len(r.spoiled) > 0 || len(r.segments) == 0 {
		if len(paths) == 0 {
			r.spoiled = append(r.spoiled, "the outbox "+id+" has no files")
		}
		return b.begin(r, r.spoiled)
	}
	return b.resume(r, dir)
}

func readAckedFile(dir string) uint64 {
	text, err := os.ReadFile(filepath.Join(dir, ackedFile))
	if err != nil {
		return 0
	}
	n, _ := readAcked(text) // without it records are sent again, and known
	return n
}

// reading gathers a life's segments.
type reading struct {
	b        *Outbox
	id       string
	acked    uint64
	segments []segment
	kept     []string // paths in order, to read the records of again
	gap      *wire.Record
	gapEnd   uint64
	spoiled  []string // what was wrong, in words
	lost     uint64   // numbers that are known to be lost
	openEnd  bool     // the last file was damaged: more may be lost
}

func (r *reading) segment(path string, last bool) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s, err := scanSegment(text)
	if errors.Is(err, errTorn) && last {
		if s.first == 0 {
			// A file that was being made. It begins where the one before ends.
			if err := r.b.disk.remove(path); err != nil {
				return err
			}
			return nil
		}
		if err := r.cut(path, s.good); err != nil {
			return err
		}
		r.b.o.Log.Info("a torn end was taken from the outbox", "file", path, "bytes", int64(len(text))-s.good)
		err = nil
	}
	if err == nil && s.id != r.id {
		err = fmt.Errorf("it belongs to outbox %s: %w", s.id, errCorrupt)
		s = scanned{}
	}
	if err != nil {
		to, aerr := r.b.setAside(path)
		if aerr != nil {
			return aerr
		}
		r.spoiled = append(r.spoiled, fmt.Sprintf("%s was damaged (%v) and is now %s", path, err, to))
	}
	r.openEnd = r.openEnd || err != nil && last
	if s.first == 0 {
		return nil
	}
	if n := len(r.segments); n > 0 && r.segments[n-1].next != s.first {
		r.missing(r.segments[n-1].next, s.first)
	}
	r.segments = append(r.segments, segment{path, s.first, s.next, s.good})
	r.findGap(s.frames)
	return nil
}

func (r *reading) missing(from, next uint64) {
	if next > from {
		r.lost += next - from
		r.spoiled = append(r.spoiled, fmt.Sprintf("records %d to %d of outbox %s are lost", from, next-1, r.id))
		return
	}
	r.spoiled = append(r.spoiled, fmt.Sprintf("outbox %s has record %d twice", r.id, next))
}

func (r *reading) cut(path string, n int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := r.b.disk.truncate(f, n); err != nil {
		return err
	}
	return r.b.disk.sync(f)
}

// findGap keeps the last gap record: it explains all numbers before the first
// segment.
func (r *reading) findGap(frames []frame) {
	for _, f := range frames {
		var rec wire.Record
		var g wire.Gap
		if json.Unmarshal(f.record, &rec) != nil || rec.Kind != wire.KindGap || json.Unmarshal(rec.Body, &g) != nil || g.To >= f.number {
			continue
		}
		r.gap, r.gapEnd = &rec, g.To
	}
}

// resume goes on with a sound life.
func (b *Outbox) resume(r *reading, dir string) error {
	b.id, b.dir, b.segments, b.acked = r.id, dir, r.segments, r.acked
	last := &b.segments[len(b.segments)-1]
	f, err := os.OpenFile(last.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b.file = f
	if _, err := f.Seek(last.size, 0); err != nil {
		return err
	}
	if err := b.disk.sync(f); err != nil {
		return err
	}
	b.synced = last.next - 1
	b.acked = min(b.acked, last.next-1)
	b.gap, b.gapEnd = r.gap, r.gapEnd
	b.at = int64(headerLen(b.id))
	if err := b.forward(); err != nil {
		return err
	}
	if first := b.segments[0].first; first > b.acked+1 && !b.explained(b.acked+1, first-1) {
		// The acknowledgement was not synced when the files went, or a file
		// was taken away from outside.
		if err := b.declare(b.acked+1, first-1, "they are not here any more: they were acknowledged before the machine stopped, or removed"); err != nil {
			return err
		}
	}
	return b.disk.replace(filepath.Join(b.o.Dir, currentFile), []byte(b.id+"\n"), true)
}
