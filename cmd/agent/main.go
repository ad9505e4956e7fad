// Command edr-agent watches one machine: it shows it as SQL tables, runs packs
// and rules, and acts when asked. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // it was tried and failed, or problems were found
	exitUsage = 2
)

// usageError is a command line that cannot be meant.
type usageError struct{ msg string }

func (e usageError) Error() string { return e.msg }

type command struct {
	name, args, doc string
	run             func(ctx context.Context, args []string, out, errs io.Writer) error
}

func commands() []command {
	return []command{
		{"query", `[-json|-csv|-line] "SQL"`, "ask one statement; where an agent runs on the same -data, it answers", runQuery},
		{"tables", "[-json] [NAME]", "list the tables, or the columns of one", runTables},
		{"check", "PATH…", "check packs and rules; each problem with file and line", runCheck},
		{"hunt", "[-json|-csv] [-rules PATH]… EVIDENCE…", "run rules over event logs, registry hives, task XML and JSON lines, or folders of them", runHunt},
		{"status", "", "ask the running agent how it is", runStatus},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
	err := dispatch(ctx, args, out, errs)
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(errs, "edr-agent: %v\n", err)
		return exitUsage
	case errors.Is(err, errSaid):
		return exitError
	}
	fmt.Fprintf(errs, "edr-agent: %v\n", err)
	return exitError
}

// errSaid ends a command whose problems were already printed.
var errSaid = errors.New("problems were found")

func dispatch(ctx context.Context, args []string, out, errs io.Writer) error {
	if len(args) == 0 || args[0] != "" && args[0][0] == '-' {
		if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
			help(errs)
			return nil
		}
		return runAgent(ctx, args, out, errs)
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], out, errs)
		}
	}
	return usageError{fmt.Sprintf("unknown command %q; without a command the agent runs, and edr-agent -help lists the others", args[0])}
}

func help(w io.Writer) {
	fmt.Fprint(w, "edr-agent [flags]\n\trun the agent\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "edr-agent %s %s\n\t%s\n", c.name, c.args, c.doc)
	}
	fmt.Fprint(w, "\nFlags of the agent:\n")
	var r raw
	r.flags(w).PrintDefaults()
}
