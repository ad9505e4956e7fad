package scheduler

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aiedr/edr/wire"
)

// state is what a query has reported so far. Its rows stay on disk; in memory
// there are only their digests.
type state struct {
	Name string `json:"name"`
	// Life is made with the state, so that ids of hits made from counters
	// never repeat after a state was lost.
	Life    string     `json:"life"`
	Epoch   uint64     `json:"epoch"`
	Counter uint64     `json:"counter"`
	Ran     bool       `json:"ran"`
	Columns []string   `json:"columns,omitempty"`
	Rows    []wire.Row `json:"rows,omitempty"`
	Cursor  uint64     `json:"cursor,omitempty"`
	Events  bool       `json:"events,omitempty"`
	// Interval and Splay are in seconds: the one asked for and this host's own.
	Interval    int64     `json:"interval"`
	Splay       int64     `json:"splay"`
	DeniedUntil time.Time `json:"denied_until,omitzero"`
	DeniedSQL   string    `json:"denied_sql,omitempty"`

	keys map[rowKey]int
	// dirty says that Cursor or Ran are ahead of the disk, which costs
	// nothing but work: no row was reported in between.
	dirty bool
	saved time.Time
}

func newState(name string) *state {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return &state{Name: name, Life: hex.EncodeToString(b[:]), keys: map[rowKey]int{}}
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}

// store is the directory of the states: one file for each query, and the
// marker of the query that runs.
type store struct {
	dir string
	now func() time.Time
}

const (
	stateMagic = "edr schedule state 1\n"
	stateExt   = ".state"
	markerName = "running"
)

func (d store) open() error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return fmt.Errorf("make the scheduler's directory: %w; give the agent another -data", err)
	}
	return nil
}

func (d store) path(name string) string { return filepath.Join(d.dir, digest(name)+stateExt) }

// load reads a query's state, nil if there is none. One that cannot be read
// is set aside, and the error says so.
func (d store) load(name string) (*state, error) {
	st, err := d.read(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		aside := d.path(name) + ".corrupt-" + d.now().UTC().Format("20060102T150405Z")
		if rerr := os.Rename(d.path(name), aside); rerr != nil {
			return nil, fmt.Errorf("read the state of query %s: %w; it could not be set aside either: %v; the query starts over", name, err, rerr)
		}
		return nil, fmt.Errorf("read the state of query %s: %w; it is set aside as %s and the query starts over", name, err, filepath.Base(aside))
	}
	if err != nil {
		return nil, nil
	}
	st.keys = countKeys(rowKeys(st.Columns, st.Rows))
	st.Rows = nil
	st.saved = d.now()
	return st, nil
}

// maxState bounds what is read back; a state is as large as an answer.
const maxState = 256 << 20

func (d store) read(name string) (*state, error) {
	info, err := os.Lstat(d.path(name))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxState {
		return nil, errors.New("it is no regular file of a sensible size")
	}
	b, err := os.ReadFile(d.path(name))
	if err != nil {
		return nil, err
	}
	return parseState(name, b)
}

func parseState(name string, b []byte) (*state, error) {
	rest, ok := bytes.CutPrefix(b, []byte(stateMagic))
	if !ok {
		return nil, errors.New("it does not begin as a state")
	}
	sum, body, ok := bytes.Cut(rest, []byte("\n"))
	if !ok {
		return nil, errors.New("it is cut off")
	}
	if want := sha256.Sum256(body); string(sum) != hex.EncodeToString(want[:]) {
		return nil, errors.New("its checksum is wrong")
	}
	var st state
	if err := json.Unmarshal(body, &st); err != nil {
		return nil, err
	}
	if st.Name != name {
		return nil, fmt.Errorf("it is of query %q", st.Name)
	}
	for _, r := range st.Rows {
		if len(r) != len(st.Columns) {
			return nil, errors.New("a row has not as many values as there are columns")
		}
	}
	return &st, nil
}

// save writes a state whose rows are those on disk.
func (d store) save(st *state) error {
	if len(st.keys) > 0 && st.Rows == nil {
		old, err := d.read(st.Name)
		if err != nil {
			return fmt.Errorf("read the former rows of query %s: %w", st.Name, err)
		}
		defer func() { st.Rows = nil }()
		st.Rows = old.Rows
	}
	return d.write(st)
}

// write writes a state with its rows: whole or not at all.
func (d store) write(st *state) error {
	body, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("write the state of query %s: %w", st.Name, err)
	}
	sum := sha256.Sum256(body)
	text := append([]byte(stateMagic+hex.EncodeToString(sum[:])+"\n"), body...)
	if err := replace(d.path(st.Name), text); err != nil {
		return fmt.Errorf("write the state of query %s: %w; free or repair the disk", st.Name, err)
	}
	st.dirty, st.saved = false, d.now()
	return nil
}

func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}

// retire notes when a query left the schedule.
func (d store) retire(name string, now time.Time) { _ = os.Chtimes(d.path(name), now, now) }

// purge removes the states of queries that left the schedule long ago, and
// what interrupted writes left.
func (d store) purge(scheduled map[string]bool, now time.Time) error {
	keep := map[string]bool{}
	for name := range scheduled {
		keep[filepath.Base(d.path(name))] = true
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return fmt.Errorf("list the scheduler's states: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || keep[e.Name()] {
			continue
		}
		old := now.Sub(info.ModTime()) > purgeAfter
		if strings.HasPrefix(e.Name(), ".new-") || (old && strings.Contains(e.Name(), stateExt)) {
			if err := os.Remove(filepath.Join(d.dir, e.Name())); err != nil {
				return fmt.Errorf("remove an old state: %w", err)
			}
		}
	}
	return nil
}

// marker names the query that runs. It is written without waiting for the
// disk: it is to outlive the agent, not the machine.
type marker struct {
	Name    string    `json:"name"`
	SQL     string    `json:"sql"`
	Boot    string    `json:"boot"`
	Started time.Time `json:"started"`
}

func (d store) mark(m marker) error {
	b, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(filepath.Join(d.dir, markerName), b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("mark query %s as running: %w", m.Name, err)
	}
	return nil
}

func (d store) forget() { _ = os.Remove(filepath.Join(d.dir, markerName)) }

// died is the query during which the agent died in this boot, nil if none.
func (d store) died(boot string) *marker {
	b, err := os.ReadFile(filepath.Join(d.dir, markerName))
	if err != nil {
		return nil
	}
	var m marker
	if json.Unmarshal(b, &m) != nil || m.Boot != boot {
		return nil
	}
	return &m
}
