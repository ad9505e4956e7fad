package api

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

type rowView struct {
	Seq      int64           `json:"seq"`
	Host     string          `json:"host"`
	Hostname string          `json:"hostname"`
	Values   json.RawMessage `json:"values"`
}

// object makes a JSON object of columns and a JSON list of values, in the
// order of the columns. A later column of the same name is left out.
func object(columns []string, cells json.RawMessage) (json.RawMessage, error) {
	var values []json.RawMessage
	if err := json.Unmarshal(cells, &values); err != nil {
		return nil, fmt.Errorf("read a kept row: %w", err)
	}
	var b bytes.Buffer
	b.WriteByte('{')
	seen := make(map[string]bool, len(columns))
	for i, name := range columns {
		if i >= len(values) || seen[name] {
			continue
		}
		if len(seen) > 0 {
			b.WriteByte(',')
		}
		seen[name] = true
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(values[i])
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// rowViews spreads kept parts into rows, at most n; next is the sequence of
// the last one, or after.
func rowViews(parts []store.QueryPart, after int64, n int) (rows []rowView, next int64, err error) {
	rows, next = []rowView{}, after
	for _, p := range parts {
		for i, cells := range p.Rows {
			if len(rows) >= n {
				return rows, next, nil
			}
			v, err := object(p.Columns, cells)
			if err != nil {
				return nil, after, err
			}
			next = p.First + int64(i)
			rows = append(rows, rowView{next, p.Host, p.Hostname, v})
		}
	}
	return rows, next, nil
}

func (a *API) queryRows(c *gin.Context) {
	n, err := limit(c, 1000, 10000)
	if err != nil {
		a.fail(c, err)
		return
	}
	after, err := number(c, "after", 0, 0, 1<<62)
	if err != nil {
		a.fail(c, err)
		return
	}
	q, err := a.query(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	parts, err := a.Store.QueryParts(c.Request.Context(), who(c).Scope, q.ID, after, n)
	if err != nil {
		a.fail(c, err)
		return
	}
	rows, next, err := rowViews(parts, after, n)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"rows": rows, "next": next, "done": q.Done})
}

// cell makes a text safe in a spreadsheet: one that a program would take for
// a formula is preceded by an apostrophe.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func (a *API) queryExport(c *gin.Context) {
	format := c.DefaultQuery("format", "csv")
	if format != "csv" && format != "json" {
		a.fail(c, badRequest("there is no format %q; it is csv or json", format))
		return
	}
	q, err := a.query(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	if err := a.audit(c, "export query", q.ID, format); err != nil {
		a.fail(c, err)
		return
	}
	c.Header("Content-Disposition", fmt.Sprintf(`attachment; filename="query-%s.%s"`, q.ID, format))
	if format == "csv" {
		c.Header("Content-Type", "text/csv; charset=utf-8")
		err = a.exportCSV(c, q)
	} else {
		c.Header("Content-Type", "application/json; charset=utf-8")
		err = a.exportJSON(c, q)
	}
	if err != nil { // the head is out: the transfer must not look whole
		a.Log.Error("an export broke off", "query", q.ID, "err", err)
		panic(http.ErrAbortHandler)
	}
}

// each walks all kept rows of a query.
func (a *API) each(c *gin.Context, q store.Query, do func(p store.QueryPart, cells json.RawMessage) error) error {
	var after int64
	for {
		extend(c)
		parts, err := a.Store.QueryParts(c.Request.Context(), who(c).Scope, q.ID, after, 5000)
		if err != nil || len(parts) == 0 {
			return err
		}
		for _, p := range parts {
			for _, cells := range p.Rows {
				if err := do(p, cells); err != nil {
					return err
				}
			}
			after = p.First + int64(len(p.Rows)) - 1
		}
	}
}

func (a *API) exportCSV(c *gin.Context, q store.Query) error {
	w := csv.NewWriter(c.Writer)
	head := []string{"host", "hostname"}
	place := map[string]int{}
	for _, col := range q.Columns {
		place[col] = len(head)
		head = append(head, cell(col))
	}
	if err := w.Write(head); err != nil {
		return err
	}
	err := a.each(c, q, func(p store.QueryPart, cells json.RawMessage) error {
		var values []wire.Value
		if err := json.Unmarshal(cells, &values); err != nil {
			return fmt.Errorf("read a kept row: %w", err)
		}
		line := make([]string, len(head))
		line[0], line[1] = cell(p.Host), cell(p.Hostname)
		for i, name := range p.Columns {
			if at, ok := place[name]; ok && i < len(values) {
				line[at] = csvValue(values[i])
			}
		}
		return w.Write(line)
	})
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	return err
}

// csvValue is a value as text. A negative number is no formula; a text that
// looks like one may be.
func csvValue(v wire.Value) string {
	switch v.Any().(type) {
	case int64, float64:
		return v.String()
	}
	return cell(v.String())
}

func (a *API) exportJSON(c *gin.Context, q store.Query) error {
	first := true
	if _, err := io.WriteString(c.Writer, "["); err != nil {
		return err
	}
	err := a.each(c, q, func(p store.QueryPart, cells json.RawMessage) error {
		v, err := object(p.Columns, cells)
		if err != nil {
			return err
		}
		line, err := json.Marshal(rowView{Host: p.Host, Hostname: p.Hostname, Values: v})
		if err != nil {
			return err
		}
		sep := ",\n"
		if first {
			sep, first = "\n", false
		}
		_, err = io.WriteString(c.Writer, sep+string(line))
		return err
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.Writer, "\n]\n")
	return err
}
