package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// fileConfig is a sink of type "file".
type fileConfig struct {
	common
	// Path of the file; relative to the data folder.
	Path string `json:"path"`
	// MaxBytes is the size beyond which the file is put aside as PATH.1 and a
	// new one begun.
	MaxBytes int64 `json:"max_bytes"`
	// Keep is how many files that were put aside are kept; 0 keeps all.
	Keep *int `json:"keep"`
}

const (
	defaultFileBytes = 100 << 20
	defaultFileKeep  = 10
	leastFileBytes   = 4096
	mostFiles        = 1_000_000
)

func (c *fileConfig) check(env *environment) (func(*slog.Logger) (Sink, error), error) {
	if c.Path == "" {
		return nil, errors.New("path is missing: give the file to write")
	}
	f := &fileSink{path: env.file(c.Path), max: c.MaxBytes, keep: defaultFileKeep}
	if f.max == 0 {
		f.max = defaultFileBytes
	}
	if f.max < leastFileBytes {
		return nil, fmt.Errorf("max_bytes is %d; it is to be %d or more", c.MaxBytes, leastFileBytes)
	}
	if c.Keep != nil {
		f.keep = *c.Keep
	}
	if f.keep < 0 || f.keep > mostFiles {
		return nil, fmt.Errorf("keep is %d; it is to be between 0 (all) and %d", f.keep, mostFiles)
	}
	return func(log *slog.Logger) (Sink, error) { f.log = log; return f, nil }, nil
}

// fileSink writes JSON lines into a file, and puts full files aside as PATH.1,
// the newest, to PATH.N. A line is whole or not there: what a crash left of a
// line is cut off, since its document is sent again.
type fileSink struct {
	path string
	max  int64
	keep int
	log  *slog.Logger
	f    *os.File
	size int64
}

// Target implements Sink.
func (s *fileSink) Target() string { return s.path }

// Close implements Sink.
func (s *fileSink) Close() error {
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	s.f = nil
	return err
}

// Send implements Sink; it returns when the lines are on the disk.
func (s *fileSink) Send(_ context.Context, docs []Document) ([]Refusal, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	var text []byte
	for _, d := range docs {
		if s.size+int64(len(text)) > 0 && s.size+int64(len(text)+len(d.Body)+1) > s.max {
			if err := s.write(text); err != nil {
				return nil, err
			}
			if err := s.rotate(); err != nil {
				return nil, err
			}
			text = text[:0]
		}
		text = append(append(text, d.Body...), '\n')
	}
	return nil, s.write(text)
}

func (s *fileSink) write(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	n, err := s.f.Write(text)
	if err == nil {
		err = s.f.Sync()
	}
	if err != nil {
		// Back to whole lines; where that fails too, the next open does it.
		_ = s.f.Truncate(s.size)
		_ = s.Close()
		return fmt.Errorf("write %s: %w; make room, or let the server write there", s.path, err)
	}
	s.size += int64(n)
	return nil
}

// open opens the file, and again where somebody else moved it away.
func (s *fileSink) open() error {
	if s.f != nil {
		here, err := s.f.Stat()
		if err == nil {
			there, err := os.Stat(s.path)
			if err == nil && os.SameFile(here, there) && here.Size() == s.size {
				return nil
			}
		}
		_ = s.Close() // its lines are synced
	}
	if info, err := os.Stat(s.path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("write %s: it is no ordinary file; give another path", s.path)
	}
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open %s: the folder %s does not exist; make it", s.path, filepath.Dir(s.path))
	}
	if err != nil {
		return fmt.Errorf("open a sink's file: %w", err)
	}
	size, err := wholeLines(f, s.log)
	if err == nil {
		err = syncFolder(s.path)
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("open %s: %w", s.path, err)
	}
	s.f, s.size = f, size
	return nil
}

// mostTail is the longest end of a line that is taken for one of ours.
const mostTail = 64 << 20

// wholeLines cuts off a line that has no end, and answers the size then. It
// does not cut what does not look like ours.
func wholeLines(f *os.File, log *slog.Logger) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	size := info.Size()
	tail := []byte{}
	for at := size; at > 0; {
		n := min(at, 64<<10)
		part := make([]byte, n, int(n)+len(tail))
		if _, err := f.ReadAt(part, at-n); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		at -= n
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			tail = append(part[i+1:], tail...)
			break
		}
		if tail = append(part, tail...); len(tail) > mostTail {
			return 0, errors.New("its last line has no end, and is too long for one of edr's; give another path")
		}
	}
	if len(tail) == 0 {
		return size, nil
	}
	if tail[0] != '{' {
		return 0, errors.New("it ends with something that is no line of edr's; give another path")
	}
	if err := f.Truncate(size - int64(len(tail))); err != nil {
		return 0, err
	}
	log.Warn("a sink's file ended within a line, which was cut off; its document is sent again", "file", f.Name(), "bytes", len(tail))
	return size - int64(len(tail)), f.Sync()
}

func (s *fileSink) aside(n int) string { return fmt.Sprintf("%s.%d", s.path, n) }

// rotate puts the file aside. From the oldest on, so that a crash between two
// renames loses none.
func (s *fileSink) rotate() error {
	if err := s.Close(); err != nil {
		return fmt.Errorf("put %s aside: %w", s.path, err)
	}
	last := 0
	for last < mostFiles {
		if _, err := os.Lstat(s.aside(last + 1)); err != nil {
			break
		}
		last++
	}
	for n := last; n >= 0; n-- {
		from := s.path
		if n > 0 {
			from = s.aside(n)
		}
		var err error
		if s.keep > 0 && n >= s.keep {
			err = os.Remove(from)
		} else {
			err = os.Rename(from, s.aside(n+1))
		}
		if err != nil {
			return fmt.Errorf("put %s aside: %w", s.path, err)
		}
	}
	return s.open()
}

// syncFolder makes a new or renamed file outlive a power cut.
func syncFolder(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}
