package main

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/aiedr/edr/queries/hunt"
)

// matchColumns are what is said of a match, in every format.
var matchColumns = []string{"rule_id", "rule", "severity", "attack", "source", "record", "time", "fields"}

// matchPrinter shows matches as they come, one a line.
type matchPrinter interface {
	match(m hunt.Match) error
	end() error
}

func newMatchPrinter(format string, w io.Writer) matchPrinter {
	switch format {
	case "json":
		return &jsonMatches{w: w}
	case "csv":
		return &csvMatches{w: csv.NewWriter(w)}
	}
	return &textMatches{w: w}
}

func matchTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// jsonFields writes fields as an object that keeps their order.
func jsonFields(fields []hunt.Field) (json.RawMessage, error) {
	b := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		k, err := json.Marshal(f.Name)
		if err != nil {
			return nil, err
		}
		v, err := json.Marshal(f.Value)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, k...), ':'), v...)
	}
	return append(b, '}'), nil
}

type jsonMatches struct{ w io.Writer }

func (p *jsonMatches) match(m hunt.Match) error {
	fields, err := jsonFields(m.Fields)
	if err != nil {
		return err
	}
	attack := m.Rule.Attack
	if attack == nil {
		attack = []string{}
	}
	return json.NewEncoder(p.w).Encode(struct {
		ID       string          `json:"rule_id"`
		Rule     string          `json:"rule"`
		Severity string          `json:"severity"`
		Attack   []string        `json:"attack"`
		Source   string          `json:"source"`
		Record   string          `json:"record"`
		Time     string          `json:"time"`
		Fields   json.RawMessage `json:"fields"`
	}{m.Rule.ID, m.Rule.Name, string(m.Rule.Severity), attack, m.Source, m.Record, matchTime(m.Time), fields})
}

func (p *jsonMatches) end() error { return nil }

type csvMatches struct {
	w     *csv.Writer
	begun bool
}

func (p *csvMatches) head() error {
	if p.begun {
		return nil
	}
	p.begun = true
	return p.w.Write(matchColumns)
}

func (p *csvMatches) match(m hunt.Match) error {
	fields, err := jsonFields(m.Fields)
	if err == nil {
		err = p.head()
	}
	if err == nil {
		err = p.w.Write([]string{m.Rule.ID, m.Rule.Name, string(m.Rule.Severity), strings.Join(m.Rule.Attack, " "),
			m.Source, m.Record, matchTime(m.Time), string(fields)})
	}
	p.w.Flush()
	if err == nil {
		err = p.w.Error()
	}
	return err
}

func (p *csvMatches) end() error {
	err := p.head()
	p.w.Flush()
	if err == nil {
		err = p.w.Error()
	}
	return err
}

// textMatches separates the columns by tabs; values with spaces are quoted.
type textMatches struct{ w io.Writer }

func (p *textMatches) match(m hunt.Match) error {
	var b strings.Builder
	for i, s := range []string{m.Rule.ID, m.Rule.Name, string(m.Rule.Severity), strings.Join(m.Rule.Attack, ","), m.Source, m.Record, matchTime(m.Time)} {
		if i > 0 {
			b.WriteByte('\t')
		}
		b.WriteString(visible(s))
	}
	for i, f := range m.Fields {
		b.WriteByte("\t "[min(i, 1)])
		v := visible(f.Value)
		if v == "" || strings.ContainsAny(v, " \"=") {
			v = strconv.Quote(v)
		}
		b.WriteString(visible(f.Name) + "=" + shorten(v, maxCell))
	}
	b.WriteByte('\n')
	_, err := io.WriteString(p.w, b.String())
	return err
}

func (p *textMatches) end() error { return nil }
