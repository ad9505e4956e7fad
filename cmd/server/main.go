// Command edr-server is the fleet server: agents report to it, and people see
// and act through its console, its API and edrctl.
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

// version is set when a release is built.
var version = "dev"

const usage = `usage: edr-server [flags]                       run the server
       edr-server user add NAME -role ROLE [-password-file FILE]
       edr-server user list | passwd NAME | role NAME ROLE | delete NAME
       edr-server user token NAME [-note TEXT]   make an API token
       edr-server enrol [-url URL] [-out FILE] [-uses N] [-expires 24h] [-note TEXT]
       edr-server keys init | show | ca | rotate | revoke
       edr-server keys prepare FILE | sign ROOTKEY FILE OUT | install FILE
       edr-server version

Every command takes -data, -db and -config; run a command with -h for its flags.
`

// usageError is a mistake in the command line: exit status 2.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// env is what a command may use of its process.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	version        string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := &env{os.Stdin, os.Stdout, os.Stderr, os.Getenv, version}
	os.Exit(e.main(ctx, os.Args[1:]))
}

// main runs a command and answers its exit status.
func (e *env) main(ctx context.Context, args []string) int {
	err := e.command(ctx, args)
	var u usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &u):
		fmt.Fprintf(e.stderr, "edr-server: %v\n", err)
		return 2
	default:
		fmt.Fprintf(e.stderr, "edr-server: %v\n", err)
		return 1
	}
}

func (e *env) command(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "" || args[0][0] == '-' {
		return e.run(ctx, args)
	}
	switch args[0] {
	case "user":
		return e.user(ctx, args[1:])
	case "enrol", "enroll":
		return e.enrol(ctx, args[1:])
	case "keys":
		return e.keys(ctx, args[1:])
	case "version":
		fmt.Fprintln(e.stdout, e.version)
		return nil
	case "help":
		fmt.Fprint(e.stdout, usage)
		return nil
	case "backup", "restore":
		return fmt.Errorf("%s: not built yet; stop the server and copy its data folder whole", args[0])
	}
	return usagef("there is no command %q\n%s", args[0], usage)
}
