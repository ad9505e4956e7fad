package regsensor

import (
	"maps"
	"slices"
	"time"

	"github.com/aiedr/edr/tables/event"
)

// subkeyType stands in data_type for a key itself, as in the table registry.
const subkeyType = "subkey"

// diff tells what happened between two looks at a place, in the order of the
// keys. A key's own creation comes before its values, its end after them.
func diff(p place, before, next snapshot, source string, now time.Time) []event.Event {
	var out []event.Event
	tell := func(at time.Time, action, key string, v value, old string) {
		e := &event.Registry{Action: action, Key: key, Value: v.name, DataType: v.typ, Data: v.text, OldData: old, Category: p.category}
		e.Source = source
		e.At(at)
		out = append(out, e)
	}
	low := slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(next)))
	slices.Sort(low)
	for _, k := range slices.Compact(low) {
		was, is := before[k], next[k]
		switch {
		case is == nil:
			for _, name := range sorted(was.values) {
				tell(now, event.RegistryDeleted, was.path, was.values[name], "")
			}
			tell(now, event.RegistryDeleted, was.path, value{typ: subkeyType}, "")
			continue
		case was == nil:
			tell(written(is, time.Time{}, now), event.RegistryCreated, is.path, value{typ: subkeyType}, "")
			was = &keyState{}
		}
		at := written(is, was.seen, now)
		for _, name := range sorted(was.values) {
			if _, ok := is.values[name]; !ok {
				tell(at, event.RegistryDeleted, is.path, was.values[name], "")
			}
		}
		for _, name := range sorted(is.values) {
			v := is.values[name]
			old, ok := was.values[name]
			switch {
			case !ok:
				tell(at, event.RegistryCreated, is.path, v, "")
			case old.text != v.text || old.typ != v.typ:
				tell(at, event.RegistryModified, is.path, v, old.text)
			}
		}
	}
	return out
}

func sorted(values map[string]value) []string { return slices.Sorted(maps.Keys(values)) }

// written is when the key was last written to, where that can be the time of
// the change: a clock that was set could say anything.
func written(k *keyState, after, now time.Time) time.Time {
	if k.at.IsZero() || k.at.After(now) || k.at.Before(after) {
		return now
	}
	return k.at
}
