// Command edrctl asks and acts through the server's API from a shell.
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

const usage = `usage: edrctl query [-hosts a,b | -group NAME] [-json] [-deadline 60s] [-max-rows N] "SQL"
       edrctl get hosts|groups|alerts|events|queries|rules|packs|responses [-json] [-limit N]
       edrctl respond -host HOST [-reason TEXT] [-dry-run] [-wait 60s] ACTION NAME=VALUE...
       edrctl version

EDR_SERVER  the server's address, such as https://127.0.0.1:8443
EDR_TOKEN   an API token; make one on the server: edr-server user token NAME
EDR_CA      file with the CA of the server's certificate in PEM; without it the system's CAs are used

ACTION is one of
  terminate_process, suspend_process, resume_process   pid=N start_time_ns=N
  quarantine_file      path=P inode=N sha256=H (with -dry-run the path alone: it answers the rest)
  restore_file         id=ID
  block_connection     remote_address=A [remote_port=N] [protocol=tcp|udp|any] [direction=out|in|both] [duration_s=N]
  unblock_connection   remote_address=A and the port, protocol and direction of the block

HOST is an id or a host name. Exit status: 0 done, 1 something failed, 2 wrong usage, 130 interrupted.
`

// usageError is a mistake in the command line: exit status 2.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errInterrupted is answered after Ctrl-C.
var errInterrupted = errors.New("interrupted")

// errSaid is a failure that was told already.
var errSaid = errors.New("failed")

// env is what a command may use of its process.
type env struct {
	stdout, stderr io.Writer
	getenv         func(string) string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit((&env{os.Stdout, os.Stderr, os.Getenv}).main(ctx, os.Args[1:]))
}

// main runs a command and answers its exit status.
func (e *env) main(ctx context.Context, args []string) int {
	err := e.command(ctx, args)
	var u usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errInterrupted):
		return 130
	case errors.Is(err, errSaid):
		return 1
	case errors.As(err, &u):
		fmt.Fprintf(e.stderr, "edrctl: %s\n", safe(err.Error()))
		return 2
	case ctx.Err() != nil:
		return 130
	}
	fmt.Fprintf(e.stderr, "edrctl: %s\n", safe(err.Error()))
	return 1
}

func (e *env) command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(e.stderr, usage)
		return usagef("say what to do")
	}
	switch args[0] {
	case "query":
		return e.query(ctx, args[1:])
	case "get":
		return e.get(ctx, args[1:])
	case "respond":
		return e.respond(ctx, args[1:])
	case "apply":
		return errors.New("apply: not built yet; put rules and packs into the folder content of the server's -data and start the server again")
	case "version":
		fmt.Fprintln(e.stdout, version)
		return nil
	case "help", "-h", "-help", "--help":
		fmt.Fprint(e.stdout, usage)
		return nil
	}
	return usagef("there is no command %q; there is query, get, respond and version (edrctl help)", args[0])
}

// parse reads flags, also behind arguments.
func parse(fs *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usagef("%w", err)
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}
