package event

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aiedr/edr/tables"
)

// fill sets every codec field of a row to a value of its own.
func fill(e Event) {
	var walk func(v reflect.Value)
	n := int64(1)
	walk = func(v reflect.Value) {
		for i := range v.NumField() {
			f := v.Field(i)
			switch f.Kind() {
			case reflect.Struct:
				walk(f)
			case reflect.String:
				f.SetString(strings.Repeat("é", int(n%5)+1) + v.Type().Field(i).Name)
			case reflect.Int64:
				f.SetInt(-n * 1 << 33)
			case reflect.Int32:
				f.SetInt(-n)
			case reflect.Uint64:
				f.SetUint(1<<63 + uint64(n))
			case reflect.Bool:
				f.SetBool(true)
			}
			n++
		}
	}
	walk(reflect.ValueOf(e).Elem())
	e.Head().At(time.Unix(1700000000, 123456789))
	e.Head().SetID(77)
}

func TestCodecKeepsEveryField(t *testing.T) {
	for _, k := range kinds {
		e := k.make()
		fill(e)
		data, err := Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(k.table, tables.Event{ID: 77, Time: e.When(), Data: data})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, e) {
			t.Errorf("%s: read back\n%+v\nwrote\n%+v", k.table, got, e)
		}
		for i := range data {
			if _, err := Decode(k.table, tables.Event{Data: data[:i]}); err != nil && !errors.Is(err, ErrRecord) {
				t.Fatalf("%s cut at %d: %v", k.table, i, err)
			}
		}
	}
}

func TestDecodeStepsOverUnknownFields(t *testing.T) {
	data, err := Encode(&Exec{Name: "sh"})
	if err != nil {
		t.Fatal(err)
	}
	later := append(slices.Clone(data), 0xa0, 0x1f, 0x05)         // number 2000, a varint
	later = append(later, 0xa3, 0x1f, 0x03, 'a', 'b', 'c', 2, 14) // number 2001, text; then pid 7
	got, err := Decode("process_events", tables.Event{ID: 1, Data: later})
	if err != nil {
		t.Fatal(err)
	}
	if e := got.(*Exec); e.Name != "sh" || e.PID != 7 {
		t.Errorf("read %+v", e)
	}
	if _, err := Decode("process_events", tables.Event{Data: []byte{9}}); !errors.Is(err, ErrRecord) {
		t.Errorf("record of another version: %v", err)
	}
	if _, err := Encode((*Exec)(nil)); err == nil {
		t.Error("a nil event was encoded")
	}
}

// TestNumbersStay: records on disk carry the numbers, so they may not move.
func TestNumbersStay(t *testing.T) {
	for name, want := range map[string]int{
		"pid": 1, "cmdline": 7, "source": 15, "syscall": 34, "action": 39, "status": 49, "cmdline_truncated": 62, "hashed": 70, "key": 72, "old_data": 76, "new_path": 77, "old_enabled": 87,
	} {
		if got := slices.Index(fieldNames, name); got != want {
			t.Errorf("%s has number %d, and %d on disk", name, got, want)
		}
	}
	for i, want := range []string{"", "process_events", "process_exit_events", "file_events", "socket_events", "registry_events", "scheduled_task_events"} {
		if got := TableOf(uint8(i)); got != want {
			t.Errorf("code %d is %q, and %q on disk", i, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for i, k := range kinds {
		e := k.make()
		fill(e)
		data, _ := Encode(e)
		f.Add(uint8(i), data)
	}
	f.Fuzz(func(t *testing.T, table uint8, data []byte) {
		k := kinds[int(table)%len(kinds)]
		e, err := Decode(k.table, tables.Event{ID: 1, Data: data})
		if err != nil {
			if !errors.Is(err, ErrRecord) {
				t.Fatalf("%v is not ErrRecord", err)
			}
			return
		}
		again, err := Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		e2, err := Decode(k.table, tables.Event{ID: 1, Data: again})
		if err != nil || !reflect.DeepEqual(e, e2) {
			t.Fatalf("%+v became %+v (%v)", e, e2, err)
		}
	})
}

// memLog is an event log in memory.
type memLog struct {
	events []tables.Event
	tables []string
	gapAt  int
	asked  tables.EventQuery
	first  uint64
}

func (l *memLog) add(t *testing.T, e Event) {
	data, err := Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	l.events = append(l.events, tables.Event{ID: uint64(len(l.events) + 1), Time: e.When(), Data: data})
	l.tables = append(l.tables, e.Table())
}

func (l *memLog) LastID() uint64  { return uint64(len(l.events)) }
func (l *memLog) FirstID() uint64 { return max(l.first, 1) }

func (l *memLog) Read(_ context.Context, q tables.EventQuery) iter.Seq2[tables.Event, error] {
	l.asked = q
	return func(yield func(tables.Event, error) bool) {
		for i, e := range l.events {
			if l.gapAt == i+1 && !yield(tables.Event{}, &tables.GapError{FromID: 1, ToID: 2, Reason: "test"}) {
				return
			}
			if l.tables[i] != q.Table || e.Time.Before(q.From) || !q.To.IsZero() && e.Time.After(q.To) {
				continue
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func pids(t *testing.T, table *tables.Table, q *tables.Query) (got []int64) {
	t.Helper()
	q.Columns = []int{table.ColumnIndex("pid")}
	for b, err := range table.Batches(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		for r := range b.Rows {
			got = append(got, b.Value(r, 0).(int64))
		}
	}
	return got
}

func exec(pid, at int64, path string) *Exec {
	e := &Exec{}
	e.PID, e.Path = pid, path
	e.At(time.Unix(at, 5e8))
	return e
}

func TestScanPushesDown(t *testing.T) {
	log := &memLog{}
	for i := range int64(10) {
		log.add(t, exec(i, 100+i, []string{"/bin/a", "/bin/b"}[i%2]))
	}
	host := &tables.Host{Log: log}
	c := func(column string, op tables.Op, vals ...any) tables.Constraint {
		return tables.Constraint{Column: column, Op: op, Values: vals}
	}
	for _, test := range []struct {
		name string
		cs   []tables.Constraint
		want []int64
	}{
		{"all", nil, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"time", []tables.Constraint{c("time", tables.Greater, int64(103)), c("time", tables.LessOrEquals, int64(106))}, []int64{4, 5, 6}},
		{"second", []tables.Constraint{c("time", tables.Equals, int64(103))}, []int64{3}},
		{"never", []tables.Constraint{c("time", tables.Less, int64(1)), c("time", tables.Greater, int64(5))}, nil},
		{"pid in", []tables.Constraint{c("pid", tables.Equals, int64(2), int64(4), "x")}, []int64{2, 4}},
		{"path", []tables.Constraint{c("path", tables.Equals, "/bin/b"), c("pid", tables.Equals, int64(3))}, []int64{3}},
		{"far", []tables.Constraint{c("time", tables.Less, int64(1)<<60)}, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
	} {
		if got := pids(t, ProcessEvents, &tables.Query{Host: host, Constraints: test.cs}); !slices.Equal(got, test.want) {
			t.Errorf("%s: pids %v, want %v", test.name, got, test.want)
		}
	}
}

func TestScanSaysWhatIsMissing(t *testing.T) {
	for _, table := range Tables() {
		for _, err := range table.Batches(t.Context(), &tables.Query{Host: &tables.Host{}}) {
			var none *tables.NoEventsError
			if !errors.As(err, &none) || none.Table != table.Name {
				t.Errorf("%s without a log: %v", table.Name, err)
			}
		}
	}
	log := &memLog{gapAt: 2}
	log.add(t, exec(1, 1, ""))
	log.add(t, exec(2, 2, ""))
	log.add(t, exec(3, 3, ""))
	log.events[2].Data = []byte{recordVersion, 0x03}
	q := &tables.Query{Host: &tables.Host{Log: log}}
	if got := pids(t, ProcessEvents, q); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("pids %v", got)
	}
	if _, n := q.Warnings(); n != 2 {
		t.Errorf("%d warnings, want one for the gap and one for the record", n)
	}
}

func TestCursorSeesEachEventOnce(t *testing.T) {
	log := &memLog{}
	host := func(l tables.EventLog) *tables.Host { return &tables.Host{Log: l} }
	var after uint64
	next := int64(1)
	for run := range 3 {
		var want []int64
		for range run + 1 {
			log.add(t, exec(next, 100+next, ""))
			want = append(want, next)
			next++
		}
		l, c := WithCursor(log, after)
		log.add(t, exec(next, 100+next, "")) // while the statement runs
		for range 2 {                        // as a self-join scans
			if got := pids(t, ProcessEvents, &tables.Query{Host: host(l)}); !slices.Equal(got[len(got)-len(want):], want) {
				t.Errorf("run %d: pids %v, want them to end in %v", run, got, want)
			} else if run > 0 && len(got) != len(want)+1 {
				t.Errorf("run %d: pids %v: want the late one of the last run and %v", run, got, want)
			}
		}
		next++
		after = c.Next()
	}
	// A window of time is seen whole, each time.
	l, _ := WithCursor(log, after)
	q := &tables.Query{Host: host(l), Constraints: []tables.Constraint{{Column: "time", Op: tables.Greater, Values: []any{int64(0)}}}}
	if got := pids(t, ProcessEvents, q); len(got) != len(log.events) {
		t.Errorf("with a constraint on time: %d of %d events", len(got), len(log.events))
	}
}

func TestCursorCountsWhatItMissed(t *testing.T) {
	log := &memLog{events: make([]tables.Event, 100), first: 51}
	if _, c := WithCursor(log, 40); c.Missed() != 10 {
		t.Errorf("missed %d, want 10", c.Missed())
	}
	if _, c := WithCursor(log, 60); c.Missed() != 0 {
		t.Errorf("missed %d, want 0", c.Missed())
	}
	if _, c := WithCursor(log, 200); c.Missed() != 0 || c.Next() != 100 {
		t.Errorf("beyond the end: missed %d, next %d", c.Missed(), c.Next())
	}
}

// TestScanSaysWhatIsNotSupported: an event table that no sensor of the running
// system fills must not look like a quiet machine.
func TestScanSaysWhatIsNotSupported(t *testing.T) {
	root, err := tables.DirRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	host := &tables.Host{Root: root, Log: &memLog{}}
	here := map[string]tables.Platform{"linux": tables.Linux, "windows": tables.Windows}[runtime.GOOS]
	for _, table := range Tables() {
		var got error
		for _, err := range table.Batches(t.Context(), &tables.Query{Host: host}) {
			got = err
		}
		if want := table.Platforms&here == 0; errors.Is(got, tables.ErrNotSupported) != want || !want && got != nil {
			t.Errorf("%s: %v", table.Name, got)
		}
	}
}
