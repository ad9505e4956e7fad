package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aiedr/edr/wire"
)

// printer shows an answer as it comes.
type printer interface {
	columns(names []string) error
	row(r wire.Row) error
	end() error
}

func newPrinter(format string, w io.Writer) printer {
	switch format {
	case "json":
		return &jsonPrinter{w: w}
	case "csv":
		return &csvPrinter{w: csv.NewWriter(w)}
	case "line":
		return &linePrinter{w: w}
	}
	return &tablePrinter{w: w}
}

// jsonPrinter writes an array with one object a row. Numbers are numbers and
// NULL is null.
type jsonPrinter struct {
	w     io.Writer
	names [][]byte
	n     int
}

func (p *jsonPrinter) columns(names []string) error {
	for _, n := range names {
		b, err := json.Marshal(n)
		if err != nil {
			return err
		}
		p.names = append(p.names, b)
	}
	_, err := io.WriteString(p.w, "[")
	return err
}

func (p *jsonPrinter) row(r wire.Row) error {
	var b strings.Builder
	if p.n > 0 {
		b.WriteByte(',')
	}
	p.n++
	b.WriteString("\n  {")
	for i, v := range r {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(p.names[i])
		b.WriteByte(':')
		val, err := json.Marshal(v)
		if err != nil {
			return err
		}
		b.Write(val)
	}
	b.WriteByte('}')
	_, err := io.WriteString(p.w, b.String())
	return err
}

func (p *jsonPrinter) end() error {
	if p.names == nil {
		return nil
	}
	_, err := io.WriteString(p.w, "\n]\n")
	return err
}

type csvPrinter struct{ w *csv.Writer }

func (p *csvPrinter) columns(names []string) error { return p.w.Write(names) }

func (p *csvPrinter) row(r wire.Row) error {
	cells := make([]string, len(r))
	for i, v := range r {
		cells[i] = v.String()
	}
	return p.w.Write(cells)
}

func (p *csvPrinter) end() error {
	p.w.Flush()
	return p.w.Error()
}

// linePrinter writes each value on a line of its own, as sqlite3's line mode.
type linePrinter struct {
	w     io.Writer
	names []string
	width int
	n     int
}

func (p *linePrinter) columns(names []string) error {
	p.names = names
	for _, n := range names {
		p.width = max(p.width, utf8.RuneCountInString(n))
	}
	return nil
}

func (p *linePrinter) row(r wire.Row) error {
	var b strings.Builder
	if p.n > 0 {
		b.WriteByte('\n')
	}
	p.n++
	for i, v := range r {
		fmt.Fprintf(&b, "%*s = %s\n", p.width, p.names[i], visible(v.String()))
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}

func (p *linePrinter) end() error { return nil }

// tablePrinter gathers all rows, since their widths decide the columns'.
type tablePrinter struct {
	w     io.Writer
	names []string
	rows  [][]string
}

// maxCell is the widest that a cell of a table is shown; -line shows all.
const maxCell = 120

func (p *tablePrinter) columns(names []string) error {
	p.names = names
	return nil
}

func (p *tablePrinter) row(r wire.Row) error {
	cells := make([]string, len(r))
	for i, v := range r {
		cells[i] = shorten(visible(v.String()), maxCell)
	}
	p.rows = append(p.rows, cells)
	return nil
}

func (p *tablePrinter) end() error {
	if p.names == nil {
		return nil
	}
	widths := make([]int, len(p.names))
	for i, n := range p.names {
		widths[i] = utf8.RuneCountInString(n)
	}
	for _, r := range p.rows {
		for i, c := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	rule := func() {
		for _, w := range widths {
			b.WriteString("+" + strings.Repeat("-", w+2))
		}
		b.WriteString("+\n")
	}
	line := func(cells []string) {
		for i, c := range cells {
			b.WriteString("| " + c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+1))
		}
		b.WriteString("|\n")
	}
	rule()
	line(p.names)
	rule()
	for _, r := range p.rows {
		line(r)
	}
	if len(p.rows) > 0 {
		rule()
	}
	_, err := io.WriteString(p.w, b.String())
	return err
}

// visible replaces what could move the cursor, hide text or turn its
// direction: names and command lines are whatever an attacker made them.
func visible(s string) string {
	if strings.IndexFunc(s, hidden) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case hidden(r):
			if r < 0x100 {
				fmt.Fprintf(&b, `\x%02x`, r)
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

func shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
