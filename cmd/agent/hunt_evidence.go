package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/aiedr/edr/queries/hunt"
	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/evidence"
	"github.com/aiedr/edr/tables/system"
)

// The kinds of evidence, as the summary calls them.
const (
	kindEVTX = "event logs"
	kindHive = "hives"
	kindTask = "tasks"
	kindJSON = "JSON files"
)

// Bounds of JSON: of one line, and of a file that is no lines.
const (
	maxJSONLine = 16 << 20
	maxJSONFile = 64 << 20
)

// maxFileErrors is how many of a file's errors are told; the rest is counted.
const maxFileErrors = 10

// evidence hunts through a file or folder. The folder, or the one that the file
// is in, is opened as a root of its own: nothing in it leads out.
func (s *hunting) evidence(ctx context.Context, name string) {
	real, err := filepath.EvalSymlinks(name)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	var fi os.FileInfo
	if err == nil {
		fi, err = os.Stat(real)
	}
	if err != nil {
		s.broken++
		s.fail("read evidence: %v", err)
		return
	}
	dir, at := real, "/"
	if !fi.IsDir() {
		dir, at = filepath.Dir(real), "/"+filepath.Base(real)
	}
	root, err := tables.DirRoot(dir)
	if err != nil {
		s.broken++
		s.fail("read evidence: %v", err)
		return
	}
	warn := func(err error) { s.fail("%s: %v", name, err) }
	for file, err := range tables.WalkFiles(ctx, root, at, warn) {
		if err != nil {
			if ctx.Err() == nil {
				s.broken++
				s.fail("read evidence %s: %v", name, err)
			}
			return
		}
		shown := name
		if fi.IsDir() {
			shown = filepath.Join(name, filepath.FromSlash(file))
		}
		f := &huntFile{hunting: s, root: root, name: file, shown: shown, named: !fi.IsDir()}
		f.read(ctx)
		if ctx.Err() != nil {
			return
		}
	}
}

// huntFile is one file of evidence.
type huntFile struct {
	*hunting
	root  tables.Root
	name  string // in the root
	shown string // as the operator knows it
	named bool   // itself, not by its folder
	errs  int
}

// bad tells of something in the file that could not be read.
func (f *huntFile) bad(err error) {
	if f.errs++; f.errs == 1 {
		f.broken++
	}
	if f.errs <= maxFileErrors {
		f.fail("%s: %v", f.shown, err)
	} else {
		f.failures++
	}
}

// read finds out what the file is and offers what is in it. A fault of ours
// costs the rest of the file and is said.
func (f *huntFile) read(ctx context.Context) {
	defer func() {
		if p := recover(); p != nil {
			f.bad(fmt.Errorf("internal error: %v", p))
		}
		if f.errs > maxFileErrors {
			fmt.Fprintf(f.hunting.errs, "error: %s: %d more like these\n", visible(f.shown), f.errs-maxFileErrors)
		}
	}()
	file, err := f.root.Open(f.name)
	if err != nil {
		f.bad(err)
		return
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		f.bad(err)
		return
	}
	r, ok := file.(io.ReaderAt)
	if !ok {
		f.bad(errors.New("it cannot be read out of order"))
		return
	}
	head := make([]byte, 512)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		f.bad(err)
		return
	}
	head = head[:n]
	ext := strings.ToLower(filepath.Ext(f.name))
	switch {
	case bytes.HasPrefix(head, []byte("ElfFile\x00")), ext == ".evtx":
		f.evtx(ctx, r, fi.Size())
	case bytes.HasPrefix(head, []byte("regf")):
		f.hive(ctx, r, fi.Size())
	case looksXML(head), ext == ".job":
		f.task()
	case looksJSON(head), ext == ".json", ext == ".jsonl", ext == ".ndjson":
		f.json(ctx, file, r, fi.Size())
	default:
		f.other(n == 0, head)
	}
}

// other is a file that is none of the kinds: an error if it was named.
func (f *huntFile) other(empty bool, head []byte) {
	why := "it is empty"
	if !empty {
		why = fmt.Sprintf("no EVTX file, registry hive, task XML or JSON: it begins with %q", head[:min(len(head), 12)])
	}
	if f.named {
		f.bad(errors.New(why))
		return
	}
	f.ignore(f.shown, why)
}

func (f *huntFile) counted(kind string) {
	f.files++
	f.byKind[kind]++
}

func (f *huntFile) evtx(ctx context.Context, r io.ReaderAt, size int64) {
	first := true
	for rec, err := range evidence.ReadEVTX(ctx, r, size, f.bad) {
		if err != nil {
			f.bad(err)
			return
		}
		if first {
			first = false
			f.counted(kindEVTX)
		}
		l := hunt.LogRecord{Record: strconv.FormatUint(rec.RecordID, 10), Time: rec.Time, EventID: int64(rec.EventID), Level: rec.Level,
			Channel: rec.Channel, Provider: rec.Provider, Computer: rec.Computer, User: rec.User}
		for _, d := range rec.Fields() {
			l.Data = append(l.Data, hunt.Field(d))
		}
		f.hunter.Log(f.shown, l)
	}
	if first {
		f.counted(kindEVTX)
	}
}

func (f *huntFile) hive(ctx context.Context, r io.ReaderAt, size int64) {
	h, err := evidence.OpenHive(f.shown, r, size, f.bad)
	switch {
	case errors.Is(err, evidence.ErrHiveLog) && !f.named:
		f.ignore(f.shown, err.Error())
		return
	case err != nil:
		f.bad(err)
		return
	}
	f.counted(kindHive)
	err = h.Walk(ctx, func(k evidence.Key) (bool, error) {
		for v := range h.Values(k) {
			f.hunter.Registry(f.shown, hunt.RegistryValue{Key: k.Path, Name: v.Name, Type: v.Type, Data: v.Data, Time: k.MTime})
		}
		return true, nil
	})
	if err != nil {
		f.bad(err)
	}
}

func (f *huntFile) task() {
	t, err := system.TaskFile(f.root, f.name, f.named)
	if err != nil {
		f.bad(err)
		return
	}
	if t == nil {
		f.ignore(f.shown, "XML, and no scheduled task")
		return
	}
	f.counted(kindTask)
	ht := hunt.Task{Path: t.URI, User: t.User}
	for _, a := range t.Actions {
		if a.Command != "" {
			ht.Commands = append(ht.Commands, hunt.TaskCommand{Program: a.Command, Line: a.Line()})
		}
	}
	f.hunter.Task(f.shown, ht)
}

// json reads an event a line, or, where the first line is not one, values one
// after another.
func (f *huntFile) json(ctx context.Context, in io.Reader, r io.ReaderAt, size int64) {
	f.counted(kindJSON)
	br := bufio.NewReaderSize(in, 64<<10)
	first := true
	for n := 1; ; n++ {
		if ctx.Err() != nil {
			return
		}
		line, err := readLine(br, maxJSONLine)
		text := bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")))
		switch {
		case errors.Is(err, errLongLine) && !first:
			f.bad(fmt.Errorf("line %d: longer than %d bytes: left out", n, maxJSONLine))
		case errors.Is(err, errLongLine), len(text) > 0 && first && !json.Valid(text):
			f.jsonValues(ctx, r, size)
			return
		case err != nil && err != io.EOF:
			f.bad(err)
			return
		case len(text) > 0:
			first = false
			if jerr := f.hunter.JSON(f.shown, strconv.Itoa(n), text); jerr != nil {
				f.bad(fmt.Errorf("line %d: %w", n, jerr))
			}
		}
		if err == io.EOF {
			return
		}
	}
}

func (f *huntFile) jsonValues(ctx context.Context, r io.ReaderAt, size int64) {
	if size > maxJSONFile {
		f.bad(fmt.Errorf("its lines are not JSON, and as a whole it is longer than the %d bytes that are read", maxJSONFile))
		return
	}
	in := bufio.NewReader(io.NewSectionReader(r, 0, size))
	if mark, _ := in.Peek(3); string(mark) == "\xef\xbb\xbf" {
		_, _ = in.Discard(3)
	}
	dec := json.NewDecoder(in)
	for n := 1; ctx.Err() == nil; n++ {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if err == io.EOF {
			return
		}
		if err != nil {
			f.bad(fmt.Errorf("not JSON at byte %d: %w", dec.InputOffset(), err))
			return
		}
		if err := f.hunter.JSON(f.shown, strconv.Itoa(n), raw); err != nil {
			f.bad(fmt.Errorf("value %d: %w", n, err))
		}
	}
}

var errLongLine = errors.New("the line is too long")

// readLine reads a line of at most limit bytes and skips the rest of a longer
// one. The last line ends with io.EOF.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if long = long || len(line)+len(part) > limit; !long {
			line = append(line, part...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if long && err == nil {
			err = errLongLine
		}
		return line, err
	}
}

func looksXML(b []byte) bool {
	for _, p := range []string{"\xff\xfe<\x00", "\xfe\xff\x00<", "\xef\xbb\xbf<", "<\x00", "\x00<"} {
		if bytes.HasPrefix(b, []byte(p)) {
			return true
		}
	}
	return bytes.HasPrefix(bytes.TrimSpace(b), []byte("<"))
}

func looksJSON(b []byte) bool {
	b = bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))
	if len(b) == 0 || b[0] != '{' && b[0] != '[' {
		return false
	}
	rest := bytes.TrimSpace(b[1:])
	return len(rest) > 0 && bytes.IndexByte([]byte(`"{[]}`), rest[0]) >= 0
}
