package pack

import (
	"fmt"
	"strings"

	"github.com/aiedr/edr/queries/document"
)

// loadSQL reads a file of statements, each under a comment header of entries:
//
//	-- name: new_listener
//	-- interval: 60
//	-- severity: medium
//	SELECT …
//
// A header line "-- name:" begins a new query; a file without one is one
// query, named for the file.
func loadSQL(pack, file string, text []byte) (*Pack, []Problem) {
	p := &Pack{Name: pack, File: file, Line: 1}
	var problems []Problem
	var part *sqlPart
	end := func() {
		if part == nil || (strings.TrimSpace(part.sql.String()) == "" && len(part.node.Keys) == 0) {
			return
		}
		part.put("sql", strings.TrimSuffix(strings.TrimSpace(part.sql.String()), ";"), part.node.Line, 1)
		d := document.NewReader(file, part.node)
		d.Get("name")
		q := readQuery(d, part.name, "sql")
		q.Line, q.Column = part.node.Line, 1
		problems = append(problems, d.Problems...)
		if !d.Failed() {
			p.Queries = append(p.Queries, q)
		}
	}
	begin := func(name string, line int) {
		end()
		part = &sqlPart{name: name, node: &document.Node{Kind: document.Map, Line: line, Column: 1}}
	}
	begin(packName(file), 1)
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimRight(line, "\r")
		if comment, ok := strings.CutPrefix(strings.TrimSpace(line), "--"); ok {
			key, value, ok := strings.Cut(comment, ":")
			key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
			if ok && key == "name" {
				begin(value, i+1)
			}
			if ok && headerKey(key) && strings.TrimSpace(part.sql.String()) == "" {
				if part.node.Get(key) != nil {
					problems = append(problems, Problem{File: file, Line: i + 1, Msg: fmt.Sprintf("%q is there twice", key), Next: "keep one of the two"})
					continue
				}
				part.put(key, value, i+1, strings.Index(line, value)+1)
			}
			continue
		}
		part.sql.WriteString(line + "\n")
	}
	end()
	if len(p.Queries) == 0 && len(problems) == 0 {
		problems = append(problems, Problem{File: file, Line: 1, Msg: "the file has no SQL", Next: "write a SELECT under a header such as -- interval: 60"})
	}
	return p, problems
}

type sqlPart struct {
	name string
	node *document.Node
	sql  strings.Builder
}

// headerKey tells an entry from an ordinary comment with a colon.
func headerKey(key string) bool {
	switch key {
	case "name", "interval", "snapshot", "removed", "platform", "version", "shard", "description", "value", "denylist",
		"startup_priority", "title", "severity", "attack", "when", "baseline", "actions", "falsepositives", "references":
		return true
	}
	return false
}

func (s *sqlPart) put(key, value string, line, column int) {
	n := &document.Node{Kind: document.String, Line: line, Column: column, Text: value}
	switch key {
	case "attack", "actions", "references", "falsepositives":
		n = &document.Node{Kind: document.List, Line: line, Column: column}
		sep := ","
		if key == "falsepositives" {
			sep = ";"
		}
		for _, v := range strings.Split(value, sep) {
			n.Items = append(n.Items, &document.Node{Kind: document.String, Line: line, Column: column, Text: strings.TrimSpace(v)})
		}
	}
	s.node.Keys = append(s.node.Keys, &document.Node{Kind: document.String, Line: line, Column: column, Text: key})
	s.node.Items = append(s.node.Items, n)
}
