package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/aiedr/edr/agent"
	"github.com/aiedr/edr/tables"
	"github.com/aiedr/edr/tables/all"
	"github.com/aiedr/edr/tables/engine"
	"github.com/aiedr/edr/wire"
)

func runQuery(ctx context.Context, args []string, out, errs io.Writer) error {
	fs := flag.NewFlagSet("edr-agent query", flag.ContinueOnError)
	fs.SetOutput(errs)
	asJSON := fs.Bool("json", false, "an array with one object a row")
	asCSV := fs.Bool("csv", false, "comma-separated values with a header")
	asLine := fs.Bool("line", false, "each value on a line of its own, unshortened")
	data := fs.String("data", defaultData(), "`folder` of a running agent's state")
	deadline := fs.Duration("deadline", 5*time.Minute, "how long the statement may take")
	if err := fs.Parse(args); err != nil {
		return quiet(err)
	}
	if fs.NArg() != 1 {
		return usageError{`query: want one statement, quoted: edr-agent query "SELECT pid, name FROM processes"`}
	}
	format := "table"
	for name, on := range map[string]bool{"json": *asJSON, "csv": *asCSV, "line": *asLine} {
		if on {
			if format != "table" {
				return usageError{"query: want one of -json, -csv and -line"}
			}
			format = name
		}
	}
	q := wire.LiveQuery{ID: "local", SQL: fs.Arg(0), Deadline: *deadline}
	for _, c := range engine.AllClasses() {
		q.Classes = append(q.Classes, string(c))
	}
	show := &shower{p: newPrinter(format, out), errs: errs}
	client, err := agent.Dial(*data)
	switch {
	case err == nil:
		err = client.Ask(ctx, q, show.take)
	case errors.Is(err, agent.ErrNoAgent):
		err = askHere(ctx, q, show.take)
	}
	if err != nil {
		return err
	}
	return show.err
}

// askHere answers without an agent: every table but those of events and of the
// agent itself.
func askHere(ctx context.Context, q wire.LiveQuery, emit func(wire.Answer) error) error {
	root, err := tables.DirRoot("/")
	if err != nil {
		return err
	}
	e, err := engine.New(all.Tables(), engine.Options{})
	if err != nil {
		return err
	}
	a := agent.Asker{Engine: e, Host: &tables.Host{Root: root, Now: time.Now}}
	a.Ask(ctx, q, emit)
	return nil
}

// shower prints an answer's parts: rows to standard output, the rest to
// standard error, so that a pipe gets rows alone.
type shower struct {
	p     printer
	errs  io.Writer
	begun bool
	err   error

	columns []string
}

func (s *shower) take(a wire.Answer) error {
	if a.Columns != nil {
		s.columns = a.Columns
	}
	// An answer that failed before its first row prints nothing: an empty
	// table or list would read as "there is none".
	if !s.begun && s.columns != nil && (len(a.Rows) > 0 || a.Done && a.Error == "") {
		s.begun = true
		if err := s.p.columns(s.columns); err != nil {
			return err
		}
	}
	for _, r := range a.Rows {
		if err := s.p.row(r); err != nil {
			return err
		}
	}
	if !a.Done {
		return nil
	}
	if s.begun {
		if err := s.p.end(); err != nil {
			return err
		}
	}
	for _, w := range a.Warnings {
		fmt.Fprintf(s.errs, "warning: %s\n", visible(w))
	}
	if a.Truncated {
		fmt.Fprintf(s.errs, "warning: the answer was cut off after %d rows\n", a.Total)
	}
	if a.Error != "" {
		s.err = errors.New(a.Error)
	}
	return nil
}

// quiet turns an error that flag has already printed into an exit code.
func quiet(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	return usageError{err.Error()}
}
