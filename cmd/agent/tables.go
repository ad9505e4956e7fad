package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/all"
)

// tableJSON is what `tables -json` says of a table.
type tableJSON struct {
	Name      string       `json:"name"`
	Platforms []string     `json:"platforms"`
	Columns   []columnJSON `json:"columns"`
}

type columnJSON struct {
	Name string      `json:"name"`
	Type tables.Type `json:"type"`
}

func runTables(_ context.Context, args []string, out, errs io.Writer) error {
	fs := flag.NewFlagSet("edr-agent tables", flag.ContinueOnError)
	fs.SetOutput(errs)
	asJSON := fs.Bool("json", false, "an array of {name, platforms, columns:[{name,type}]}")
	if err := fs.Parse(args); err != nil {
		return quiet(err)
	}
	list := all.Tables()
	switch fs.NArg() {
	case 0:
	case 1:
		var found []*tables.Table
		for _, t := range list {
			if strings.EqualFold(t.Name, fs.Arg(0)) {
				found = append(found, t)
			}
		}
		if found == nil {
			return fmt.Errorf("tables: there is no table %q; edr-agent tables lists them", fs.Arg(0))
		}
		list = found
	default:
		return usageError{"tables: want one name or none"}
	}
	if *asJSON {
		return printTablesJSON(out, list)
	}
	if fs.NArg() == 1 {
		return describe(out, list[0])
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, t := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\n", t.Name, strings.Join(t.Platforms.Names(), ","), t.Doc)
	}
	return w.Flush()
}

func printTablesJSON(out io.Writer, list []*tables.Table) error {
	said := []tableJSON{}
	for _, t := range list {
		j := tableJSON{Name: t.Name, Platforms: t.Platforms.Names()}
		for _, c := range t.Columns {
			j.Columns = append(j.Columns, columnJSON{c.Name, c.Type})
		}
		said = append(said, j)
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(said)
}

func describe(out io.Writer, t *tables.Table) error {
	fmt.Fprintf(out, "%s — %s\nplatforms: %s; data class: %s\n", t.Name, t.Doc, strings.Join(t.Platforms.Names(), ", "), t.Class)
	if len(t.RequireAny) > 0 {
		fmt.Fprintf(out, "needs a constraint on %s\n", strings.Join(t.RequireAny, " or "))
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range t.Columns {
		var notes []string
		for note, on := range map[string]bool{"required": c.Required, "hidden": c.Hidden, "ours": c.Ours} {
			if on {
				notes = append(notes, note)
			}
		}
		doc := c.Doc
		if len(notes) > 0 {
			doc = "(" + strings.Join(sortedCopy(notes), ", ") + ") " + doc
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", c.Name, c.Type, doc)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, e := range t.Examples {
		fmt.Fprintf(out, "\n%s\n", e)
	}
	return nil
}

func sortedCopy(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}
