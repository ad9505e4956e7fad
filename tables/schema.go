package tables

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

//go:embed schema.json
var schemaJSON []byte

// Schema is what the server and the command line client know of a table: the
// declaration without the scan.
type Schema struct {
	Name       string         `json:"name"`
	Doc        string         `json:"doc"`
	Platforms  []string       `json:"platforms"`
	Class      Class          `json:"class"`
	Evented    bool           `json:"evented,omitempty"`
	Ours       bool           `json:"ours,omitempty"` // osquery has no such table
	RequireAny []string       `json:"require_any,omitempty"`
	Examples   []string       `json:"examples,omitempty"`
	Columns    []ColumnSchema `json:"columns"`
}

// ColumnSchema is a column of a Schema.
type ColumnSchema struct {
	Name     string   `json:"name"`
	Type     Type     `json:"type"`
	Doc      string   `json:"doc"`
	Index    bool     `json:"index,omitempty"`
	Required bool     `json:"required,omitempty"`
	Hidden   bool     `json:"hidden,omitempty"`
	Ours     bool     `json:"ours,omitempty"`
	Aliases  []string `json:"aliases,omitempty"`
}

// Schemas are all tables of this version, as `make docs` generated them.
func Schemas() ([]Schema, error) {
	var s []Schema
	if err := json.Unmarshal(schemaJSON, &s); err != nil {
		return nil, fmt.Errorf("read the embedded schema.json: %w (run make docs)", err)
	}
	return s, nil
}

// Schema describes the table without its scan.
func (t *Table) Schema() Schema {
	s := Schema{
		Name: t.Name, Doc: t.Doc, Platforms: t.Platforms.Names(), Class: t.Class,
		Evented: t.Evented, Ours: t.Ours, RequireAny: t.RequireAny, Examples: t.Examples,
	}
	for _, c := range t.Columns {
		s.Columns = append(s.Columns, ColumnSchema{
			Name: c.Name, Type: c.Type, Doc: c.Doc, Index: c.Index,
			Required: c.Required, Hidden: c.Hidden, Ours: c.Ours, Aliases: c.Aliases,
		})
	}
	return s
}
