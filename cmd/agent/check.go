package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/aiedr/edr/queries/check"
	"github.com/aiedr/edr/tables/all"
	"github.com/aiedr/edr/tables/engine"
)

func runCheck(ctx context.Context, args []string, out, errs io.Writer) error {
	fs := flag.NewFlagSet("edr-agent check", flag.ContinueOnError)
	fs.SetOutput(errs)
	if err := fs.Parse(args); err != nil {
		return quiet(err)
	}
	if fs.NArg() == 0 {
		return usageError{"check: want files or folders of packs and rules"}
	}
	e, err := engine.New(all.Tables(), engine.Options{})
	if err != nil {
		return err
	}
	report := check.Run(fs.Args(), func(sql string) error {
		_, err := e.Check(ctx, sql, engine.AllClasses())
		return err
	})
	for _, p := range report.Problems {
		fmt.Fprintln(out, p.Error())
	}
	fmt.Fprintf(errs, "%d files, %d rules, %d packs with %d queries, %d problems\n",
		report.Files, report.Rules, report.Packs, report.Queries, len(report.Problems))
	if report.Failed() {
		return errSaid
	}
	return nil
}
