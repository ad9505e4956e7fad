package engine

import (
	"slices"
	"strings"
)

// suggest finds what may have been meant where SQLite knows no such table,
// column or function.
func (c *conn) suggest(msg, sql string) []string {
	what, name, ok := strings.Cut(msg, ": ")
	if !ok {
		return nil
	}
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name = name[i+1:]
	}
	var among []string
	switch what {
	case "no such table", "no such table-valued function":
		among = c.e.TableNames()
	case "no such column":
		// SQLite resolves columns before it says which tables it reads.
		lower := strings.ToLower(sql)
		for _, t := range c.e.tables {
			if !strings.Contains(lower, strings.ToLower(t.name)) {
				continue
			}
			for _, col := range t.columns {
				among = append(among, col.Name)
			}
		}
	case "no such function":
		for _, f := range c.e.functions {
			among = append(among, f.name)
		}
		among = append(among, builtin...)
	}
	return nearest(name, among)
}

// nearest lists at most three of the names that look most like the given one.
func nearest(name string, among []string) []string {
	type scored struct {
		name string
		d    int
	}
	var found []scored
	lower := strings.ToLower(name)
	if len(lower) > 64 {
		return nil
	}
	slices.Sort(among)
	for _, n := range slices.Compact(among) {
		d := distance(lower, strings.ToLower(n))
		if len(lower) >= 4 && strings.Contains(strings.ToLower(n), lower) {
			d = min(d, 2)
		}
		if d <= max(2, len(lower)/3) {
			found = append(found, scored{n, d})
		}
	}
	slices.SortFunc(found, func(a, b scored) int {
		if a.d != b.d {
			return a.d - b.d
		}
		return strings.Compare(a.name, b.name)
	})
	var names []string
	for _, f := range found[:min(3, len(found))] {
		names = append(names, f.name)
	}
	return names
}

// distance is the least number of letters to put in, take out or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			last, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, last+cost)
		}
	}
	return row[len(b)]
}
