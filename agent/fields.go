package agent

import (
	"reflect"
	"strings"
	"sync"

	"github.com/aiedr/edr/tables/event"
	"github.com/aiedr/edr/wire"
)

// fieldList knows, for each row type of an event, where its columns are.
type fieldList struct {
	mu    sync.Mutex
	types map[reflect.Type][]column
}

type column struct {
	name  string
	index []int
}

func newFieldList() *fieldList { return &fieldList{types: map[reflect.Type][]column{}} }

// of lists an event's columns and values in the order of its declaration,
// leaving out what is empty: a reader of a hit looks at what there is.
func (l *fieldList) of(e event.Event) []wire.Field {
	v := reflect.ValueOf(e).Elem()
	cols := l.columns(v.Type())
	out := make([]wire.Field, 0, len(cols))
	for _, c := range cols {
		f := v.FieldByIndex(c.index)
		if f.IsZero() {
			continue
		}
		out = append(out, wire.Field{Name: c.name, Value: wire.ValueOf(f.Interface())})
	}
	return out
}

func (l *fieldList) columns(t reflect.Type) []column {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cols, ok := l.types[t]; ok {
		return cols
	}
	var cols []column
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("col"), ","); name != "" {
			cols = append(cols, column{name, f.Index})
		}
	}
	l.types[t] = cols
	return cols
}
