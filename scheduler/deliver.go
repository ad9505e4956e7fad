package scheduler

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/aiedr/edr/queries/rule"
	"github.com/aiedr/edr/wire"
)

// hitKey makes the ids of hits: the same report made again has the same.
type hitKey struct {
	counter  uint64
	snapshot bool
	quiet    bool // the first answer of a query with a baseline: no hits
}

// deliver hands a result, in parts if it is large, and its hits to the sink.
// It returns the bytes reported.
func (s *Scheduler) deliver(e *entry, res wire.Result, a Answer, key hitKey) (int, error) {
	parts, size := s.split(e, res)
	for _, p := range parts {
		if err := s.opts.Sink.Result(p); err != nil {
			return 0, fmt.Errorf("report the result: %w; it is tried again at the next interval", err)
		}
	}
	if !e.query.Hits() || key.quiet {
		return size, nil
	}
	match, err := e.matcher(a.Columns)
	if err != nil {
		s.problems.report("query "+e.name, err)
		return size, nil
	}
	rows := res.Added
	keys := rowKeys(res.Columns, rows)
	nth := map[rowKey]int{}
	for i, row := range rows {
		nth[keys[i]]++
		ok, err := match(row)
		if err != nil {
			s.problems.report("query "+e.name, fmt.Errorf("when: %w", err))
			continue
		}
		if !ok {
			continue
		}
		if err := s.opts.Sink.Hit(e.hit(res, a, row, keys[i], nth[keys[i]], key)); err != nil {
			return size, fmt.Errorf("report a hit: %w; it is tried again at the next interval", err)
		}
	}
	return size, nil
}

// matcher is the query's condition for these columns.
func (e *entry) matcher(columns []string) (func(wire.Row) (bool, error), error) {
	if e.query.When == "" {
		return func(wire.Row) (bool, error) { return true, nil }, nil
	}
	if e.when == nil || !slices.Equal(e.whenColumns, columns) {
		w, err := rule.CompileWhen(e.query.When, columns)
		if err != nil {
			return nil, fmt.Errorf("when: %w", err)
		}
		e.when, e.whenColumns = w, columns
	}
	return e.when.Match, nil
}

// split cuts a result into parts of no more than MaxResult bytes or so.
func (s *Scheduler) split(e *entry, res wire.Result) ([]wire.Result, int) {
	head := 256
	for _, c := range res.Columns {
		head += len(c) + 4
	}
	for _, f := range res.Decorations {
		head += len(f.Name) + len(f.Value.String()) + 32
	}
	var parts []wire.Result
	part, size, total := res, head, head
	part.Added, part.Removed = nil, nil
	put := func(row wire.Row, removed bool) {
		n := rowSize(row)
		if n > s.opts.MaxResult {
			row = cut(row, s.opts.MaxResult/len(row))
			s.problems.report("query "+e.name, fmt.Errorf("a row of %d bytes is too large to report: its long values are cut; select less of them, such as substr(column, 1, 1000)", n))
			n = rowSize(row)
		}
		if size+n > s.opts.MaxResult && len(part.Added)+len(part.Removed) > 0 {
			parts = append(parts, part)
			part.Added, part.Removed, size = nil, nil, head
			total += head
		}
		size, total = size+n, total+n
		if removed {
			part.Removed = append(part.Removed, row)
		} else {
			part.Added = append(part.Added, row)
		}
	}
	for _, r := range res.Added {
		put(r, false)
	}
	for _, r := range res.Removed {
		put(r, true)
	}
	parts = append(parts, part)
	if len(parts) > 1 {
		for i := range parts {
			parts[i].Part, parts[i].Parts = i+1, len(parts)
		}
	}
	return parts, total
}

// rowSize is about how long a row is in JSON.
func rowSize(r wire.Row) int {
	n := 2
	for _, v := range r {
		switch x := v.Any().(type) {
		case string:
			n += len(x) + len(x)/8 + 3
		case []byte:
			n += len(x)*4/3 + 16
		default:
			n += 12
		}
	}
	return n
}

func cut(r wire.Row, limit int) wire.Row {
	out := slices.Clone(r)
	for i, v := range r {
		switch x := v.Any().(type) {
		case string:
			if len(x) > limit {
				out[i] = wire.ValueOf(strings.ToValidUTF8(x[:limit/2], "") + fmt.Sprintf("… (cut, %d bytes)", len(x)))
			}
		case []byte:
			if len(x) > limit {
				out[i] = wire.ValueOf(slices.Clone(x[:limit/2]))
			}
		}
	}
	return out
}

// hit tells of one row.
func (e *entry) hit(res wire.Result, a Answer, row wire.Row, k rowKey, nth int, key hitKey) wire.Hit {
	q := e.query
	h := wire.Hit{
		Rule:     wire.RuleRef{ID: e.name, Name: q.Name, Version: q.Hash(), Pack: e.pack.Name},
		Severity: q.Severity, Title: q.Title, Description: q.Description, Attack: q.Attack,
		Time: res.Time, Count: 1,
	}
	if len(a.Tables) > 0 {
		h.Table = strings.Join(a.Tables, ", ")
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00%s\x00%s\x00%d\x00%d\x00%v\x00%x\x00%d", e.name, h.Rule.Version, e.state.Life, res.Epoch, key.counter, key.snapshot, k, nth)
	h.ID = hex.EncodeToString(sum.Sum(nil)[:16])
	for i, c := range res.Columns {
		h.Event = append(h.Event, wire.Field{Name: c, Value: row[i]})
	}
	for _, action := range q.Actions {
		if action != "alert" && action != "log" {
			h.Actions = append(h.Actions, wire.ActionState{Action: action, State: "observed", Detail: "rows of a scheduled query only tell"})
		}
	}
	h.Process = process(h.Event)
	h.Entity = entity(h.Event)
	return h
}

// process is the process that a row names, nil if it names none for good.
func process(event []wire.Field) *wire.Process {
	p := &wire.Process{UID: -1}
	for _, f := range event {
		n, isInt := f.Value.Any().(int64)
		s := f.Value.String()
		switch f.Name {
		case "pid":
			p.PID = n
		case "start_time_ns":
			p.StartTime = n
		case "parent", "ppid":
			p.Parent = n
		case "name":
			p.Name = s
		case "path":
			p.Path = s
		case "cmdline":
			p.Cmdline = s
		case "uid":
			if isInt {
				p.UID = n
			}
		case "username":
			p.User = s
		case "container_id":
			p.Container = s
		}
	}
	if p.PID <= 0 || p.StartTime <= 0 {
		return nil
	}
	return p
}

// entity is what a row is about: the same program doing the same again is the
// same trouble again, whatever its number and time.
func entity(event []wire.Field) string {
	var parts []string
	for _, f := range event {
		switch f.Name {
		case "pid", "parent", "ppid", "start_time", "start_time_ns", "time", "eid", "time_ns", "atime", "mtime", "ctime", "fd", "socket",
			"next_run_time", "last_run_time", "local_port", "elapsed_time":
			continue
		}
		if s := f.Value.String(); s != "" && len(parts) < 6 {
			parts = append(parts, s[:min(len(s), 256)])
		}
	}
	return strings.ToValidUTF8(strings.Join(parts, " "), "")
}
