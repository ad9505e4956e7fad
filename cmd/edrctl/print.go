package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/aiedr/edr/wire"
)

// safe makes a text that came from a host harmless to a terminal: control
// characters, which could move the cursor or set the title, and characters
// that turn the direction of writing are shown as escapes.
func safe(s string) string {
	if strings.IndexFunc(s, harmful) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !harmful(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func harmful(r rune) bool {
	return unicode.IsControl(r) || (r >= 0x202A && r <= 0x202E) || (r >= 0x2066 && r <= 0x2069) || r == 0x200E || r == 0x200F || r == unicode.ReplacementChar
}

// safeJSON escapes in JSON text what encoding/json leaves and a terminal obeys.
func safeJSON(b []byte) string {
	var out strings.Builder
	for _, r := range string(b) {
		if r >= 0x7f && harmful(r) && r != unicode.ReplacementChar {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// row is a row of a live query; its values keep the order of their columns.
type row struct {
	Seq      int64           `json:"seq"`
	Host     string          `json:"host"`
	Hostname string          `json:"hostname"`
	Values   json.RawMessage `json:"values"`
}

// cells reads the columns and values of a row in order.
func (r *row) cells() (names []string, values []wire.Value, err error) {
	d := json.NewDecoder(bytes.NewReader(r.Values))
	if _, err := d.Token(); err != nil {
		return nil, nil, fmt.Errorf("read a row: %w", err)
	}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("read a row: %w", err)
		}
		var v wire.Value
		if err := d.Decode(&v); err != nil {
			return nil, nil, fmt.Errorf("read a row: %w", err)
		}
		name, _ := k.(string) // a key of an object is one
		names, values = append(names, name), append(values, v)
	}
	return names, values, nil
}

// rowPrinter prints rows as they come, aligned within what came together.
type rowPrinter struct {
	out     io.Writer
	json    bool
	columns string
}

func (p *rowPrinter) print(rows []row) error {
	if p.json {
		for _, r := range rows {
			b, err := json.Marshal(struct {
				Host     string          `json:"host"`
				Hostname string          `json:"hostname"`
				Values   json.RawMessage `json:"values"`
			}{r.Host, r.Hostname, r.Values})
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(p.out, safeJSON(b)); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(p.out, 0, 4, 2, ' ', 0)
	for i := range rows {
		names, values, err := rows[i].cells()
		if err != nil {
			return err
		}
		if head := strings.Join(names, "\x00"); head != p.columns {
			p.columns = head
			line := []string{"HOST"}
			for _, n := range names {
				line = append(line, safe(n))
			}
			fmt.Fprintln(w, strings.Join(line, "\t"))
		}
		line := []string{safe(rows[i].Hostname)}
		for _, v := range values {
			line = append(line, safe(v.String()))
		}
		fmt.Fprintln(w, strings.Join(line, "\t"))
	}
	return w.Flush()
}
